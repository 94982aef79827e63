//! The streams of a session: which are kept, which message goes where when it belongs to no call, and who sends them.

use std::collections::BTreeMap;
use std::rc::Rc;

use mcp::protocol::Revision;

use super::Session;
use crate::stream::{EventId, Next, Stream};

/// Streams that are kept for a client to resume, beyond those in use.
const KEPT_STREAMS_MAX: usize = 32;
/// Bytes that finished streams keep, all together. One that was not sent completely is kept beyond that, within the
/// session's bound.
const KEPT_BYTES_MAX: usize = 8 * 1024 * 1024;
/// GET streams of one session at a time.
const LISTENERS_MAX: usize = 16;

/// The streams that a GET can resume or listen to.
#[derive(Default)]
pub(super) struct Streams {
    pub(super) by_number: BTreeMap<u64, Rc<Stream>>,
    /// Those opened by a GET, the last opened at the end. Without one, the first message makes one, for a GET to come.
    listening: Vec<Rc<Stream>>,
    last_number: u64,
}

/// A GET that has no stream to send.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NoStream {
    /// The event that the client wants to resume after is not kept.
    NotKept,
    /// There are [`LISTENERS_MAX`] already.
    TooMany,
}

impl Session {
    /// A number for a stream that is not kept yet.
    pub(super) fn new_stream(&self) -> Rc<Stream> {
        let mut streams = self.streams.borrow_mut();
        streams.last_number += 1;
        Rc::new(Stream::kept_as(streams.last_number, self.outgoing.clone()))
    }

    /// Begins to send the answer to a POST as events, which can be resumed from now on.
    pub(crate) fn open(self: &Rc<Self>, stream: &Rc<Stream>) -> Connection {
        if self.revision().is_some_and(Revision::primes_streams) {
            stream.prime();
        }
        if self.over().is_none() {
            self.streams.borrow_mut().keep(stream);
        }
        let number = stream.connect(None).expect("a connection from here on misses nothing");
        Connection::new(self, stream, number)
    }

    /// Begins to send everything on one stream, as HTTP+SSE does. To be called once, before anything is said.
    pub(crate) fn open_one_stream(self: &Rc<Self>) -> Connection {
        let stream = self.one_stream.get_or_init(|| Rc::new(Stream::unkept(self.outgoing.clone())));
        let number = stream.connect(None).expect("a connection from here on misses nothing");
        Connection::new(self, stream, number)
    }

    /// Whether everything goes on one stream, so that no answer can be given elsewhere.
    pub(crate) fn is_one_stream(&self) -> bool {
        self.one_stream.get().is_some()
    }

    /// Listens to what belongs to no call, with a stream that has no connection if there is one.
    pub(crate) fn listen(self: &Rc<Self>) -> Result<Connection, NoStream> {
        let free = self.streams.borrow().listening.iter().rfind(|stream| !stream.is_connected()).cloned();
        let stream = match free {
            Some(stream) => stream,
            None if self.streams.borrow().listening.len() >= LISTENERS_MAX => return Err(NoStream::TooMany),
            None => self.new_listener(),
        };
        if self.revision().is_some_and(Revision::primes_streams) {
            stream.prime();
        }
        let number = stream.connect(None).expect("a connection from here on misses nothing");
        Ok(Connection::new(self, &stream, number))
    }

    /// Goes on with a stream after the last event that the client has seen.
    pub(crate) fn resume(self: &Rc<Self>, after: EventId) -> Result<Connection, NoStream> {
        let stream = self.streams.borrow().by_number.get(&after.stream).cloned().ok_or(NoStream::NotKept)?;
        let number = stream.connect(Some(after.sequence)).ok_or(NoStream::NotKept)?;
        Ok(Connection::new(self, &stream, number))
    }

    fn new_listener(&self) -> Rc<Stream> {
        let stream = self.new_stream();
        let mut streams = self.streams.borrow_mut();
        streams.keep(&stream);
        streams.listening.push(stream.clone());
        stream
    }

    /// Where a message goes that belongs to no call: the GET stream that was connected last, or the next to come.
    pub(super) fn listener(&self) -> Rc<Stream> {
        if let Some(stream) = self.one_stream.get() {
            return stream.clone();
        }
        let streams = self.streams.borrow();
        let connected = streams.listening.iter().rfind(|stream| stream.is_connected());
        match connected.or(streams.listening.last()).cloned() {
            Some(stream) => stream,
            None => {
                drop(streams);
                self.new_listener()
            }
        }
    }
}

impl Streams {
    fn keep(&mut self, stream: &Rc<Stream>) {
        self.by_number.insert(stream.number(), stream.clone());
        self.forget_finished();
    }

    /// Forgets the oldest finished streams beyond the bounds.
    fn forget_finished(&mut self) {
        let finished: Vec<_> = self.by_number.values().filter(|stream| stream.is_finished()).collect();
        let mut excess = finished.len().saturating_sub(KEPT_STREAMS_MAX);
        let mut bytes: usize = finished.iter().map(|stream| stream.kept().0).sum();
        let mut forgotten = Vec::new();
        for stream in finished {
            let (kept, sent) = stream.kept();
            if excess > 0 || (bytes > KEPT_BYTES_MAX && sent) {
                forgotten.push(stream.number());
                excess = excess.saturating_sub(1);
                bytes -= kept;
            }
        }
        for number in forgotten {
            self.by_number.remove(&number);
        }
    }
}

/// A connection that sends a stream; the stream is free for another when it is dropped.
pub(crate) struct Connection {
    session: Rc<Session>,
    stream: Rc<Stream>,
    number: u64,
}

impl Connection {
    fn new(session: &Rc<Session>, stream: &Rc<Stream>, number: u64) -> Self {
        session.connections.set(session.connections.get() + 1);
        Self { session: session.clone(), stream: stream.clone(), number }
    }

    pub(crate) fn poll_next(&self, context: &mut std::task::Context<'_>) -> std::task::Poll<Next> {
        let next = self.stream.poll_next(self.number, context);
        next.map(|next| match next {
            // The copy on its way out is memory, too.
            Next::Chunk(chunk) => Next::Chunk(self.session.outgoing.hold(chunk)),
            next => next,
        })
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.stream.disconnect(self.number);
        self.session.used();
        self.session.connections.set(self.session.connections.get() - 1);
        if self.stream.is_finished() {
            self.session.streams.borrow_mut().forget_finished();
        }
    }
}
