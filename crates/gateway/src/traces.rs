//! Trace events on their way out: a bounded queue in memory, then NATS, and a spool on disk while NATS is away.
//!
//! Whoever writes one never waits: a call does not get slower because its log has nowhere to go. What a bound makes
//! us drop is counted per instance. The window in which a killed gateway loses events is what lies in the queue and
//! in unacknowledged batches: `BATCH_WAIT` and a round trip, or the acknowledgement's time-out (5 s)
//! once after NATS has gone.

mod batch;
mod losses;
mod publisher;
mod spool;

pub use losses::Losses;
pub(crate) use publisher::Publisher;
pub(crate) use spool::Spool;

use std::sync::Arc;

use access_log::TraceRecord;
use tokio::sync::mpsc;

/// How many trace events wait in memory at most: about 30 MB of them.
const QUEUE_RECORDS_MAX: usize = 65_536;

/// Where trace events are handed in. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Traces {
    queue: mpsc::Sender<TraceRecord>,
    losses: Arc<Losses>,
}

impl Traces {
    /// An empty queue and its other end.
    pub(crate) fn queue(losses: Arc<Losses>) -> (Self, mpsc::Receiver<TraceRecord>) {
        let (queue, records) = mpsc::channel(QUEUE_RECORDS_MAX);
        (Self { queue, losses }, records)
    }

    /// Hands in a trace event. Never waits; a full queue drops it and counts it.
    pub(crate) fn push(&self, record: TraceRecord) {
        if let Err(error) = self.queue.try_send(record) {
            self.losses.add(error.into_inner().instance_id, 1);
        }
    }
}
