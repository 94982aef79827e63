//! Events of another log on their way into this one.
//!
//! Nobody but the decider appends, so a checked file travels over the command bus in chunks, on a subject and to a
//! consumer of their own. Each chunk is compared with what the log has already and the rest of it is appended as one
//! atomic batch at the very sequence at which it stood, so that a chunk may come twice, and a broken import can be
//! repeated. Meanwhile all other commands are held back: one event in between would part the two logs for ever.

mod bus;
mod hold;
mod keys;

use async_nats::header as nats_header;
use serde::{Deserialize, Serialize};

pub use bus::{ReceivedChunk, ReceivedChunks};
pub use keys::KeyPage;

use crate::archive::EventRecord;
use crate::commit::Message;
use crate::connection::Store;
use crate::error::Unavailable;
use crate::history::ALL_EVENTS;
use crate::journal::AppendError;
use crate::stored_event::StoredEvent;
use crate::subject::header;

/// A run of events of a file, not empty.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Chunk {
    pub events: Vec<EventRecord>,
    /// Whether it is the last of its file: what was held back goes on after it.
    pub is_last: bool,
}

/// What the log has of a run of events.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Compared {
    /// So many of them, from the first on; the log ends with the last of these, or has all.
    Present(usize),
    /// Another event at this sequence.
    Differs { sequence: u64 },
    /// Not even what comes before them.
    Gap { expected: u64, found: u64 },
}

impl Store {
    /// Compares a run of events with the log.
    ///
    /// # Errors
    /// NATS did not answer.
    pub async fn compare(&self, events: &[EventRecord]) -> Result<Compared, Unavailable> {
        let Some(first) = events.first() else { return Ok(Compared::Present(0)) };
        let mut present = 0;
        // A page may be shorter than what was asked for.
        while present < events.len() {
            let from = first.sequence + present as u64;
            let page = self.event_page(ALL_EVENTS, from, events.len() - present).await?.events;
            if page.is_empty() {
                break;
            }
            for event in page {
                let sequence = event.sequence;
                if events.get(present) != Some(&EventRecord::from(event)) {
                    return Ok(Compared::Differs { sequence });
                }
                present += 1;
            }
        }
        if present == 0 {
            let expected = self.last_event().await? + 1;
            if expected != first.sequence {
                return Ok(Compared::Gap { expected, found: first.sequence });
            }
        }
        Ok(Compared::Present(present))
    }

    /// Appends events of another log at the sequences at which they stood there, all or none.
    ///
    /// # Errors
    /// The log does not end right before them, or NATS did not answer.
    pub async fn append_imported(&self, events: &[EventRecord]) -> Result<(), AppendError> {
        let mut messages = Vec::with_capacity(events.len());
        for event in events {
            let event = StoredEvent::from(event.clone());
            let mut headers = event
                .header_map()
                .map_err(|error| Unavailable::new("append imported events", error.to_string()))?;
            headers.insert(header::STORED_AT, event.stored_at.to_string());
            if messages.is_empty() {
                let before = event.sequence.saturating_sub(1);
                headers.insert(nats_header::NATS_EXPECTED_LAST_SEQUENCE, before.to_string());
            }
            messages.push(Message { subject: event.subject, headers, payload: event.payload });
        }
        self.append_messages(messages).await.map(drop)
    }
}
