//! One client and its child: who waits for what, and on which stream each message of the child belongs.
//!
//! A session is made when its client comes, and is over when its child is. Messages pass as bytes; only envelope, progress
//! tokens and cancellations are read. The [`http`](crate::http) side calls [`Session::call`] and [`Session::take`]; what the
//! child writes comes through [`wire`](crate::wire). A session without a child of its own shares one ([`shared`]).

mod call;
mod newer;
mod room;
mod routing;
mod shared;
mod streams;

use std::cell::{Cell, OnceCell, RefCell};
use std::rc::Rc;
use std::time::Duration;

use bytes::Bytes;
use mcp::message::Message;
use mcp::protocol::Revision;
use tokio::time::Instant;

use crate::meter::Meter;
use crate::random;
use crate::stream::Stream;
use crate::wire::{Ending, Over, Wire, line_of};
pub(crate) use call::CallRefused;
use call::Calls;
pub(crate) use newer::{Newer, TooLong};
pub(crate) use shared::Shared;
use streams::Streams;
pub(crate) use streams::{Connection, NoStream};

pub(crate) struct Session {
    id: String,
    server: Server,
    calls: RefCell<Calls>,
    streams: RefCell<Streams>,
    /// The one stream of HTTP+SSE, on which everything goes.
    one_stream: OnceCell<Rc<Stream>>,
    /// Messages for the client, sent ones that are kept included.
    outgoing: Meter,
    /// What is remembered of calls.
    noted: Meter,
    bytes_max: usize,
    revision: Cell<Option<Revision>>,
    /// Whether the server has answered anything.
    answered: Cell<bool>,
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
        Rc::new(Self {
            id: random::id(),
            server,
            calls: RefCell::default(),
            streams: RefCell::default(),
            one_stream: OnceCell::new(),
            outgoing: Meter::default(),
            noted: Meter::default(),
            bytes_max,
            revision: Cell::new(None),
            answered: Cell::new(false),
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

    /// Gives messages, which are all of this body, to the server, in order. Waits while the server is started; what was
    /// taken is delivered even if the client leaves meanwhile, because in this era leaving does not cancel.
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
        wire.send(lines)
    }

    /// Whether the server has answered anything.
    pub(crate) fn has_answers(&self) -> bool {
        self.answered.get()
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
}
