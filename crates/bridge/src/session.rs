//! One client and its child: who waits for what, and on which stream each message of the child belongs.
//!
//! A session is made when its client comes, and is over when its child is. Messages pass as bytes; only envelope, progress
//! tokens and cancellations are read. The [`http`](crate::http) side calls [`Session::call`] and [`Session::take`]; what the
//! child writes comes through [`wire`](crate::wire). A session without a child of its own shares one ([`shared`]).

mod call;
mod newer;
mod room;
mod routing;
pub(crate) mod shared;
mod stream;

use std::cell::{Cell, OnceCell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Duration;

use bytes::Bytes;
use mcp::message::Message;
use mcp::protocol::Revision;
use tokio::time::Instant;

use crate::meter::Meter;
use crate::wire::{Ending, Over, Wire, line_of};
pub(crate) use call::CallRefused;
use call::Calls;
pub(crate) use newer::Newer;
pub(crate) use shared::Shared;
pub(crate) use stream::{EventId, First, Next, Stream};

/// Streams that are kept for a client to resume, beyond those in use.
const KEPT_STREAMS_MAX: usize = 32;
/// Bytes that finished streams keep, all together. One that was not sent completely is kept beyond that, within the
/// session's bound.
const KEPT_BYTES_MAX: usize = 8 * 1024 * 1024;
/// GET streams of one session at a time.
const LISTENERS_MAX: usize = 16;

pub(crate) struct Session {
    id: String,
    server: Server,
    calls: RefCell<Calls>,
    streams: RefCell<Streams>,
    /// The one stream of HTTP+SSE, on which everything goes.
    one_stream: OnceCell<Rc<Stream>>,
    /// Messages for the client, sent ones that are kept included.
    outgoing: Meter,
    bytes_max: usize,
    revision: Cell<Option<Revision>>,
    last_used: Cell<Instant>,
    /// Connections that send one of the session's streams.
    connections: Cell<usize>,
    over: Cell<Option<Ending>>,
}

/// Who answers the session's calls.
enum Server {
    /// A child that has no other client.
    Own(Rc<Wire>),
    /// A child that has.
    Shared(Box<Shared>),
}

/// The streams that a GET can resume or listen to.
#[derive(Default)]
struct Streams {
    by_number: BTreeMap<u64, Rc<Stream>>,
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
    /// The session of a child's only client.
    pub(crate) fn of_child(wire: Rc<Wire>, bytes_max: usize) -> Rc<Self> {
        let session = Self::of(Server::Own(wire.clone()), bytes_max);
        wire.give_to(session.clone());
        session
    }

    /// A session of one of many clients of a child.
    pub(crate) fn of_shared(shared: Shared, bytes_max: usize) -> Rc<Self> {
        Self::of(Server::Shared(Box::new(shared)), bytes_max)
    }

    fn of(server: Server, bytes_max: usize) -> Rc<Self> {
        let mut random = [0; mcp::session::ID_BYTES];
        getrandom::fill(&mut random).expect("the kernel's generator works once processes can be started");
        Rc::new(Self {
            id: mcp::session::id(random),
            server,
            calls: RefCell::default(),
            streams: RefCell::default(),
            one_stream: OnceCell::new(),
            outgoing: Meter::default(),
            bytes_max,
            revision: Cell::new(None),
            last_used: Cell::new(Instant::now()),
            connections: Cell::new(0),
            over: Cell::new(None),
        })
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

    /// Whether the session has a child for itself.
    pub(crate) fn has_child(&self) -> bool {
        matches!(self.server, Server::Own(_))
    }

    /// Gives messages to the server, in order. Waits while the server is slow to read; what was taken is delivered even if
    /// the client leaves meanwhile, because in this era leaving does not cancel.
    pub(crate) async fn take(self: &Rc<Self>, messages: &[Message<'_>], body: &Bytes) -> Result<(), Over> {
        let wire = match &self.server {
            Server::Own(wire) => wire,
            Server::Shared(shared) => return self.take_shared(shared, messages, body).await,
        };
        let lines = messages.iter().map(|message| {
            let raw = match message {
                Message::Request(request) => request.raw,
                Message::Response(response) => response.raw,
                Message::Notification(notification) => {
                    if notification.method == "notifications/cancelled" {
                        self.cancelled(notification);
                    }
                    notification.raw
                }
            };
            line_of(body, raw)
        });
        wire.send(lines.collect()).await
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
        self.over.get()
    }

    /// Ends the session: every call that waits is answered with an error, the streams end, the child is ended.
    pub(crate) fn end(&self, ending: Ending) {
        if self.over.get().is_some() {
            return;
        }
        self.over.set(Some(ending));
        match &self.server {
            Server::Own(wire) => wire.end(ending),
            Server::Shared(shared) => shared.leave(&self.numbers()),
        }
        self.fail_calls(&ending);
        let streams = self.streams.take().by_number.into_values();
        for stream in streams.chain(self.one_stream.get().cloned()) {
            stream.finish();
        }
    }

    /// Bytes that wait for the child to read them.
    fn waiting_bytes(&self) -> usize {
        match &self.server {
            Server::Own(wire) => wire.waiting_bytes(),
            // What waits for a shared child is bounded there.
            Server::Shared(_) => 0,
        }
    }

    /// A number for a stream that is not kept yet.
    fn new_stream(&self) -> Rc<Stream> {
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
    fn listener(&self) -> Rc<Stream> {
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
