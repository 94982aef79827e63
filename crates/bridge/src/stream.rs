//! A stream of messages to the client: the answer to one POST, or what a GET listens to.
//!
//! The queue of a stream is also its memory: events stay after they were sent, up to a bound, so that a client that lost
//! its connection resumes after the last event it has seen. Whether a POST is answered with JSON or with events is
//! decided by what comes first. A session and a shared child put messages in, connections take them out.

mod queue;

use std::cell::RefCell;
use std::collections::VecDeque;
use std::future::poll_fn;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use tokio::time::Instant;

use crate::meter::Meter;
pub(crate) use queue::EventId;
use queue::Queue;

/// Messages up to this size are copied, so that they do not hold on to the buffer they were read into. A longer line has
/// a buffer of its own.
const COPIED_BYTES_MAX: usize = crate::child::SHARED_BYTES_MAX;
/// Bytes of a long answer or chunk that are handed to the connection at a time. They are copied, so that a connection
/// that does not go on holds only those.
const PART_BYTES: usize = 64 * 1024;
/// Time without taking anything after which a client is given up when others need the memory.
const STALLED_AFTER: Duration = Duration::from_secs(5);

pub(crate) struct Stream {
    /// By which a client resumes it; `None` if it cannot, and nothing is kept for it.
    number: Option<u64>,
    meter: Meter,
    queue: RefCell<Queue>,
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
    pub(crate) fn kept_as(number: u64, meter: Meter) -> Self {
        Self { number: Some(number), meter, queue: RefCell::new(Queue::new()) }
    }

    /// A stream that nobody can resume.
    pub(crate) fn unkept(meter: Meter) -> Self {
        Self { number: None, meter, queue: RefCell::new(Queue::new()) }
    }

    pub(crate) fn number(&self) -> u64 {
        self.number.unwrap_or_default()
    }

    pub(crate) fn is_connected(&self) -> bool {
        self.queue.borrow().connection.is_some()
    }

    pub(crate) fn is_finished(&self) -> bool {
        self.queue.borrow().finished
    }

    /// Bytes that are kept, and whether all of them were sent.
    pub(crate) fn kept(&self) -> (usize, bool) {
        let queue = self.queue.borrow();
        (queue.bytes, queue.unsent == queue.next)
    }

    /// Bytes that are kept and are no answers.
    pub(crate) fn said(&self) -> usize {
        let queue = self.queue.borrow();
        queue.events.iter().filter(|event| !event.answer).map(|event| event.message.len()).sum()
    }

    /// Whether there is something for the client that it does not take.
    pub(crate) fn is_stalled(&self) -> bool {
        let queue = self.queue.borrow();
        let waits = !queue.rest.is_empty() || (queue.unsent < queue.next && !queue.events.is_empty());
        waits && queue.taken.elapsed() > STALLED_AFTER
    }

    /// Puts an answer in. One whose client was given up before is for nobody.
    pub(crate) fn answer(&self, message: Bytes) {
        if !self.queue.borrow().lost {
            let message = self.kept_form(message);
            self.queue.borrow_mut().put(message, true);
        }
    }

    /// Puts anything else in.
    pub(crate) fn put(&self, message: Bytes) {
        if !self.queue.borrow().lost {
            let message = self.kept_form(message);
            let mut queue = self.queue.borrow_mut();
            queue.mixed = true;
            queue.put(message, false);
        }
    }

    fn kept_form(&self, message: Bytes) -> Bytes {
        let copied = message.len() <= COPIED_BYTES_MAX;
        self.meter.hold(if copied { Bytes::copy_from_slice(&message) } else { message })
    }

    /// Forgets what was sent already: a client cannot resume before it any more.
    pub(crate) fn forget_sent(&self) {
        self.queue.borrow_mut().forget_sent();
    }

    /// Forgets all messages that have come.
    pub(crate) fn forget_all(&self) {
        self.queue.borrow_mut().forget_all();
    }

    /// Gives up a client that does not read: its connection ends.
    pub(crate) fn cut_off(&self) {
        let mut queue = self.queue.borrow_mut();
        queue.forget_all();
        queue.lost = true;
        queue.mixed = true;
        queue.wake();
    }

    /// Nothing more will come.
    pub(crate) fn finish(&self) {
        let mut queue = self.queue.borrow_mut();
        queue.finished = true;
        queue.wake();
    }

    /// Waits until it is known how the POST is to be answered.
    pub(crate) async fn first(&self) -> First {
        poll_fn(|context| {
            let mut queue = self.queue.borrow_mut();
            if queue.mixed {
                return Poll::Ready(First::Events);
            }
            if queue.finished {
                return Poll::Ready(First::Answers);
            }
            queue.wait(context);
            Poll::Pending
        })
        .await
    }

    /// Waits until nothing more will come.
    pub(crate) async fn finished(&self) {
        poll_fn(|context| {
            let mut queue = self.queue.borrow_mut();
            if queue.finished {
                return Poll::Ready(());
            }
            queue.wait(context);
            Poll::Pending
        })
        .await;
    }

    /// The newest message.
    pub(crate) fn last(&self) -> Option<Bytes> {
        self.queue.borrow().events.back().map(|event| event.message.clone())
    }

    /// Takes the answers out, for a body of JSON.
    pub(crate) fn take_answers(&self) -> VecDeque<Bytes> {
        let mut queue = self.queue.borrow_mut();
        queue.bytes = 0;
        std::mem::take(&mut queue.events).into_iter().map(|event| event.message).collect()
    }

    /// The bytes of the only answer from this place on, as many as are sent at a time; `None` if the client was given up.
    pub(crate) fn part_of_answer(&self, at: usize) -> Option<Bytes> {
        let mut queue = self.queue.borrow_mut();
        queue.taken = Instant::now();
        let answer = &queue.events.front()?.message;
        let end = answer.len().min(at + PART_BYTES);
        let part = Bytes::copy_from_slice(answer.get(at..end)?);
        if end == answer.len() {
            queue.forget_all();
        }
        Some(part)
    }

    /// Sends an event with an id and without data before all others: a place for the client to resume from.
    pub(crate) fn prime(&self) {
        self.queue.borrow_mut().prime = true;
    }

    /// Connects, taking over from an earlier connection. With `after`, sends again what came after that event.
    /// `None` if events after it are no longer kept.
    pub(crate) fn connect(&self, after: Option<u64>) -> Option<u64> {
        let mut queue = self.queue.borrow_mut();
        if let Some(after) = after {
            if after >= queue.next || after + 1 < queue.oldest() {
                return None;
            }
            queue.unsent = after + 1;
            queue.prime = false;
        } else {
            // What was dropped before anyone listened is not missed.
            queue.unsent = queue.unsent.max(queue.oldest());
        }
        queue.rest = Bytes::new();
        queue.connections += 1;
        queue.connection = Some(queue.connections);
        queue.wake();
        queue.connection
    }

    pub(crate) fn disconnect(&self, connection: u64) {
        let mut queue = self.queue.borrow_mut();
        if queue.connection == Some(connection) {
            queue.connection = None;
            queue.rest = Bytes::new();
        }
    }

    /// What the connection sends next.
    pub(crate) fn poll_next(&self, connection: u64, context: &mut Context<'_>) -> Poll<Next> {
        let mut queue = self.queue.borrow_mut();
        if queue.connection != Some(connection) {
            return Poll::Ready(Next::End);
        }
        if queue.lost || (queue.rest.is_empty() && queue.unsent < queue.oldest()) {
            return Poll::Ready(Next::Lost);
        }
        if queue.rest.is_empty() && (queue.prime || queue.unsent < queue.next) {
            queue.taken = Instant::now();
            let chunk = queue.chunk(self.number);
            if chunk.len() <= PART_BYTES {
                return Poll::Ready(Next::Chunk(chunk));
            }
            queue.rest = self.meter.hold(chunk);
        }
        if !queue.rest.is_empty() {
            queue.taken = Instant::now();
            let part = queue.rest.len().min(PART_BYTES);
            return Poll::Ready(Next::Chunk(Bytes::copy_from_slice(&queue.rest.split_to(part))));
        }
        if queue.finished {
            return Poll::Ready(Next::End);
        }
        queue.wait(context);
        Poll::Pending
    }
}
