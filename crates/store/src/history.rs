//! Looking back: single events, runs of them, and which of them a moment divides.

mod past;
mod trace;

use std::collections::VecDeque;

use jiff::Timestamp;

pub use past::{Past, PastError, Place, StatesAround};
pub use trace::{Trace, TraceLimits};

use crate::connection::Store;
use crate::direct_get::{batch_from, first_since};
use crate::error::{During, Unavailable};
use crate::stored_event::StoredEvent;
use crate::subject;
use crate::tail::Filter;

/// What is done here, in errors.
const OPERATION: &str = "read events";

/// How many events one request brings.
pub(crate) const PAGE_EVENTS: usize = 1000;

/// Every event of the log.
pub(crate) const ALL_EVENTS: &str = "events.>";

/// A run of events, in order.
pub(crate) struct EventPage {
    pub(crate) events: Vec<StoredEvent>,
    /// Whether the log holds more that was asked for.
    pub(crate) more: bool,
}

impl Store {
    /// One event.
    ///
    /// # Errors
    /// NATS did not answer.
    pub async fn event(&self, sequence: u64) -> Result<Option<StoredEvent>, Unavailable> {
        let page = self.event_page(ALL_EVENTS, sequence, 1).await?;
        Ok(page.events.into_iter().next().filter(|event| event.sequence == sequence))
    }

    /// Events from a sequence on, so many at most.
    ///
    /// # Errors
    /// NATS did not answer.
    pub async fn events_from(&self, from: u64, events_max: usize) -> Result<Vec<StoredEvent>, Unavailable> {
        Ok(self.event_page(ALL_EVENTS, from, events_max).await?.events)
    }

    /// The newest events that pass, newest first: those before a sequence, if one is given, and so many at most. The log
    /// is read from the first event of the subjects on, so a filter should name an aggregate and its id.
    ///
    /// # Errors
    /// NATS did not answer.
    pub async fn newest_events(
        &self,
        filter: &Filter,
        before: Option<u64>,
        events_max: usize,
    ) -> Result<Vec<StoredEvent>, Unavailable> {
        let (subjects, mut from) = (filter.subjects(), 1);
        let mut newest = VecDeque::new();
        loop {
            let page = self.event_page(&subjects, from, PAGE_EVENTS).await?;
            let last = page.events.last().map(|event| event.sequence);
            let is_before = |event: &StoredEvent| before.is_none_or(|before| event.sequence < before);
            newest.extend(page.events.into_iter().filter(|event| is_before(event) && filter.passes(event)));
            newest.drain(..newest.len().saturating_sub(events_max));
            match last {
                Some(last) if page.more && before.is_none_or(|before| last < before) => from = last + 1,
                Some(_) | None => return Ok(newest.into_iter().rev().collect()),
            }
        }
    }

    /// The sequence of the first event that was stored at a moment or later; that of the next event if there is none.
    /// Imported events count by when they were stored where they come from.
    ///
    /// # Errors
    /// NATS did not answer.
    pub async fn sequence_at(&self, moment: Timestamp) -> Result<u64, Unavailable> {
        let page = self.direct_get(subject::EVENTS, &first_since(moment, ALL_EVENTS), OPERATION).await?;
        let Some(message) = page.messages.into_iter().next() else {
            return Ok(self.last_event().await? + 1);
        };
        let first = StoredEvent::of_direct_get(message).during(OPERATION)?;
        if first.stored_at >= moment {
            return Ok(first.sequence);
        }
        // An import stored it after the moment, its own log before. Own times grow with the sequence, too.
        let (mut before, mut end) = (first.sequence, self.last_event().await? + 1);
        while end - before > 1 {
            let middle = before + (end - before) / 2;
            match self.event(middle).await? {
                Some(event) if event.stored_at < moment => before = middle,
                Some(_) | None => end = middle,
            }
        }
        Ok(end)
    }

    /// Events of some subjects from a sequence on.
    pub(crate) async fn event_page(
        &self,
        subjects: &str,
        from: u64,
        events_max: usize,
    ) -> Result<EventPage, Unavailable> {
        let request = batch_from(from, subjects, events_max);
        let page = self.direct_get(subject::EVENTS, &request, OPERATION).await?;
        let events = page.messages.into_iter().map(StoredEvent::of_direct_get);
        Ok(EventPage { events: events.collect::<Result<_, _>>().during(OPERATION)?, more: page.more })
    }
}
