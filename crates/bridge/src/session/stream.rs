//! A stream of messages to the client: the answer to one POST, or what a GET listens to.
//!
//! The queue of a stream is also its memory: events stay after they were sent, up to a bound, so that a client that lost
//! its connection resumes after the last event it has seen. Whether a POST is answered with JSON or with events is
//! decided by what comes first. Only [`Session`](super::Session) puts messages in.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::fmt;
use std::future::poll_fn;
use std::task::{Context, Poll, Waker};

use bytes::{Bytes, BytesMut};
use mcp::sse::Frame;

use crate::meter::Meter;

/// Bytes of events that a stream keeps. The newest event and answers are kept whatever their size.
const KEPT_BYTES_MAX: usize = 8 * 1024 * 1024;
/// Bytes after which a chunk of an event stream is handed to the connection.
const CHUNK_BYTES: usize = 256 * 1024;
/// Messages up to this size are copied, so that they do not hold on to the buffer they were read into. A longer line has
/// a buffer of its own.
const COPIED_BYTES_MAX: usize = crate::child::SHARED_BYTES_MAX;

pub(crate) struct Stream {
    /// By which a client resumes it; `None` if it cannot, and nothing is kept for it.
    number: Option<u64>,
    meter: Meter,
    state: RefCell<State>,
}

struct State {
    events: VecDeque<Event>,
    /// The sequence of the next event; the first is 1.
    next: u64,
    /// The sequence of the next event to send.
    unsent: u64,
    /// Whether to send the event without data first, which has sequence 0.
    prime: bool,
    bytes: usize,
    /// Whether there is, or was, anything but answers: then they cannot go as JSON.
    mixed: bool,
    finished: bool,
    /// Whether the client did not read in time and is given up.
    lost: bool,
    /// Which connection sends the stream, if one does: a later one takes over from an earlier one.
    connection: Option<u64>,
    connections: u64,
    waker: Option<Waker>,
}

struct Event {
    sequence: u64,
    message: Bytes,
    answer: bool,
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

/// What a POST can be answered with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum First {
    /// All answers, and nothing else.
    Answers,
    /// There is more than answers: only a stream can carry it.
    Events,
}

/// What a connection sends next.
pub(crate) enum Next {
    Chunk(Bytes),
    /// The stream has ended, for this connection or altogether.
    End,
    /// The connection was too slow, and events it has not seen are gone.
    Lost,
}

impl Stream {
    /// A stream that a client can resume.
    pub(super) fn kept_as(number: u64, meter: Meter) -> Self {
        Self::new(Some(number), meter)
    }

    /// A stream that nobody can resume.
    pub(crate) fn unkept(meter: Meter) -> Self {
        Self::new(None, meter)
    }

    fn new(number: Option<u64>, meter: Meter) -> Self {
        let state = State {
            events: VecDeque::new(),
            next: 1,
            unsent: 1,
            prime: false,
            bytes: 0,
            mixed: false,
            finished: false,
            lost: false,
            connection: None,
            connections: 0,
            waker: None,
        };
        Self { number, meter, state: RefCell::new(state) }
    }

    pub(crate) fn number(&self) -> u64 {
        self.number.unwrap_or_default()
    }

    pub(crate) fn is_connected(&self) -> bool {
        self.state.borrow().connection.is_some()
    }

    pub(crate) fn is_finished(&self) -> bool {
        self.state.borrow().finished
    }

    /// Bytes that are kept, and whether all of them were sent.
    pub(crate) fn kept(&self) -> (usize, bool) {
        let state = self.state.borrow();
        (state.bytes, state.unsent == state.next)
    }

    /// Puts an answer in.
    pub(crate) fn answer(&self, message: Bytes) {
        let message = self.kept_form(message);
        let mut state = self.state.borrow_mut();
        state.put(message, true);
        state.wake();
    }

    /// Puts anything else in.
    pub(crate) fn put(&self, message: Bytes) {
        if self.state.borrow().lost {
            return;
        }
        let message = self.kept_form(message);
        let mut state = self.state.borrow_mut();
        state.mixed = true;
        state.put(message, false);
        state.wake();
    }

    fn kept_form(&self, message: Bytes) -> Bytes {
        let copied = message.len() <= COPIED_BYTES_MAX;
        self.meter.hold(if copied { Bytes::copy_from_slice(&message) } else { message })
    }

    /// Forgets what was sent already: a client cannot resume before it any more.
    pub(super) fn forget_sent(&self) {
        self.state.borrow_mut().forget_sent();
    }

    /// Forgets all messages that have come.
    pub(super) fn forget_all(&self) {
        let mut state = self.state.borrow_mut();
        state.events.clear();
        state.bytes = 0;
    }

    /// Gives up a client that does not read: its connection ends.
    pub(crate) fn cut_off(&self) {
        let mut state = self.state.borrow_mut();
        state.events.clear();
        state.bytes = 0;
        state.lost = true;
        state.mixed = true;
        state.wake();
    }

    /// Nothing more will come.
    pub(crate) fn finish(&self) {
        let mut state = self.state.borrow_mut();
        state.finished = true;
        state.wake();
    }

    /// Waits until it is known how the POST is to be answered.
    pub(crate) async fn first(&self) -> First {
        poll_fn(|context| {
            let mut state = self.state.borrow_mut();
            if state.mixed {
                return Poll::Ready(First::Events);
            }
            if state.finished {
                return Poll::Ready(First::Answers);
            }
            state.wait(context);
            Poll::Pending
        })
        .await
    }

    /// Waits until nothing more will come.
    pub(crate) async fn finished(&self) {
        poll_fn(|context| {
            let mut state = self.state.borrow_mut();
            if state.finished {
                return Poll::Ready(());
            }
            state.wait(context);
            Poll::Pending
        })
        .await;
    }

    /// The newest message.
    pub(crate) fn last(&self) -> Option<Bytes> {
        self.state.borrow().events.back().map(|event| event.message.clone())
    }

    /// Takes the answers out, for a body of JSON.
    pub(crate) fn take_answers(&self) -> VecDeque<Bytes> {
        let mut state = self.state.borrow_mut();
        state.bytes = 0;
        std::mem::take(&mut state.events).into_iter().map(|event| event.message).collect()
    }

    /// Sends an event with an id and without data before all others: a place for the client to resume from.
    pub(crate) fn prime(&self) {
        self.state.borrow_mut().prime = true;
    }

    /// Connects, taking over from an earlier connection. With `after`, sends again what came after that event.
    /// `None` if events after it are no longer kept.
    pub(crate) fn connect(&self, after: Option<u64>) -> Option<u64> {
        let mut state = self.state.borrow_mut();
        if let Some(after) = after {
            if after >= state.next || after + 1 < state.oldest() {
                return None;
            }
            state.unsent = after + 1;
            state.prime = false;
        } else {
            // What was dropped before anyone listened is not missed.
            state.unsent = state.unsent.max(state.oldest());
        }
        state.connections += 1;
        state.connection = Some(state.connections);
        state.wake();
        state.connection
    }

    pub(crate) fn disconnect(&self, connection: u64) {
        let mut state = self.state.borrow_mut();
        if state.connection == Some(connection) {
            state.connection = None;
        }
    }

    /// What the connection sends next.
    pub(crate) fn poll_next(&self, connection: u64, context: &mut Context<'_>) -> Poll<Next> {
        let mut state = self.state.borrow_mut();
        if state.connection != Some(connection) {
            return Poll::Ready(Next::End);
        }
        if state.lost || state.unsent < state.oldest() {
            return Poll::Ready(Next::Lost);
        }
        if state.prime || state.unsent < state.next {
            return Poll::Ready(Next::Chunk(state.chunk(self.number)));
        }
        if state.finished {
            return Poll::Ready(Next::End);
        }
        state.wait(context);
        Poll::Pending
    }
}

impl State {
    fn put(&mut self, message: Bytes, answer: bool) {
        self.bytes += message.len();
        self.events.push_back(Event { sequence: self.next, message, answer });
        self.next += 1;
        while self.bytes > KEPT_BYTES_MAX
            && self.events.len() > 1
            && let Some(oldest) = self.events.pop_front_if(|oldest| !oldest.answer)
        {
            self.bytes -= oldest.message.len();
        }
    }

    /// The sequence of the oldest event that is kept, or of the next if none is.
    fn oldest(&self) -> u64 {
        self.events.front().map_or(self.next, |event| event.sequence)
    }

    fn chunk(&mut self, number: Option<u64>) -> Bytes {
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

    fn forget_sent(&mut self) {
        while let Some(sent) = self.events.front().filter(|event| event.sequence < self.unsent) {
            self.bytes -= sent.message.len();
            self.events.pop_front();
        }
    }

    fn wait(&mut self, context: &Context<'_>) {
        match &mut self.waker {
            Some(waker) => waker.clone_from(context.waker()),
            None => self.waker = Some(context.waker().clone()),
        }
    }

    fn wake(&mut self) {
        if let Some(waker) = self.waker.take() {
            waker.wake();
        }
    }
}

fn encode(chunk: &mut BytesMut, number: Option<u64>, sequence: u64, message: &[u8]) {
    let id = number.map(|stream| EventId { stream, sequence }.to_string());
    Frame { id: id.as_deref(), data: Some(message), ..Frame::default() }.encode(chunk);
}
