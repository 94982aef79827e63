//! What was so at an earlier moment: an aggregate's own events up to there, folded again.

use std::fmt::Display;

use domain::{CommandId, Recorded};
use jiff::Timestamp;
use views::View;

use super::EventPage;
use crate::connection::Store;
use crate::error::{During, Unavailable, Unreadable};
use crate::stored_event::StoredEvent;
use crate::subject;
use crate::upcast::Stored;

/// How many events one request for an aggregate's past brings. The next request is under way while they are folded.
const PAST_PAGE_EVENTS: usize = 2000;

/// The place of an event in the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    pub sequence: u64,
    pub stored_at: Timestamp,
}

/// What an aggregate's events up to a sequence make.
#[derive(Clone, Debug)]
pub struct Past<T> {
    pub folded: T,
    /// The aggregate's first event, wherever it is; none if it never had one.
    pub first: Option<Place>,
    /// Its last event up to the sequence.
    pub last: Option<Place>,
}

/// An aggregate before one of its events, and now.
#[derive(Clone, Debug)]
pub struct StatesAround<D: Stored> {
    pub before: D::State,
    pub now: D::State,
}

/// Why the past cannot be told.
#[derive(Debug, thiserror::Error)]
pub enum PastError {
    #[error(transparent)]
    Unavailable(#[from] Unavailable),
    #[error(transparent)]
    Unreadable(#[from] Unreadable),
}

impl Store {
    /// The row of a view as it was when the log ended with `through`. The events are those of one aggregate.
    ///
    /// # Errors
    /// NATS did not answer, or an event of the aggregate cannot be read.
    pub async fn row_at<V: View>(
        &self,
        aggregate: &str,
        id: impl Display,
        through: u64,
    ) -> Result<Past<Option<V::Row>>, PastError> {
        self.fold_until(aggregate, id, through, None, |row, recorded| V::apply(row, recorded)).await
    }

    /// Folds the events of one aggregate up to `through`.
    ///
    /// # Errors
    /// NATS did not answer, or an event of the aggregate cannot be read.
    pub async fn fold_until<T>(
        &self,
        aggregate: &str,
        id: impl Display,
        through: u64,
        folded: T,
        mut fold: impl FnMut(T, &Recorded) -> T,
    ) -> Result<Past<T>, PastError> {
        let subjects = subject::event(aggregate, id);
        let mut past = Past { folded, first: None, last: None };
        let mut page = self.event_page(&subjects, 1, PAST_PAGE_EVENTS).await?;
        loop {
            past.first = past.first.or_else(|| page.events.first().map(StoredEvent::place));
            let next = self.next_page(&subjects, &page, through);
            for event in page.events.iter().take_while(|event| event.sequence <= through) {
                past.folded = fold(past.folded, &event.recorded()?);
                past.last = Some(event.place());
            }
            match next {
                Some(next) => page = next.await.during("read an aggregate's past")??,
                None => return Ok(past),
            }
        }
    }

    /// The states of an aggregate before one of its events, and now; or, if the command `before_command` was carried
    /// out already, as it found the aggregate.
    ///
    /// # Errors
    /// NATS did not answer, or an event of the aggregate cannot be read.
    pub async fn states_around<D: Stored>(
        &self,
        id: &D::Id,
        sequence: u64,
        before_command: CommandId,
    ) -> Result<StatesAround<D>, PastError> {
        let before_command = before_command.to_string();
        let subjects = subject::event(D::NAME, id);
        let mut states: StatesAround<D> =
            StatesAround { before: D::State::default(), now: D::State::default() };
        let mut from = 1;
        loop {
            let page = self.event_page(&subjects, from, PAST_PAGE_EVENTS).await?;
            for event in &page.events {
                if event.command_id() == Some(before_command.as_str()) {
                    return Ok(states);
                }
                if event.sequence == sequence {
                    states.before = states.now.clone();
                }
                let after = D::evolve(std::mem::take(&mut states.now), &event.of::<D>()?);
                states.now = after.map_err(|error| Unreadable::new(&subjects, event.sequence, error))?;
                from = event.sequence + 1;
            }
            if !page.more || page.events.is_empty() {
                return Ok(states);
            }
        }
    }

    /// Asks for the page after a page, if there can be anything in it that counts.
    fn next_page(
        &self,
        subjects: &str,
        page: &EventPage,
        through: u64,
    ) -> Option<tokio::task::JoinHandle<Result<EventPage, Unavailable>>> {
        let last = page.events.last().map(|event| event.sequence)?;
        if !page.more || last >= through {
            return None;
        }
        let (store, subjects) = (self.clone(), subjects.to_owned());
        Some(tokio::spawn(async move { store.event_page(&subjects, last + 1, PAST_PAGE_EVENTS).await }))
    }
}

impl StoredEvent {
    /// Where and when it was stored.
    pub fn place(&self) -> Place {
        Place { sequence: self.sequence, stored_at: self.stored_at }
    }
}
