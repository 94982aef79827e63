//! Group commit: what waits at the same time for one stream is stored as one atomic batch (NATS ADR-50).
//!
//! A synced stream is written to disk once for a batch and once for a message, so messages that wait for each other's
//! turn anyway go together. Nobody waits for company: while one batch is on its way, the next one gathers. Whoever is
//! alone is published as ever.
//!
//! A batch is all or nothing, and one writer's conflict must not be another's: a batch that is refused is taken apart,
//! until whoever has the conflict is refused alone. What one part appends together stays together in every case.

use std::collections::HashSet;

use async_nats::HeaderMap;
use async_nats::header as nats_header;
use async_nats::jetstream::ErrorCode;
use async_nats::jetstream::response::Response;
use bytes::Bytes;
use serde::Deserialize;
use tokio::sync::{mpsc, oneshot};
use uuid::Uuid;

use crate::error::{During, Unavailable};
use crate::link::Link;

/// How many messages are one batch at most; the server takes a thousand.
const BATCH_MESSAGES_MAX: usize = 512;
/// How many parts wait at most before those who bring more have to wait too.
const WAITING_MAX: usize = 1024;

/// A message for the stream.
#[derive(Clone, Debug)]
pub(crate) struct Message {
    pub(crate) subject: String,
    pub(crate) headers: HeaderMap,
    pub(crate) payload: Bytes,
}

/// Why nothing was stored, as far as we know.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CommitError {
    /// A subject does not end at the sequence that was expected.
    #[error("a subject has changed since it was read")]
    Conflict,
    /// It is not known whether it was stored.
    #[error(transparent)]
    Unavailable(#[from] Unavailable),
}

/// Where writers of one process meet for one stream.
#[derive(Clone, Debug)]
pub(crate) struct Committer {
    parts: mpsc::Sender<Part>,
    operation: &'static str,
}

/// What one writer wants stored together.
struct Part {
    messages: Vec<Message>,
    answer: oneshot::Sender<Result<u64, CommitError>>,
}

impl Committer {
    /// Starts the task that commits; it ends with the last committer. `operation` is what is done here, in errors.
    pub(crate) fn start(link: Link, operation: &'static str) -> Self {
        let (parts, waiting) = mpsc::channel(WAITING_MAX);
        tokio::spawn(run(Stream { link, operation }, waiting));
        Committer { parts, operation }
    }

    /// Stores all messages or none of them, and gives the sequence of the last one.
    ///
    /// # Errors
    /// See [`CommitError`].
    pub(crate) async fn commit(&self, messages: Vec<Message>) -> Result<u64, CommitError> {
        let (answer, answered) = oneshot::channel();
        self.parts.send(Part { messages, answer }).await.during(self.operation)?;
        answered.await.during(self.operation)?
    }
}

async fn run(stream: Stream, mut waiting: mpsc::Receiver<Part>) {
    let mut next = None;
    loop {
        let Some(first) = (match next.take() {
            Some(part) => Some(part),
            None => waiting.recv().await,
        }) else {
            return;
        };
        let mut batch = Batch::new(first);
        while let Ok(part) = waiting.try_recv() {
            if let Err(part) = batch.add(part) {
                next = Some(part);
                break;
            }
        }
        stream.commit(batch.parts).await;
    }
}

/// Parts that can be stored together.
struct Batch {
    parts: Vec<Part>,
    messages: usize,
    /// What the batch writes to: no later part of it can know where these end.
    subjects: HashSet<String>,
}

impl Batch {
    fn new(first: Part) -> Self {
        let mut batch = Batch { parts: vec![], messages: 0, subjects: HashSet::new() };
        batch.take(first);
        batch
    }

    /// Gives the part back if it has to wait for the batch.
    fn add(&mut self, part: Part) -> Result<(), Part> {
        let fits = self.messages + part.messages.len() <= BATCH_MESSAGES_MAX;
        let meets = part.messages.iter().any(|message| {
            message.headers.get(nats_header::NATS_EXPECTED_LAST_SUBJECT_SEQUENCE).is_some()
                && self.subjects.contains(&message.subject)
        });
        if !fits || meets {
            return Err(part);
        }
        self.take(part);
        Ok(())
    }

    fn take(&mut self, part: Part) {
        self.messages += part.messages.len();
        self.subjects.extend(part.messages.iter().map(|message| message.subject.clone()));
        self.parts.push(part);
    }
}

/// The way to the server.
#[derive(Clone)]
struct Stream {
    link: Link,
    operation: &'static str,
}

impl Stream {
    /// Stores all parts. Those of a batch that is refused are stored by halves, so that a few conflicts cost a few
    /// batches more.
    async fn commit(&self, parts: Vec<Part>) {
        let mut to_store = vec![parts];
        while let Some(mut parts) = to_store.pop() {
            let messages = parts.iter().flat_map(|part| part.messages.iter().cloned()).collect();
            match self.store_in_time(messages).await {
                Ok(last) => answer_all(parts, last),
                Err(Failure::Refused(_)) if parts.len() > 1 => {
                    let second_half = parts.split_off(parts.len() / 2);
                    to_store.extend([second_half, parts]);
                }
                Err(failure) => self.fail_all(parts, &failure),
            }
        }
    }

    fn fail_all(&self, parts: Vec<Part>, failure: &Failure) {
        for Part { answer, .. } in parts {
            let error = match failure {
                Failure::Refused(error) if error.error_code() == ErrorCode::STREAM_WRONG_LAST_SEQUENCE => {
                    CommitError::Conflict
                }
                Failure::Refused(error) => Unavailable::new(self.operation, error.to_string()).into(),
                Failure::Unavailable(error) => Unavailable::new(self.operation, error.to_string()).into(),
            };
            // Whoever does not wait any more has lost nothing.
            let _ = answer.send(Err(error));
        }
    }

    /// Stores the messages now or not at all, as far as that can be: who is told that they are not stored may decide
    /// something else.
    async fn store_in_time(&self, messages: Vec<Message>) -> Result<u64, Failure> {
        self.link.connected(self.operation).await?;
        // What the server refuses is an answer, too.
        let stored = async {
            match self.store(messages).await {
                Err(Failure::Unavailable(error)) => Err(error),
                Err(Failure::Refused(error)) => Ok(Err(error)),
                Ok(last) => Ok(Ok(last)),
            }
        };
        self.link.while_connected(self.operation, stored).await?.map_err(Failure::Refused)
    }

    /// Stores the messages as one: a single message as it is, several as an atomic batch.
    async fn store(&self, mut messages: Vec<Message>) -> Result<u64, Failure> {
        let Some(mut last) = messages.pop() else {
            return Err(Unavailable::new(self.operation, "there is nothing to store").into());
        };
        if !messages.is_empty() {
            let (batch, length) = (Uuid::new_v4().to_string(), messages.len() + 1);
            for (index, mut message) in messages.into_iter().enumerate() {
                write_batch_headers(&mut message.headers, &batch, index + 1);
                let Message { subject, headers, payload } = message;
                self.link
                    .client
                    .publish_with_headers(subject, headers, payload)
                    .await
                    .during(self.operation)?;
            }
            write_batch_headers(&mut last.headers, &batch, length);
            last.headers.insert(nats_header::NATS_BATCH_COMMIT, nats_header::NATS_BATCH_COMMIT_FINAL);
        }
        let Message { subject, headers, payload } = last;
        let reply =
            self.link.client.request_with_headers(subject, headers, payload).await.during(self.operation)?;
        match serde_json::from_slice::<Response<Acknowledged>>(&reply.payload).during(self.operation)? {
            Response::Ok(acknowledged) => Ok(acknowledged.seq),
            Response::Err { error } => Err(Failure::Refused(error)),
        }
    }
}

/// A batch's messages have consecutive sequences.
fn answer_all(parts: Vec<Part>, last: u64) {
    let mut sequence = last;
    for Part { messages, answer } in parts.into_iter().rev() {
        let _ = answer.send(Ok(sequence));
        sequence -= u64::try_from(messages.len()).expect("a batch is small");
    }
}

fn write_batch_headers(headers: &mut HeaderMap, batch: &str, sequence: usize) {
    headers.insert(nats_header::NATS_BATCH_ID, batch);
    headers.insert(nats_header::NATS_BATCH_SEQUENCE, sequence.to_string());
}

/// What the server says, or that it says nothing.
enum Failure {
    Refused(async_nats::jetstream::Error),
    Unavailable(Unavailable),
}

impl From<Unavailable> for Failure {
    fn from(error: Unavailable) -> Self {
        Failure::Unavailable(error)
    }
}

/// The part of a publish acknowledgement that counts here.
#[derive(Deserialize)]
struct Acknowledged {
    seq: u64,
}

impl From<CommitError> for Unavailable {
    /// For those who expect no sequence: a conflict is none that they could meet.
    fn from(error: CommitError) -> Self {
        match error {
            CommitError::Unavailable(error) => error,
            CommitError::Conflict => Unavailable::new("store a message", error),
        }
    }
}
