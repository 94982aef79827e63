//! Reads and decodes events ahead of the fold, each in a task of its own: while one chunk is folded and written, the
//! next ones are decoded, and others are on their way. The order is the log's.
//!
//! Reading is apart from decoding because a pull consumer asks for more only while it is polled: a reader that decodes
//! in between would let the server wait.

use domain::Recorded;
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use crate::connection::Store;
use crate::error::{Unavailable, Unreadable};
use crate::reader::{Read, Reader};
use crate::{subject, tail};

/// How many events are decoded together at most.
const CHUNK_EVENTS_MAX: usize = 256;
/// How many chunks wait for the fold at most.
const CHUNKS_AHEAD: usize = 8;

/// Consecutive events of the log.
pub(super) struct Chunk {
    pub(super) events: Vec<Recorded>,
    /// What comes after the events and cannot be read: nothing follows.
    pub(super) unreadable: Option<Unreadable>,
    /// How many events come after these, as far as the server knew.
    pub(super) pending: u64,
}

/// The log from a sequence on.
pub(super) struct Decoding {
    chunks: mpsc::Receiver<Chunk>,
    /// Ends the tasks when dropped.
    _tasks: JoinSet<()>,
}

impl Decoding {
    pub(super) fn start(store: &Store, next_sequence: u64) -> Self {
        let reader = Reader::new(store.clone(), subject::EVENTS, subject::event("*", ">"), next_sequence);
        let (read_sender, reads) = mpsc::channel(CHUNKS_AHEAD);
        let (sender, chunks) = mpsc::channel(CHUNKS_AHEAD);
        let mut tasks = JoinSet::new();
        tasks.spawn(read(reader, read_sender));
        tasks.spawn(decode(reads, sender));
        Decoding { chunks, _tasks: tasks }
    }

    /// The next chunk. Waits as long as it takes; dropping the future loses nothing.
    ///
    /// # Errors
    /// An event that could not be read came before.
    pub(super) async fn next(&mut self) -> Result<Chunk, Unavailable> {
        let ended = || Unavailable::new("read events", "the reading of events has ended");
        self.chunks.recv().await.ok_or_else(ended)
    }
}

async fn read(mut reader: Reader, reads: mpsc::Sender<Vec<Read>>) {
    loop {
        let chunk = reader.next_chunk(CHUNK_EVENTS_MAX).await;
        if reads.send(chunk).await.is_err() {
            return;
        }
    }
}

async fn decode(mut reads: mpsc::Receiver<Vec<Read>>, chunks: mpsc::Sender<Chunk>) {
    while let Some(reads) = reads.recv().await {
        let pending = reads.last().map_or(0, |last| last.pending);
        let mut chunk = Chunk { events: Vec::with_capacity(reads.len()), unreadable: None, pending };
        for read in reads {
            match tail::recorded(&read.message, read.sequence) {
                Ok(recorded) => chunk.events.push(recorded),
                Err(unreadable) => {
                    chunk.unreadable = Some(unreadable);
                    break;
                }
            }
        }
        let last = chunk.unreadable.is_some();
        if chunks.send(chunk).await.is_err() || last {
            return;
        }
    }
}
