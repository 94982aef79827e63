//! Takes batches out of a stream of log rows such that each row arrives exactly once.
//!
//! ClickHouse recognises a batch that it has already by its deduplication token, so a batch that is inserted again
//! after a crash must be cut at the same two sequences. Therefore the cut is recorded *before* the batch is handed
//! out: after a crash the recorded batch comes first, again, with the same token. Recording is a compare-and-set,
//! so of two sinks with one name only one goes on. When nothing comes for a moment after a batch has arrived, that is
//! recorded too, as an empty batch behind it: who reads the stream need not wonder whether the last one has arrived.

use std::time::Duration;

use async_nats::jetstream::kv::{CreateErrorKind, Operation, UpdateErrorKind};
use bytes::Bytes;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use crate::bucket;
use crate::codec;
use crate::connection::Store;
use crate::data_stream::DataStream;
use crate::error::{During, Unavailable};
use crate::reader::{self, Bounds, Read, Reader};

/// How many messages a batch holds at most.
const BATCH_MESSAGES_MAX: usize = 512;
/// How many bytes a batch holds before it is closed.
const BATCH_BYTES_MAX: usize = 16 * 1024 * 1024;
/// How long a batch waits for more after its first message.
const BATCH_WAIT: Duration = Duration::from_millis(250);

/// After how long without a message it is recorded that the last batch has arrived.
const IDLE_WAIT: Duration = Duration::from_millis(500);

/// Consecutive messages of one stream.
#[derive(Clone, Debug)]
pub struct Batch {
    pub first_sequence: u64,
    pub last_sequence: u64,
    /// With the sequence of each.
    pub messages: Vec<(u64, Bytes)>,
    /// The same for the same batch, whoever hands it out again.
    pub deduplication_token: String,
    /// When the stream took the last message of the batch, by the server's clock.
    pub last_stored_at: Option<Timestamp>,
    /// How many messages before this batch the stream dropped before anybody took them, or may not have arrived.
    pub lost: u64,
}

/// Why there is no batch.
#[derive(Debug, thiserror::Error)]
pub enum SinkError {
    #[error(transparent)]
    Unavailable(#[from] Unavailable),
    #[error("another sink has taken over")]
    TakenOver,
    /// Trying again does not help. Beginning anew by itself could put rows into ClickHouse twice.
    #[error(
        "the record of sink {sink} in bucket sinks cannot be read: run the version that wrote it, or delete the key \
         {sink} from the bucket, after which the stream is carried from its first message on"
    )]
    Unreadable {
        sink: &'static str,
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

/// What is recorded before a batch is handed out.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Cut {
    /// Names the stream for as long as it lives: another stream gives the same sequences out again.
    stream: String,
    /// One behind `last` when everything up to `last` has arrived.
    first: u64,
    last: u64,
}

/// One sink of a stream.
pub struct Sink {
    store: Store,
    stream: DataStream,
    key: &'static str,
    reader: Reader,
    cut: Cut,
    revision: u64,
    /// The recorded batch may not have arrived: hand it out again first.
    repeat: bool,
    /// How many messages went before anybody took them, not yet told.
    lost: u64,
    /// A message that was read but did not fit into the last batch.
    held: Option<Message>,
    /// What has been read of the next batch.
    gathered: Vec<Message>,
}

/// A message with its sequence, and when the stream took it.
type Message = (u64, Bytes, Option<Timestamp>);

impl Store {
    /// Opens the sink of a stream where it ended.
    ///
    /// # Errors
    /// NATS did not answer, or the record cannot be read.
    pub async fn sink(&self, stream: DataStream) -> Result<Sink, SinkError> {
        const OPERATION: &str = "open a sink";
        let key = stream.name();
        let entry = self.sinks_bucket().await?.entry(key).await.during(OPERATION)?;
        let (recorded, revision) = match entry {
            Some(entry) if entry.operation == Operation::Put => {
                let unreadable = |source: rmp_serde::decode::Error| SinkError::Unreadable {
                    sink: key,
                    source: source.into(),
                };
                (codec::decode::<Cut>(&entry.value).map_err(unreadable)?, entry.revision)
            }
            Some(entry) => (Cut::default(), entry.revision),
            None => (Cut::default(), 0),
        };
        let bounds = reader::bounds(self, key).await?;
        let name = bounds.created_ns.to_string();
        let start = Place::after(recorded, &bounds, name);
        let reader = Reader::new(self.clone(), key, String::new(), start.next_sequence);
        let Place { cut, repeat, lost, .. } = start;
        Ok(Sink {
            store: self.clone(),
            stream,
            key,
            reader,
            cut,
            revision,
            repeat,
            lost,
            held: None,
            gathered: vec![],
        })
    }

    /// Every message before this one has arrived, or lies with the dead letters: the batch that is recorded was asked for
    /// when the one before it was done. `bounds` were asked of the stream.
    pub(crate) async fn arrived_before(
        &self,
        stream: DataStream,
        bounds: &Bounds,
    ) -> Result<u64, Unavailable> {
        let bucket = self.sinks_bucket().await?;
        let recorded = bucket::read_key::<Cut>(bucket, stream.name(), "ask how far a sink is").await?;
        // A record of a stream that there is no more says nothing of this one.
        let cut = recorded.map(|(cut, _)| cut).filter(|cut| cut.stream == bounds.created_ns.to_string());
        Ok(cut.map_or(1, |cut| cut.first.max(1)))
    }
}

/// Where a sink begins.
struct Place {
    cut: Cut,
    next_sequence: u64,
    repeat: bool,
    lost: u64,
}

impl Place {
    /// Where to go on after what is recorded, in a stream that holds what `bounds` say.
    fn after(recorded: Cut, bounds: &Bounds, name: String) -> Self {
        if recorded.stream != name || recorded.last > bounds.last_sequence {
            if recorded.last > 0 {
                tracing::warn!("the stream of a sink was made anew: beginning with its first message");
            }
            let cut = Cut { stream: name, first: 0, last: 0 };
            return Place { cut, next_sequence: 1, repeat: false, lost: 0 };
        }
        if recorded.last == 0 || recorded.first < bounds.first_sequence {
            // The stream has dropped a part of the recorded batch. Whether the batch had arrived is not known, and half
            // of it would be taken for another.
            let lost = if recorded.last == 0 { 0 } else { recorded.last + 1 - recorded.first };
            return Place { next_sequence: recorded.last + 1, cut: recorded, repeat: false, lost };
        }
        let repeat = recorded.first <= recorded.last;
        Place { next_sequence: recorded.first, cut: recorded, repeat, lost: 0 }
    }
}

impl Sink {
    /// The sequence up to which every message has arrived for certain.
    pub fn arrived(&self) -> u64 {
        if self.repeat { self.cut.first.saturating_sub(1) } else { self.cut.last }
    }

    /// The next batch. Asking for it says that the batch before has arrived.
    ///
    /// # Errors
    /// See [`SinkError`]; after one, open the sink anew.
    pub async fn next(&mut self) -> Result<Batch, SinkError> {
        if std::mem::take(&mut self.repeat) {
            return Ok(self.read_again().await);
        }
        self.read_on().await;
        while self.gathered.is_empty() {
            self.record_arrived().await?;
            self.read_on().await;
        }
        let messages = std::mem::take(&mut self.gathered);
        let (first, last) = (messages[0].0, messages[messages.len() - 1].0);
        let lost = std::mem::take(&mut self.lost) + (first - 1).saturating_sub(self.cut.last);
        self.record(Cut { stream: self.cut.stream.clone(), first, last }).await?;
        Ok(self.batch(messages, lost))
    }

    /// Reads the next batch while the last one is on its way, so that asking for it need not wait: the first message that
    /// comes within a moment, and what comes shortly after it. Dropping the future loses nothing.
    pub async fn read_on(&mut self) {
        if self.repeat || !self.gathered.is_empty() {
            return;
        }
        let first = match self.held.take() {
            Some(held) => held,
            None => match tokio::time::timeout(IDLE_WAIT, self.read()).await {
                Ok(first) => first,
                Err(_idle) => return,
            },
        };
        let deadline = Instant::now() + BATCH_WAIT;
        let mut bytes = first.1.len();
        self.gathered.push(first);
        while self.gathered.len() < BATCH_MESSAGES_MAX {
            let Ok(message) = tokio::time::timeout_at(deadline, self.read()).await else { return };
            bytes += message.1.len();
            if bytes > BATCH_BYTES_MAX {
                self.held = Some(message);
                return;
            }
            self.gathered.push(message);
        }
    }

    async fn read(&mut self) -> Message {
        message(&self.reader.next().await)
    }

    fn batch(&self, messages: Vec<Message>, lost: u64) -> Batch {
        let Cut { stream, first, last } = &self.cut;
        Batch {
            first_sequence: *first,
            last_sequence: *last,
            last_stored_at: messages.last().and_then(|(.., stored_at)| *stored_at),
            messages: messages.into_iter().map(|(sequence, message, _)| (sequence, message)).collect(),
            deduplication_token: format!("{}/{stream}:{first}-{last}", self.stream.name()),
            lost,
        }
    }

    /// The recorded batch once more.
    async fn read_again(&mut self) -> Batch {
        let mut messages = Vec::new();
        loop {
            let read = self.reader.next().await;
            messages.push(message(&read));
            if read.sequence >= self.cut.last {
                return self.batch(messages, 0);
            }
        }
    }

    /// The recorded batch has arrived, and there is no other yet.
    async fn record_arrived(&mut self) -> Result<(), SinkError> {
        let Cut { stream, first, last } = self.cut.clone();
        if first > last || last == 0 {
            return Ok(());
        }
        self.record(Cut { stream, first: last + 1, last }).await
    }

    async fn record(&mut self, cut: Cut) -> Result<(), SinkError> {
        const OPERATION: &str = "record a batch";
        let bucket = self.store.sinks_bucket().await?;
        let value = Bytes::from(codec::encode(&cut));
        let recorded = if self.revision == 0 {
            bucket.create(self.key, value).await.map_err(|error| match error.kind() {
                CreateErrorKind::AlreadyExists => SinkError::TakenOver,
                _ => Unavailable::new(OPERATION, error).into(),
            })
        } else {
            bucket.update(self.key, value, self.revision).await.map_err(|error| match error.kind() {
                UpdateErrorKind::WrongLastRevision => SinkError::TakenOver,
                _ => Unavailable::new(OPERATION, error).into(),
            })
        };
        self.revision = recorded?;
        self.cut = cut;
        Ok(())
    }
}

fn message(read: &Read) -> Message {
    let stored_at = read.message.info().ok().map(|info| info.published.unix_timestamp_nanos());
    let stored_at = stored_at.and_then(|at| Timestamp::from_nanosecond(at).ok());
    (read.sequence, read.message.payload.clone(), stored_at)
}
