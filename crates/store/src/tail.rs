//! Events as they come, for people and for reactions.

mod filter;

use std::collections::VecDeque;
use std::time::Duration;

use async_nats::jetstream;
use domain::Recorded;
use jiff::Timestamp;
use tokio::time::Instant;

pub use filter::{AggregateId, AggregateName, EventType, Filter, NotAToken, NotAType};

use crate::connection::Store;
use crate::error::{Unavailable, Unreadable};
use crate::history::PAGE_EVENTS;
use crate::reader::{self, RETRY_DELAY, Reader};
use crate::stored_event::{self, StoredEvent};
use crate::subject;

/// Where a tail begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Start {
    Beginning,
    /// With the event of this sequence, or the next one that passes the filter.
    Sequence(u64),
    /// With the first event that was stored at this moment or later. It may be to come.
    Time(Timestamp),
    /// With the next event that happens.
    New,
}

/// Where a tail ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// With the event of this sequence, which may still have to happen.
    Sequence(u64),
    /// Before the first event that was stored at this moment or later. It may be to come.
    Time(Timestamp),
}

/// Which events, from where to where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tail {
    pub start: Start,
    /// None to follow the log for ever.
    pub end: Option<End>,
    pub filter: Filter,
}

impl Tail {
    /// Everything that passes the filter, for ever.
    pub fn all(filter: Filter) -> Self {
        Tail { start: Start::Beginning, end: None, filter }
    }
}

/// The events of a [`Tail`].
pub struct Events {
    store: Store,
    filter: Filter,
    /// What was stored earlier is left out.
    since: Timestamp,
    /// The first sequence that was not looked at.
    next: u64,
    end: Option<End>,
    /// Up to here the log is read by pages, which end; what comes after it is read as it happens.
    past: u64,
    page: VecDeque<StoredEvent>,
    reader: Option<Reader>,
}

impl Store {
    /// Follows the log. A lost connection is waited out.
    ///
    /// # Errors
    /// NATS did not say where the log ends.
    pub async fn tail(&self, tail: &Tail) -> Result<Events, Unavailable> {
        let next = match tail.start {
            Start::Beginning => 1,
            Start::Sequence(sequence) => sequence.max(1),
            Start::Time(time) => self.sequence_at(time).await?,
            Start::New => self.last_event().await? + 1,
        };
        // Only a tail that ends has to know when a filter lets nothing more through.
        let past = if tail.end.is_some() { self.last_event().await? } else { 0 };
        let since = match tail.start {
            Start::Time(time) => time,
            Start::Beginning | Start::Sequence(_) | Start::New => Timestamp::MIN,
        };
        let (store, filter, page) = (self.clone(), tail.filter.clone(), VecDeque::new());
        Ok(Events { store, filter, since, next, end: tail.end, past, page, reader: None })
    }

    /// The sequence of the last event; 0 before the first.
    ///
    /// # Errors
    /// NATS did not answer.
    pub async fn last_event(&self) -> Result<u64, Unavailable> {
        reader::bounds(self, subject::EVENTS).await.map(|bounds| bounds.last_sequence)
    }
}

impl Events {
    /// The next event, none at the end. Waits as long as it takes; dropping the future loses nothing.
    ///
    /// # Errors
    /// The event cannot be read.
    pub async fn next(&mut self) -> Result<Option<StoredEvent>, Unreadable> {
        loop {
            let event = match self.read().await {
                Ok(Some(event)) => event?,
                Ok(None) => return Ok(None),
                Err(error) => {
                    tracing::warn!(error = &error as &dyn std::error::Error, "tail broke, trying again");
                    tokio::time::sleep(RETRY_DELAY).await;
                    continue;
                }
            };
            if self.is_behind(event.sequence) {
                return Ok(None);
            }
            self.next = event.sequence + 1;
            if event.stored_at >= self.since && self.filter.passes(&event) {
                return Ok(Some(event));
            }
        }
    }

    /// The next event in words of the domain.
    ///
    /// # Errors
    /// The event cannot be read.
    pub async fn next_recorded(&mut self) -> Result<Option<Recorded>, Unreadable> {
        self.next().await?.map(|event| event.recorded()).transpose()
    }

    /// The first sequence that was not looked at.
    pub fn position(&self) -> u64 {
        self.next
    }

    fn is_behind(&self, sequence: u64) -> bool {
        matches!(self.end, Some(End::Sequence(last)) if sequence > last)
    }

    /// The next event of the log that may pass the filter; none at the end.
    async fn read(&mut self) -> Result<Option<Result<StoredEvent, Unreadable>>, Unavailable> {
        loop {
            if let Some(End::Time(time)) = self.end
                && time <= Timestamp::now()
            {
                self.end = Some(End::Sequence(self.store.sequence_at(time).await?.saturating_sub(1)));
            }
            if self.is_behind(self.next) {
                return Ok(None);
            }
            if self.next > self.past {
                break;
            }
            if let Some(event) = self.page.pop_front() {
                return Ok(Some(Ok(event)));
            }
            let page = self.store.event_page(&self.filter.subjects(), self.next, PAGE_EVENTS).await?;
            self.page = page.events.into();
            if self.page.is_empty() {
                self.next = self.past + 1;
            }
        }
        // What the page brought beyond its end comes again from the reader.
        self.page.clear();
        Ok(self.read_live().await)
    }

    /// The next event as it happens; none when the moment of the end has come first.
    async fn read_live(&mut self) -> Option<Result<StoredEvent, Unreadable>> {
        loop {
            let subjects = if self.end.is_some() { subject::event("*", ">") } else { self.filter.subjects() };
            let reader = self
                .reader
                .get_or_insert_with(|| Reader::new(self.store.clone(), subject::EVENTS, subjects, self.next));
            let moment = match self.end {
                Some(End::Time(time)) => Some(time),
                Some(End::Sequence(_)) | None => None,
            };
            tokio::select! {
                read = reader.next() => return Some(stored(&read.message, read.sequence)),
                () = wait_until(moment) => {}
            }
            match self.store.sequence_at(moment.unwrap_or(Timestamp::MIN)).await {
                Ok(first) => self.end = Some(End::Sequence(first.saturating_sub(1))),
                Err(error) => {
                    tracing::warn!(error = &error as &dyn std::error::Error, "tail cannot end, trying again");
                    tokio::time::sleep(RETRY_DELAY).await;
                    continue;
                }
            }
            if self.is_behind(self.next) {
                return None;
            }
        }
    }
}

/// Waits for a moment of the clock, or for ever.
async fn wait_until(moment: Option<Timestamp>) {
    match moment {
        Some(moment) => {
            let wait = Timestamp::now().duration_until(moment);
            let wait = Duration::try_from(wait).unwrap_or_default();
            match Instant::now().checked_add(wait) {
                Some(deadline) => tokio::time::sleep_until(deadline).await,
                None => std::future::pending().await,
            }
        }
        None => std::future::pending().await,
    }
}

fn stored(message: &jetstream::Message, sequence: u64) -> Result<StoredEvent, Unreadable> {
    StoredEvent::of_consumer(message)
        .map_err(|error| Unreadable::new(message.subject.as_str(), sequence, error))
}

/// A message of EVENTS as an event. Nothing of it is copied that the event does not hold.
pub(crate) fn recorded(message: &jetstream::Message, sequence: u64) -> Result<Recorded, Unreadable> {
    let none = async_nats::HeaderMap::new();
    let headers = message.headers.as_ref().unwrap_or(&none);
    stored_event::read(sequence, &message.subject, headers, &message.payload)
}
