//! The log: loading one aggregate, and appending what a command led to.
//!
//! Appending names the sequence at which each aggregate was read. Whoever decided on a state that has passed meets
//! a conflict, loads again and decides again. Several events are one atomic batch (NATS ADR-50): all or none.

mod load;
mod snapshot;

pub use load::{Aggregate, LoadError};

use async_nats::HeaderMap;
use async_nats::header as nats_header;
use async_nats::jetstream::ErrorCode;
use async_nats::jetstream::response::Response;
use domain::Metadata;
use serde::Deserialize;
use uuid::Uuid;

use crate::connection::Store;
use crate::envelope;
use crate::error::{During, Unavailable};
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
        let mut messages = messages(writes, metadata);
        let Some((subject, headers, payload)) = messages.pop() else {
            return Err(Unavailable::new("append events", "there are no events to append").into());
        };
        if messages.is_empty() {
            return self.publish_event(subject, headers, payload).await;
        }
        let batch = Uuid::from_bytes(random_id()).to_string();
        for (index, (subject, mut headers, payload)) in messages.drain(..).enumerate() {
            write_batch_headers(&mut headers, &batch, index + 1);
            if index == 0 {
                // The first answer tells whether the stream takes batches at all.
                self.open_batch(subject, headers, payload).await?;
            } else {
                self.client.publish_with_headers(subject, headers, payload).await.during("append events")?;
            }
        }
        let mut headers = headers;
        let length: usize = writes.iter().map(|write| write.events.len()).sum();
        write_batch_headers(&mut headers, &batch, length);
        headers.insert(nats_header::NATS_BATCH_COMMIT, nats_header::NATS_BATCH_COMMIT_FINAL);
        self.publish_event(subject, headers, payload).await
    }

    async fn open_batch(
        &self,
        subject: String,
        headers: HeaderMap,
        payload: bytes::Bytes,
    ) -> Result<(), AppendError> {
        let reply = self
            .client
            .request_with_headers(subject, headers, payload)
            .await
            .during("open an atomic batch")?;
        if reply.payload.is_empty() { Ok(()) } else { read_ack(&reply.payload).map(drop) }
    }

    async fn publish_event(
        &self,
        subject: String,
        headers: HeaderMap,
        payload: bytes::Bytes,
    ) -> Result<u64, AppendError> {
        let reply =
            self.client.request_with_headers(subject, headers, payload).await.during("append events")?;
        read_ack(&reply.payload)
    }
}

type EventMessage = (String, HeaderMap, bytes::Bytes);

fn messages(writes: &[Write], metadata: &Metadata) -> Vec<EventMessage> {
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
            messages.push((write.subject.clone(), headers, form.payload.clone().into()));
        }
    }
    messages
}

fn write_batch_headers(headers: &mut HeaderMap, batch: &str, sequence: usize) {
    headers.insert(nats_header::NATS_BATCH_ID, batch);
    headers.insert(nats_header::NATS_BATCH_SEQUENCE, sequence.to_string());
}

/// The part of a publish acknowledgement that counts here.
#[derive(Deserialize)]
struct Acknowledged {
    seq: u64,
}

fn read_ack(payload: &[u8]) -> Result<u64, AppendError> {
    const OPERATION: &str = "append events";
    match serde_json::from_slice::<Response<Acknowledged>>(payload).during(OPERATION)? {
        Response::Ok(acknowledged) => Ok(acknowledged.seq),
        Response::Err { error } if error.error_code() == ErrorCode::STREAM_WRONG_LAST_SEQUENCE => {
            Err(AppendError::Conflict)
        }
        Response::Err { error } => Err(Unavailable::new(OPERATION, error).into()),
    }
}

fn random_id() -> [u8; 16] {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).expect("the operating system gives random bytes");
    bytes
}
