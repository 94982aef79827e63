//! What a stream holds: the messages that are still to be sent, and those that a client may want again.

use std::collections::VecDeque;
use std::fmt;
use std::task::{Context, Waker};

use bytes::{Bytes, BytesMut};
use mcp::sse::Frame;
use tokio::time::Instant;

/// Bytes of events that a stream keeps. The newest event and answers are kept whatever their size.
const KEPT_BYTES_MAX: usize = 8 * 1024 * 1024;
/// Bytes after which a chunk of an event stream is handed to the connection.
const CHUNK_BYTES: usize = 256 * 1024;

pub(super) struct Queue {
    pub(super) events: VecDeque<Event>,
    /// The sequence of the next event; the first is 1.
    pub(super) next: u64,
    /// The sequence of the next event to send.
    pub(super) unsent: u64,
    /// Whether to send the event without data first, which has sequence 0.
    pub(super) prime: bool,
    pub(super) bytes: usize,
    /// What of a long chunk the connection has not been handed yet.
    pub(super) rest: Bytes,
    /// Whether there is, or was, anything but answers: then they cannot go as JSON.
    pub(super) mixed: bool,
    pub(super) finished: bool,
    /// Whether the client did not read in time and is given up.
    pub(super) lost: bool,
    /// When the client last took something, or something came after it had taken all.
    pub(super) taken: Instant,
    /// Which connection sends the stream, if one does: a later one takes over from an earlier one.
    pub(super) connection: Option<u64>,
    pub(super) connections: u64,
    waker: Option<Waker>,
}

pub(super) struct Event {
    pub(super) sequence: u64,
    pub(super) message: Bytes,
    pub(super) answer: bool,
}

/// The id of an event: it names the stream, so that a GET finds what it resumes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct EventId {
    pub(crate) stream: u64,
    pub(crate) sequence: u64,
}

impl EventId {
    /// Reads what [`Display`](fmt::Display) wrote.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let (stream, sequence) = text.split_once('-')?;
        Some(Self { stream: stream.parse().ok()?, sequence: sequence.parse().ok()? })
    }
}

impl fmt::Display for EventId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}-{}", self.stream, self.sequence)
    }
}

impl Queue {
    pub(super) fn new() -> Self {
        Self {
            events: VecDeque::new(),
            next: 1,
            unsent: 1,
            prime: false,
            bytes: 0,
            rest: Bytes::new(),
            mixed: false,
            finished: false,
            lost: false,
            taken: Instant::now(),
            connection: None,
            connections: 0,
            waker: None,
        }
    }

    pub(super) fn put(&mut self, message: Bytes, answer: bool) {
        if self.unsent == self.next {
            self.taken = Instant::now();
        }
        self.bytes += message.len();
        self.events.push_back(Event { sequence: self.next, message, answer });
        self.next += 1;
        while self.bytes > KEPT_BYTES_MAX
            && self.events.len() > 1
            && let Some(oldest) = self.events.pop_front_if(|oldest| !oldest.answer)
        {
            self.bytes -= oldest.message.len();
        }
        self.wake();
    }

    /// The sequence of the oldest event that is kept, or of the next if none is.
    pub(super) fn oldest(&self) -> u64 {
        self.events.front().map_or(self.next, |event| event.sequence)
    }

    /// The next chunk for the connection, as events of the stream with this number.
    pub(super) fn chunk(&mut self, number: Option<u64>) -> Bytes {
        let mut chunk = BytesMut::new();
        if std::mem::take(&mut self.prime) {
            encode(&mut chunk, number, 0, &[]);
        }
        let sent = self.events.partition_point(|event| event.sequence < self.unsent);
        for event in self.events.range(sent..) {
            encode(&mut chunk, number, event.sequence, &event.message);
            self.unsent = event.sequence + 1;
            if chunk.len() >= CHUNK_BYTES {
                break;
            }
        }
        if number.is_none() {
            self.forget_sent();
        }
        chunk.freeze()
    }

    pub(super) fn forget_sent(&mut self) {
        while let Some(sent) = self.events.front().filter(|event| event.sequence < self.unsent) {
            self.bytes -= sent.message.len();
            self.events.pop_front();
        }
    }

    pub(super) fn forget_all(&mut self) {
        self.rest = Bytes::new();
        self.events.clear();
        self.bytes = 0;
    }

    pub(super) fn wait(&mut self, context: &Context<'_>) {
        match &mut self.waker {
            Some(waker) => waker.clone_from(context.waker()),
            None => self.waker = Some(context.waker().clone()),
        }
    }

    pub(super) fn wake(&mut self) {
        if let Some(waker) = self.waker.take() {
            waker.wake();
        }
    }
}

fn encode(chunk: &mut BytesMut, number: Option<u64>, sequence: u64, message: &[u8]) {
    let id = number.map(|stream| EventId { stream, sequence }.to_string());
    Frame { id: id.as_deref(), data: Some(message), ..Frame::default() }.encode(chunk);
}
