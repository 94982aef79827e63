//! The log: loading one aggregate, and appending what a command led to.
//!
//! Appending names the sequence at which each aggregate was read. Whoever decided on a state that has passed meets
//! a conflict, loads again and decides again. Several events are one atomic batch (NATS ADR-50): all or none.

use async_nats::HeaderMap;
use async_nats::header as nats_header;
use async_nats::jetstream::ErrorCode;
use async_nats::jetstream::response::Response;
use domain::{CommandId, ImpossibleEvent, Metadata};
use futures_util::StreamExt;
use serde::Deserialize;
use uuid::Uuid;

use crate::connection::{REQUEST_TIMEOUT, Store};
use crate::envelope;
use crate::error::{During, Unavailable, Unreadable};
use crate::subject::{self, header};
use crate::upcast::{Form, Stored};

/// How many events one request for an aggregate's past brings.
const LOAD_PAGE_EVENTS: usize = 1000;

/// The status that ends a page of direct get (NATS ADR-31).
const END_OF_PAGE: u16 = 204;
/// The status of a page that would be empty.
const NOTHING_THERE: u16 = 404;

/// An aggregate as the log tells it.
#[derive(Clone, Debug)]
pub struct Aggregate<D: Stored> {
    pub state: D::State,
    /// The sequence of its last event; 0 when it has none.
    pub last_sequence: u64,
    /// The sequence of the last event that the asked-for command led to, if it was carried out before.
    pub done_by_command: Option<u64>,
}

/// Why an aggregate could not be loaded.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    #[error(transparent)]
    Unavailable(#[from] Unavailable),
    #[error(transparent)]
    Unreadable(#[from] Unreadable),
    #[error("event {sequence} on {subject} contradicts the events before it")]
    Corrupt {
        subject: String,
        sequence: u64,
        #[source]
        source: ImpossibleEvent,
    },
}

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
    /// Loads an aggregate and looks whether a command was carried out on it before.
    ///
    /// # Errors
    /// NATS did not answer, or the aggregate's log cannot be read.
    pub async fn load<D: Stored>(&self, id: &D::Id, command: CommandId) -> Result<Aggregate<D>, LoadError> {
        let subject = subject::event(D::NAME, id);
        let mut aggregate =
            Aggregate::<D> { state: D::State::default(), last_sequence: 0, done_by_command: None };
        loop {
            let page = self.page(&subject, aggregate.last_sequence + 1).await?;
            let more = page.len() == LOAD_PAGE_EVENTS;
            for message in page {
                fold(&mut aggregate, &subject, &message, command)?;
            }
            if !more {
                return Ok(aggregate);
            }
        }
    }

    /// The next events of a subject by direct get (NATS ADR-31), which needs no consumer.
    async fn page(&self, subject: &str, from: u64) -> Result<Vec<StoredMessage>, Unavailable> {
        const OPERATION: &str = "load events";
        let inbox = self.client.new_inbox();
        let mut replies = self.client.subscribe(inbox.clone()).await.during(OPERATION)?;
        let request = serde_json::json!({ "seq": from, "next_by_subj": subject, "batch": LOAD_PAGE_EVENTS });
        let request = async_nats::Request::new().payload(request.to_string().into()).inbox(inbox);
        let api = format!("DIRECT.GET.{}", subject::EVENTS);
        self.jetstream.send_request(api, request).await.during(OPERATION)?;
        let mut page = Vec::new();
        loop {
            let reply = tokio::time::timeout(REQUEST_TIMEOUT, replies.next()).await.during(OPERATION)?;
            let reply = reply.ok_or("the connection was closed").during(OPERATION)?;
            match reply.status.map(|status| status.as_u16()) {
                None => page.push(StoredMessage::read(reply).during(OPERATION)?),
                Some(END_OF_PAGE | NOTHING_THERE) => return Ok(page),
                Some(status) => {
                    let reason = reply.description.unwrap_or_default();
                    return Err(Unavailable::new(OPERATION, format!("{status} {reason}")));
                }
            }
        }
    }

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

/// A message as direct get returns it.
struct StoredMessage {
    sequence: u64,
    headers: HeaderMap,
    payload: bytes::Bytes,
}

impl StoredMessage {
    fn read(message: async_nats::Message) -> Result<Self, envelope::HeaderError> {
        let headers = message.headers.unwrap_or_default();
        let sequence = envelope::parse(&headers, "Nats-Sequence")?;
        Ok(StoredMessage { sequence, headers, payload: message.payload })
    }
}

fn fold<D: Stored>(
    aggregate: &mut Aggregate<D>,
    subject: &str,
    message: &StoredMessage,
    command: CommandId,
) -> Result<(), LoadError> {
    let sequence = message.sequence;
    let unreadable = |source| Unreadable::new(subject, sequence, source);
    let name = envelope::text(&message.headers, header::EVENT)
        .map_err(|error| Unreadable::new(subject, sequence, error))?;
    let version = envelope::parse(&message.headers, header::VERSION)
        .map_err(|error| Unreadable::new(subject, sequence, error))?;
    let event = D::read(name, version, &message.payload).map_err(|error| unreadable(Box::new(error)))?;
    let by: CommandId = envelope::parse(&message.headers, header::COMMAND_ID)
        .map_err(|error| Unreadable::new(subject, sequence, error))?;
    let state = std::mem::take(&mut aggregate.state);
    aggregate.state = D::evolve(state, &event).map_err(|source| LoadError::Corrupt {
        subject: subject.to_owned(),
        sequence,
        source,
    })?;
    aggregate.last_sequence = sequence;
    if by == command {
        aggregate.done_by_command = Some(sequence);
    }
    Ok(())
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
