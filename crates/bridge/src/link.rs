//! One child that many callers share: requests get ids of the bridge's own, and each answer goes to exactly its caller.
//!
//! A call is known to the child by a number, which is its id, its progress token and, if it listens, its subscription
//! id; [`rewrite`] puts the caller's own back. What a child says that belongs to no call goes to nobody: it may have been
//! meant for another client. [`links`](crate::links) starts links and finds the one for a caller.

mod calls;
mod delivery;
mod introduction;
mod lease;
mod parameters;
mod rewrite;
mod room;

use std::cell::{Cell, RefCell};
use std::collections::{HashMap, VecDeque};
use std::rc::{Rc, Weak};
use std::time::Duration;

use bytes::Bytes;
use mcp::message::{self, Id};
use mcp::protocol::Era;
use serde_json::value::RawValue;
use tokio::sync::{Notify, oneshot};
use tokio::time::Instant;

use crate::meter::Meter;
use crate::placement::Key;
use crate::serve::Bridge;
use crate::session::{CallRefused, Session};
use crate::stream::Stream;
use crate::translate::Exchange;
use crate::wire::{Ending, Over, Wire};
use calls::{Call, Calls};
pub(crate) use introduction::{INITIALIZE_TIMEOUT, Introduction, NotIntroduced, initialize_params, outcome};
use lease::Asked;
pub(crate) use lease::{Lease, Pending};
use parameters::KnownParameters;
pub(crate) use parameters::Parameters;
pub(crate) use rewrite::{Outgoing, empty_result, end_of_subscription, into_meta, line, meta};

/// Calls of one child at a time.
const CALLS_MAX: usize = 4096;
/// For how long a server may speak about a call that was given up, unless it answers it first.
const GIVEN_UP_KEPT: Duration = Duration::from_secs(60);

pub(crate) struct Link {
    wire: Rc<Wire>,
    key: Key,
    calls: RefCell<Calls>,
    /// The calls that were given up and not answered since, oldest first, at most [`CALLS_MAX`].
    given_up: RefCell<VecDeque<(u64, Instant)>>,
    /// The streams that calls of this child were given, for as long as somebody may read them.
    streams: RefCell<Vec<Weak<Stream>>>,
    /// Messages for clients.
    outgoing: Meter,
    /// What is remembered of calls and of those who listen.
    noted: Meter,
    bytes_max: usize,
    introduction: RefCell<Option<Result<Rc<Introduction>, NotIntroduced>>>,
    introduced: Notify,
    last_used: Cell<Instant>,
    /// Which arguments clients mirror into header fields.
    parameters: KnownParameters,
    /// How many listen to each resource that is subscribed to.
    watched: RefCell<HashMap<String, usize>>,
    /// Whether the child has answered anything.
    proven: Cell<bool>,
    /// Clients that listen to what changes there.
    held: Cell<usize>,
    /// Callers that are about to call.
    leases: Cell<usize>,
    bridge: Weak<Bridge>,
}

/// Who waits for the answer to a call.
pub(crate) enum Asker {
    /// A POST that is answered with what comes, as it comes.
    Post(Rc<Stream>),
    /// A call of a session that has no child of its own.
    Session(Weak<Session>, Id),
    /// A call of a client of 2026-07-28 at an older server.
    Exchange(Rc<Exchange>),
    /// A session, for what it listens to.
    Listener(Weak<Session>),
    /// The bridge itself, by the id that it gave.
    Bridge(oneshot::Sender<Bytes>),
}

impl Link {
    /// Takes over a child that has not been spoken to, or only to ask what it speaks.
    pub(crate) fn over(bridge: &Bridge, wire: Rc<Wire>, key: Key) -> Rc<Self> {
        let link = Rc::new(Self {
            wire: wire.clone(),
            key,
            calls: RefCell::default(),
            given_up: RefCell::default(),
            streams: RefCell::default(),
            outgoing: Meter::default(),
            noted: Meter::default(),
            bytes_max: bridge.config.session_bytes_max,
            introduction: RefCell::new(None),
            introduced: Notify::new(),
            last_used: Cell::new(Instant::now()),
            parameters: KnownParameters::default(),
            watched: RefCell::default(),
            proven: Cell::new(false),
            held: Cell::new(0),
            leases: Cell::new(0),
            bridge: bridge.myself.clone(),
        });
        wire.give_to(link.clone());
        link
    }

    pub(crate) fn key(&self) -> &Key {
        &self.key
    }

    pub(crate) fn wire(&self) -> &Rc<Wire> {
        &self.wire
    }

    pub(crate) fn is_over(&self) -> bool {
        self.wire.over().is_some()
    }

    pub(crate) fn has_calls(&self) -> bool {
        !self.calls.borrow().is_empty()
    }

    pub(crate) fn is_proven(&self) -> bool {
        self.proven.get()
    }

    /// Whether no call waits and nobody is about to call.
    fn is_free(&self) -> bool {
        !self.has_calls() && self.leases.get() == 0
    }

    /// Whether the next call is the only one that the server can speak about.
    pub(crate) fn is_fresh(&self) -> bool {
        self.is_free() && !self.is_in_doubt()
    }

    /// How long nobody has used the child; `None` while a call waits.
    pub(crate) fn idle(&self) -> Option<Duration> {
        (self.is_free() && self.held.get() == 0).then(|| self.last_used.get().elapsed())
    }

    /// A stream for what comes of a call.
    pub(crate) fn stream(&self) -> Rc<Stream> {
        let stream = Rc::new(Stream::unkept(self.outgoing.clone()));
        let mut streams = self.streams.borrow_mut();
        streams.retain(|stream| stream.strong_count() > 0);
        streams.push(Rc::downgrade(&stream));
        stream
    }

    /// Notes a call. Its number names it from then on, and the line is for the child.
    pub(crate) fn begin(&self, request: Outgoing<'_>, asker: Asker) -> Result<(u64, Bytes), CallRefused> {
        if self.is_over() {
            return Err(CallRefused::Over);
        }
        if self.calls.borrow().len() >= CALLS_MAX {
            return Err(CallRefused::TooMany);
        }
        if !self.has_room() {
            return Err(CallRefused::Full);
        }
        self.last_used.set(Instant::now());
        let number = self.calls.borrow_mut().add(Call::of(&request, asker, &self.noted));
        Ok((number, request.line(number)))
    }

    /// Asks something in the bridge's own name, and gives the whole answer.
    pub(crate) async fn ask(&self, method: &str, params: &RawValue) -> Result<Bytes, Over> {
        let text = message::request(RawValue::NULL, method, Some(params));
        let text = String::from_utf8(text).map_err(|_| Over)?;
        let (sender, answer) = oneshot::channel();
        let number = self.calls.borrow_mut().add(Call::of_the_bridge(sender));
        let _asked = Asked { link: self, number };
        let line = rewrite::with_id(&text, number).ok_or(Over)?;
        self.wire.send([line])?;
        answer.await.map_err(|_| Over)
    }

    /// Gives the child lines: of calls that are noted, or of messages that want no answer. One that is gone has failed
    /// its calls already.
    pub(crate) fn tell(&self, lines: impl IntoIterator<Item = Bytes>) {
        if self.wire.send(lines).is_err() {
            tracing::debug!("the server has ended before it was told something");
        }
    }

    /// The child stays although no call waits for it.
    pub(crate) fn hold(&self) {
        self.held.set(self.held.get() + 1);
    }

    pub(crate) fn let_go(&self) {
        self.held.set(self.held.get() - 1);
        self.last_used.set(Instant::now());
    }

    /// Somebody more listens to a resource.
    pub(crate) fn watch(&self, uri: &str) {
        *self.watched.borrow_mut().entry(uri.to_owned()).or_default() += 1;
    }

    /// Somebody listens no more; `true` if it was the last.
    pub(crate) fn unwatch(&self, uri: &str) -> bool {
        let mut watched = self.watched.borrow_mut();
        let Some(count) = watched.get_mut(uri) else { return false };
        *count -= 1;
        let last = *count == 0;
        if last {
            watched.remove(uri);
        }
        last
    }

    /// Gives up a call, and tells the child so. Nothing happens if it has been answered.
    pub(crate) fn cancel(&self, number: u64) {
        if self.calls.borrow_mut().remove(number).is_none() {
            return;
        }
        self.last_used.set(Instant::now());
        let mut given_up = self.given_up.borrow_mut();
        if given_up.len() >= CALLS_MAX {
            given_up.pop_front();
        }
        given_up.push_back((number, Instant::now()));
        drop(given_up);
        self.tell([rewrite::cancellation(number)]);
    }

    pub(crate) fn end(&self, ending: Ending) {
        self.wire.end(ending);
    }

    /// Whether the child serves one client only, so that whatever it says concerns that one.
    fn serves_one_client(&self) -> bool {
        !self.key.is_shared()
    }

    /// Whether the server may still speak about a call that was given up.
    fn is_in_doubt(&self) -> bool {
        let mut given_up = self.given_up.borrow_mut();
        given_up.retain(|(_, at)| at.elapsed() < GIVEN_UP_KEPT);
        !given_up.is_empty()
    }

    fn is_stateless(&self) -> bool {
        self.key.era == Era::Stateless
    }
}
