//! The log: loading one aggregate, and appending what a command led to.
//!
//! Appending names the sequence at which each aggregate was read. Whoever decided on a state that has passed meets
//! a conflict, loads again and decides again. Several events are one atomic batch (NATS ADR-50): all or none.

mod load;
mod memory;
mod snapshot;

pub use load::{Aggregate, LoadError};
pub(crate) use memory::Memory;

use async_nats::HeaderMap;
use async_nats::header as nats_header;
use domain::Metadata;

use crate::commit::{CommitError, Message};
use crate::connection::Store;
use crate::envelope;
use crate::error::Unavailable;
use crate::subject::{self, header};
use crate::upcast::{Form, Stored};

/// What is appended to one aggregate.
#[derive(Clone, Debug)]
pub struct Write {
    subject: String,
    expected_last_sequence: u64,
    events: Vec<(&'static str, Form)>,
}

impl Write {
    /// The events to append to an aggregate that was read at `expected_last_sequence`.
    pub fn new<D: Stored>(id: &D::Id, expected_last_sequence: u64, events: &[D::Event]) -> Self {
        Write {
            subject: subject::event(D::NAME, id),
            expected_last_sequence,
            events: events.iter().map(|event| (D::event_name(event), D::write(event))).collect(),
        }
    }
}

/// Why nothing was appended, as far as we know.
#[derive(Debug, thiserror::Error)]
pub enum AppendError {
    /// Somebody else has appended in between. Load and decide again.
    #[error("an aggregate has changed since it was read")]
    Conflict,
    /// It is not known whether the events were appended. Loading again tells.
    #[error(transparent)]
    Unavailable(#[from] Unavailable),
}

impl Store {
    /// Appends all writes or none of them, and gives the sequence of the last event.
    ///
    /// # Errors
    /// See [`AppendError`].
    pub async fn append(&self, writes: &[Write], metadata: &Metadata) -> Result<u64, AppendError> {
        self.append_messages(messages(writes, metadata)).await
    }

    /// Appends all messages or none of them.
    pub(crate) async fn append_messages(&self, messages: Vec<Message>) -> Result<u64, AppendError> {
        self.events.commit(messages).await.map_err(|error| match error {
            CommitError::Conflict => AppendError::Conflict,
            CommitError::Unavailable(error) => error.into(),
        })
    }
}

/// What goes over the wire for these writes.
pub(crate) fn messages(writes: &[Write], metadata: &Metadata) -> Vec<Message> {
    let mut messages = Vec::new();
    for write in writes {
        for (index, (name, form)) in write.events.iter().enumerate() {
            let mut headers = HeaderMap::new();
            envelope::write_metadata(&mut headers, metadata);
            headers.insert(header::EVENT, *name);
            headers.insert(header::VERSION, form.version.to_string());
            if index == 0 {
                headers.insert(
                    nats_header::NATS_EXPECTED_LAST_SUBJECT_SEQUENCE,
                    write.expected_last_sequence.to_string(),
                );
            }
            let (subject, payload) = (write.subject.clone(), form.payload.clone().into());
            messages.push(Message { subject, headers, payload });
        }
    }
    messages
}
