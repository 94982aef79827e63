//! What a replica writes, on its way to the log stream: batched, acknowledged, bounded.
//!
//! Readers of a replica's output must never wait for NATS, or a chatty server would stand still whenever the log
//! does: they push into a queue, and what the queue cannot hold is counted and said so in its place. Each replica
//! has a queue of its own, so that none can push another's lines out.

mod form;
mod queue;

use std::sync::Arc;
use std::time::Duration;

use access_log::{ContainerLine, Stream};
use bytes::Bytes;
use domain::{InstanceId, ReplicaId};
use jiff::Timestamp;
use store::{DataStream, Store};
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};
use uuid::Uuid;

pub(crate) use queue::LINE_BYTES_MAX;
use queue::{Queue, QueuedLine};

/// How long the first line of a batch waits for others.
const BATCH_DELAY: Duration = Duration::from_millis(200);
/// The pause after a batch could not be published; doubles up to [`RETRY_PAUSE_MAX`].
const RETRY_PAUSE_MIN: Duration = Duration::from_millis(200);
const RETRY_PAUSE_MAX: Duration = Duration::from_secs(5);
/// How long the end of a replica waits for its last lines to be acknowledged.
const FLUSH_MAX: Duration = Duration::from_secs(10);

/// The log of one replica.
pub(crate) struct Log {
    queue: Arc<Queue>,
    instance: InstanceId,
    replica: ReplicaId,
    pump: JoinHandle<()>,
}

/// Where the readers of a replica's output put its lines.
#[derive(Clone)]
pub(crate) struct LineSender(Arc<Queue>);

impl Log {
    pub(crate) fn open(store: &Store, instance: InstanceId, replica: ReplicaId) -> Log {
        Self::open_as(store, instance, replica, instance.to_string(), replica.to_string())
    }

    /// The log of a replica whose lines are kept elsewhere until they are taken: it is followed anew by whoever comes
    /// next, from the last line on that the stream has under the replica's own subject.
    pub(crate) fn follow(store: &Store, instance: InstanceId, replica: ReplicaId) -> Log {
        // Numbers begin anew with each that follows, so each has batches of its own.
        let follower = Uuid::now_v7();
        let batches = format!("{replica}:{follower}");
        Self::open_as(store, instance, replica, replica_source(instance, replica), batches)
    }

    fn open_as(
        store: &Store,
        instance: InstanceId,
        replica: ReplicaId,
        source: String,
        batches: String,
    ) -> Log {
        let queue = Arc::new(Queue::default());
        let pump = pump(store.clone(), instance, replica, Arc::clone(&queue), source, batches);
        Log { queue, instance, replica, pump: tokio::spawn(pump) }
    }

    pub(crate) fn sender(&self) -> LineSender {
        LineSender(Arc::clone(&self.queue))
    }

    /// Waits until every line is acknowledged, but not for ever: what is given up is counted in the worker's own log.
    pub(crate) async fn close(self) {
        let (instance, replica) = (self.instance, self.replica);
        let lines = self.flush(FLUSH_MAX).await;
        if lines > 0 {
            tracing::error!(%instance, %replica, lines, "last log lines were not acknowledged and are given up");
        }
    }

    /// Waits until every line is acknowledged, for as long as `limit`. Gives the number of those that are not.
    async fn flush(mut self, limit: Duration) -> u64 {
        self.queue.close();
        if let Ok(Err(error)) = timeout(limit, &mut self.pump).await {
            tracing::error!(replica = %self.replica, %error, "log pump ended");
        }
        self.queue.unacknowledged()
    }
}

impl Drop for Log {
    fn drop(&mut self) {
        self.pump.abort();
    }
}

impl LineSender {
    /// Waits until the queue is far from full: whoever can have the lines again does not push them out.
    pub(crate) async fn has_room(&self) {
        self.0.has_room().await;
    }

    /// Takes a line, or counts it as dropped. Never waits.
    pub(crate) fn push(&self, time: Timestamp, stream: Stream, text: String) {
        self.0.push(time, stream, text);
    }
}

/// Under what the lines of one replica lie in the stream.
pub(crate) fn replica_source(instance: InstanceId, replica: ReplicaId) -> String {
    format!("{instance}.{replica}")
}

/// Publishes batch after batch, in order, until the queue is closed and empty. `batches` begins their ids.
async fn pump(
    store: Store,
    instance: InstanceId,
    replica: ReplicaId,
    queue: Arc<Queue>,
    source: String,
    batches: String,
) {
    let (mut number, mut reader) = (0_u64, form::Reader::default());
    while let Some(batch) = queue.next_batch(BATCH_DELAY).await {
        let lines: Vec<ContainerLine> = batch
            .into_iter()
            .map(|QueuedLine { time, stream, text }| {
                let (level, module) = reader.read(stream, &text);
                let line = ContainerLine::new(time, instance.0, replica.0, stream, text);
                ContainerLine { level, module, ..line }
            })
            .collect();
        // Under the same id a batch counts once within the stream's window of duplicates, which is half an hour
        // (`nats/streams/LOGS.json`). One that was stored without an answer and is tried for longer comes twice.
        let id = format!("{batches}:{number}");
        publish(&store, &source, &id, Bytes::from(store::encode(&lines))).await;
        queue.acknowledge();
        number += 1;
    }
}

/// Tries until the batch is acknowledged. Meanwhile the queue fills, and what it cannot hold is counted.
async fn publish(store: &Store, source: &str, id: &str, lines: Bytes) {
    let mut pause = RETRY_PAUSE_MIN;
    while let Err(error) = store.publish(DataStream::Logs, source, id, lines.clone()).await {
        tracing::warn!(
            instance = source,
            batch = id,
            error = &error as &dyn std::error::Error,
            "publish log lines; trying again"
        );
        sleep(pause).await;
        pause = (pause * 2).min(RETRY_PAUSE_MAX);
    }
}

#[cfg(test)]
mod tests {
    use store::testing::TestServer;

    use super::*;

    fn log(store: &Store) -> Log {
        let log = Log::open(store, InstanceId(Uuid::now_v7()), ReplicaId(Uuid::now_v7()));
        for text in ["one", "two", "three"] {
            log.sender().push(Timestamp::now(), Stream::Stderr, text.to_owned());
        }
        log
    }

    #[tokio::test]
    async fn what_is_given_up_at_the_end_is_counted() {
        let mut server = TestServer::start().await;
        let store = server.store_as(store::Role::Worker).await;
        assert_eq!(log(&store).flush(FLUSH_MAX).await, 0);
        server.kill();
        assert_eq!(log(&store).flush(Duration::ZERO).await, 3);
    }
}
