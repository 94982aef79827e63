//! One client and its child: who waits for what, and on which stream each message of the child belongs.
//!
//! A session is made when its child is started, which may be before its client comes (the warm pool), and is over when
//! the child is. Messages pass as bytes; only envelope, progress tokens and cancellations are read. The [`http`](crate::http)
//! side calls [`Session::send`] and [`Session::call`]; the tasks in [`pump`] deliver what the child writes.

mod call;
mod meter;
mod pump;
mod room;
mod routing;
mod stream;

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::fmt;
use std::rc::Rc;
use std::time::Duration;

use bytes::Bytes;
use mcp::protocol::Revision;
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::{Notify, mpsc};
use tokio::task::spawn_local;
use tokio::time::Instant;

use crate::child::{Child, Exit, SpawnError};
use crate::serve::Bridge;
pub(crate) use call::CallRefused;
use call::Calls;
use meter::Meter;
pub(crate) use stream::{EventId, First, Next, Stream};

/// Messages that wait for a child to read its stdin. Beyond that, whoever sends one waits.
const STDIN_MESSAGES_MAX: usize = 64;
/// Streams that are kept for a client to resume, beyond those in use.
const KEPT_STREAMS_MAX: usize = 32;
/// Bytes that finished streams keep, all together. One that was not sent completely is kept beyond that, within the
/// session's bound.
const KEPT_BYTES_MAX: usize = 8 * 1024 * 1024;
/// GET streams of one session at a time.
const LISTENERS_MAX: usize = 16;

pub(crate) struct Session {
    id: String,
    /// Gone when the session is over: the child then sees the end of its stdin.
    stdin: RefCell<Option<mpsc::Sender<Bytes>>>,
    calls: RefCell<Calls>,
    streams: RefCell<Streams>,
    /// Messages for the child.
    incoming: Meter,
    /// Messages for the client, sent ones that are kept included.
    outgoing: Meter,
    bytes_max: usize,
    revision: Cell<Option<Revision>>,
    last_used: Cell<Instant>,
    /// Connections that send one of the session's streams.
    connections: Cell<usize>,
    over: RefCell<Option<Ending>>,
    over_signal: Notify,
}

/// The streams that a GET can resume or listen to.
#[derive(Default)]
struct Streams {
    by_number: BTreeMap<u64, Rc<Stream>>,
    /// Those opened by a GET, the last opened at the end. Without one, the first message makes one, for a GET to come.
    listening: Vec<Rc<Stream>>,
    last_number: u64,
}

/// Why a session is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ending {
    /// The child is gone.
    Exited(Exit),
    /// The child takes or gives nothing more.
    PipeClosed,
    /// The client ended it, or left before it began.
    Deleted,
    /// `initialize` was refused by the server, or took too long.
    NotInitialized,
    /// Nobody used it.
    Idle,
    /// The bridge ends.
    ShuttingDown,
}

/// A session that is over takes no message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Over;

/// A GET that has no stream to send.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NoStream {
    /// The event that the client wants to resume after is not kept.
    NotKept,
    /// There are [`LISTENERS_MAX`] already.
    TooMany,
}

impl Session {
    /// Starts a child, and the session that its first client will get.
    pub(crate) fn start(bridge: &Rc<Bridge>) -> Result<Rc<Self>, SpawnError> {
        let child = Child::spawn(&bridge.config, bridge.open_files)?;
        let mut random = [0; mcp::session::ID_BYTES];
        getrandom::fill(&mut random).expect("the kernel's generator works once processes can be started");
        let (stdin, messages) = mpsc::channel(STDIN_MESSAGES_MAX);
        let session = Rc::new(Self {
            id: mcp::session::id(random),
            stdin: RefCell::new(Some(stdin)),
            calls: RefCell::default(),
            streams: RefCell::default(),
            incoming: Meter::default(),
            outgoing: Meter::default(),
            bytes_max: bridge.config.session_bytes_max,
            revision: Cell::new(None),
            last_used: Cell::new(Instant::now()),
            connections: Cell::new(0),
            over: RefCell::new(None),
            over_signal: Notify::new(),
        });
        pump::start(bridge, &session, child, messages);
        Ok(session)
    }

    pub(crate) fn id(&self) -> &str {
        &self.id
    }

    /// The revision that `initialize` agreed on, once it has.
    pub(crate) fn revision(&self) -> Option<Revision> {
        self.revision.get()
    }

    pub(crate) fn set_revision(&self, revision: Revision) {
        self.revision.set(Some(revision));
    }

    /// Gives the child messages, in order. Waits while the child is slow to read; what was taken is delivered even if
    /// the client leaves meanwhile, because in this era leaving does not cancel.
    pub(crate) async fn send(&self, lines: Vec<Bytes>) -> Result<(), Over> {
        let stdin = self.stdin.borrow().clone().ok_or(Over)?;
        let lines: Vec<_> = lines.into_iter().map(|line| self.incoming.hold(line)).collect();
        let mut lines = lines.into_iter();
        while let Some(line) = lines.next() {
            match stdin.try_send(line) {
                Ok(()) => {}
                Err(TrySendError::Closed(_)) => return Err(Over),
                Err(TrySendError::Full(line)) => {
                    let rest = spawn_local(async move {
                        for line in std::iter::once(line).chain(lines) {
                            stdin.send(line).await.map_err(|_| Over)?;
                        }
                        Ok(())
                    });
                    return rest.await.unwrap_or(Err(Over));
                }
            }
        }
        Ok(())
    }

    pub(crate) fn used(&self) {
        self.last_used.set(Instant::now());
    }

    /// How long nobody has used the session; `None` while a client is connected, or is being introduced. Calls whose
    /// client has left do not count: a server that never answers them must not keep the session for ever.
    pub(crate) fn idle(&self) -> Option<Duration> {
        let unused = self.connections.get() == 0 && self.revision().is_some();
        unused.then(|| self.last_used.get().elapsed())
    }

    pub(crate) fn has_calls(&self) -> bool {
        !self.calls.borrow().is_empty()
    }

    pub(crate) fn over(&self) -> Option<Ending> {
        *self.over.borrow()
    }

    /// Ends the session: every call that waits is answered with an error, the streams end, the child is ended.
    pub(crate) fn end(&self, ending: Ending) {
        if self.over.borrow().is_some() {
            return;
        }
        *self.over.borrow_mut() = Some(ending);
        self.stdin.take();
        self.fail_calls(&ending);
        for stream in self.streams.take().by_number.into_values() {
            stream.finish();
        }
        self.over_signal.notify_one();
    }

    /// A number for a stream that is not kept yet.
    fn new_stream(&self) -> Rc<Stream> {
        let mut streams = self.streams.borrow_mut();
        streams.last_number += 1;
        Rc::new(Stream::new(streams.last_number, self.outgoing.clone()))
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
    fn listener(&self) -> Rc<Stream> {
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

impl fmt::Display for Ending {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exited(exit) => write!(formatter, "the server {exit}"),
            Self::PipeClosed => formatter.write_str("the server closed its connection"),
            Self::Deleted => formatter.write_str("the client ended the session"),
            Self::NotInitialized => formatter.write_str("the server was not initialised"),
            Self::Idle => formatter.write_str("the session was not used"),
            Self::ShuttingDown => formatter.write_str("the server is being stopped"),
        }
    }
}
