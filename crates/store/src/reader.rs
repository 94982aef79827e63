//! Reads a stream in order from a sequence on, for ever: a broken consumer is made anew where the last one ended.

use std::time::Duration;

use async_nats::jetstream::consumer::{DeliverPolicy, pull};
use async_nats::jetstream::{self};
use futures_util::{FutureExt, StreamExt};
use uuid::Uuid;

use crate::connection::Store;
use crate::error::{self, During, Unavailable};
use crate::link::Reconnects;

/// What is done here, in errors.
const OPERATION: &str = "read a stream";

/// How long to wait before a broken consumer is made anew.
pub(crate) const RETRY_DELAY: Duration = Duration::from_millis(200);

/// A message with its place.
pub(crate) struct Read {
    pub(crate) message: jetstream::Message,
    pub(crate) sequence: u64,
    /// How many messages come after this one, as far as the server knew.
    pub(crate) pending: u64,
}

/// Reads one stream.
pub(crate) struct Reader {
    place: Place,
    reconnects: Reconnects,
}

/// Where the reading is.
struct Place {
    store: Store,
    stream: &'static str,
    filter: String,
    next_sequence: u64,
    ordered: Option<pull::Ordered>,
}

impl Reader {
    /// Reads from `next_sequence` on what `filter` lets through.
    pub(crate) fn new(store: Store, stream: &'static str, filter: String, next_sequence: u64) -> Self {
        let reconnects = store.link.reconnects();
        let next_sequence = next_sequence.max(1);
        Reader { place: Place { store, stream, filter, next_sequence, ordered: None }, reconnects }
    }

    /// The next message. Waits as long as it takes; dropping the future loses nothing.
    pub(crate) async fn next(&mut self) -> Read {
        loop {
            match self.reconnects.unless_reconnected(OPERATION, self.place.try_next()).await {
                Ok(read) => {
                    self.place.next_sequence = read.sequence + 1;
                    return read;
                }
                Err(error) => {
                    tracing::warn!(
                        error = &error as &dyn std::error::Error,
                        stream = self.place.stream,
                        "reading broke, trying again"
                    );
                    self.place.ordered = None;
                    tokio::time::sleep(RETRY_DELAY).await;
                }
            }
        }
    }
}

impl Reader {
    /// The next message, and those that have arrived behind it, `max` in all. Waits for the first as long as it takes.
    pub(crate) async fn next_chunk(&mut self, max: usize) -> Vec<Read> {
        let mut chunk = vec![self.next().await];
        while chunk.len() < max {
            match self.place.try_next().now_or_never() {
                Some(Ok(read)) => {
                    self.place.next_sequence = read.sequence + 1;
                    chunk.push(read);
                }
                Some(Err(_)) => {
                    // Whoever asks next opens another consumer where this one broke.
                    self.place.ordered = None;
                    break;
                }
                None => break,
            }
        }
        chunk
    }
}

impl Place {
    async fn try_next(&mut self) -> Result<Read, Unavailable> {
        if self.ordered.is_none() {
            self.ordered = Some(self.open().await?);
        }
        let ordered = self.ordered.as_mut().expect("it was opened above");
        let message = error::given(ordered.next().await, OPERATION)?;
        let info = message.info().during(OPERATION)?;
        let (sequence, pending) = (info.stream_sequence, info.pending);
        Ok(Read { message, sequence, pending })
    }

    async fn open(&mut self) -> Result<pull::Ordered, Unavailable> {
        let stream = self.store.jetstream.get_stream_no_info(self.stream).await.during(OPERATION)?;
        let config = pull::OrderedConfig {
            // With a name it stands in the subject of the request, where the permissions can tell it from the durable
            // consumers.
            name: Some(format!("reader-{}", Uuid::new_v4().simple())),
            filter_subject: self.filter.clone(),
            deliver_policy: DeliverPolicy::ByStartSequence { start_sequence: self.next_sequence },
            ..Default::default()
        };
        let consumer = stream.create_consumer(config).await.during(OPERATION)?;
        consumer.messages().await.during(OPERATION)
    }
}

/// Which stream it is, and what it holds.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bounds {
    /// When the stream was made, in nanoseconds since 1970: another stream of the same name was made at another time.
    pub(crate) created_ns: i128,
    pub(crate) first_sequence: u64,
    /// 0 when the stream never held anything.
    pub(crate) last_sequence: u64,
    /// How many messages it holds.
    pub(crate) messages: u64,
}

/// Looks at a stream.
pub(crate) async fn bounds(store: &Store, stream: &str) -> Result<Bounds, Unavailable> {
    const OPERATION: &str = "look at a stream";
    let stream = store.jetstream.get_stream(stream).await.during(OPERATION)?;
    let info = stream.cached_info();
    Ok(Bounds {
        created_ns: info.created.unix_timestamp_nanos(),
        first_sequence: info.state.first_sequence,
        last_sequence: info.state.last_sequence,
        messages: info.state.messages,
    })
}
