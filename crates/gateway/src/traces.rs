//! Trace events on their way out: a bounded queue in memory, then NATS, and a spool on disk while NATS is away.
//!
//! Whoever writes one never waits: a call does not get slower because its log has nowhere to go. What a bound makes
//! us drop is counted per instance. The window in which a killed gateway loses events is what lies in the queue and
//! in unacknowledged batches: `BATCH_WAIT` and a round trip, and more while NATS takes less than comes. When the
//! connection to NATS is lost, they go to the spool at once; only a NATS that is connected and does not answer is waited
//! for, 5 s.

mod batch;
mod call;
mod entry;
mod head;
mod losses;
mod prefix;
mod publisher;
mod receipt;
mod spool;

pub(crate) use call::{Call, QUERY_BYTES_MAX};
pub(crate) use entry::{Answer, Body, BodyKind, Entry, Recorder, Rpc};
pub(crate) use head::Head;
pub use losses::Losses;
pub(crate) use prefix::Prefix;
pub(crate) use publisher::Publisher;
pub(crate) use receipt::{Acknowledge, Receipt};
pub(crate) use spool::Spool;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::{Notify, mpsc};

/// How many trace events wait in memory at most.
const QUEUE_ENTRIES_MAX: usize = 65_536;
/// How much they may take there, about, in bytes.
const QUEUE_BYTES_MAX: usize = 128 * 1024 * 1024;

/// Where trace events are handed in. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Traces {
    queue: mpsc::Sender<Entry>,
    bytes: Arc<AtomicUsize>,
    hurry: Arc<Notify>,
    losses: Arc<Losses>,
}

/// Where they come out.
pub(crate) struct Entries {
    queue: mpsc::Receiver<Entry>,
    bytes: Arc<AtomicUsize>,
    /// Told when somebody waits for an event to be acknowledged.
    hurry: Arc<Notify>,
}

impl Traces {
    /// An empty queue and its other end.
    pub(crate) fn queue(losses: Arc<Losses>) -> (Self, Entries) {
        let (queue, entries) = mpsc::channel(QUEUE_ENTRIES_MAX);
        let (bytes, hurry) = (Arc::<AtomicUsize>::default(), Arc::<Notify>::default());
        let traces = Self { queue, bytes: bytes.clone(), hurry: hurry.clone(), losses };
        (traces, Entries { queue: entries, bytes, hurry })
    }

    /// Hands in a trace event. Never waits; a full queue drops it and counts it.
    pub(crate) fn push(&self, entry: Entry) {
        let (instance, bytes, is_awaited) = (entry.instance(), entry.bytes(), entry.acknowledge.is_some());
        let waiting = self.bytes.fetch_add(bytes, Ordering::Relaxed);
        if waiting + bytes > QUEUE_BYTES_MAX || self.queue.try_send(entry).is_err() {
            self.bytes.fetch_sub(bytes, Ordering::Relaxed);
            self.losses.add(instance, 1);
        } else if is_awaited {
            self.hurry.notify_one();
        }
    }
}

impl Entries {
    /// The next one; none when nobody can hand in any more.
    async fn next(&mut self) -> Option<Entry> {
        let entry = self.queue.recv().await?;
        Some(self.taken(entry))
    }

    /// Those that are there already, behind `first`; `count_max` at most.
    fn take(&mut self, first: Option<Entry>, count_max: usize) -> Vec<Entry> {
        let mut entries = Vec::from_iter(first);
        while entries.len() < count_max
            && let Ok(entry) = self.queue.try_recv()
        {
            entries.push(self.taken(entry));
        }
        entries
    }

    /// Takes no more in.
    fn close(&mut self) {
        self.queue.close();
    }

    fn taken(&self, entry: Entry) -> Entry {
        self.bytes.fetch_sub(entry.bytes(), Ordering::Relaxed);
        entry
    }
}
