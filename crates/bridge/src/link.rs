//! One child that many callers share: requests get ids of the bridge's own, and each answer goes to exactly its caller.
//!
//! A call is known to the child by a number, which is its id, its progress token and, if it listens, its subscription
//! id; [`rewrite`] puts the caller's own back. What a child says that belongs to no call goes to nobody: it may have been
//! meant for another client. [`links`](crate::links) starts links and finds the one for a caller.

mod calls;
mod delivery;
mod introduction;
mod rewrite;

use std::cell::{Cell, RefCell};
use std::rc::{Rc, Weak};
use std::time::Duration;

use bytes::Bytes;
use mcp::message::{self, Id};
use mcp::protocol::Era;
use serde_json::value::RawValue;
use tokio::sync::{Notify, oneshot};
use tokio::task::spawn_local;
use tokio::time::Instant;

use crate::links::Key;
use crate::meter::Meter;
use crate::session::{CallRefused, Session, Stream};
use crate::wire::{Ending, Over, Wire};
use calls::{Call, Calls};
pub(crate) use introduction::{INITIALIZE_TIMEOUT, Introduction, NotIntroduced, initialize_params, outcome};
pub(crate) use rewrite::{Outgoing, meta};

/// Calls of one child at a time.
const CALLS_MAX: usize = 4096;

pub(crate) struct Link {
    wire: Rc<Wire>,
    key: Key,
    calls: RefCell<Calls>,
    /// The streams that calls of this child were given, for as long as somebody may read them.
    streams: RefCell<Vec<Weak<Stream>>>,
    /// Messages for clients.
    outgoing: Meter,
    bytes_max: usize,
    introduction: RefCell<Option<Result<Rc<Introduction>, NotIntroduced>>>,
    introduced: Notify,
    last_used: Cell<Instant>,
    /// Whether the child has answered anything.
    proven: Cell<bool>,
}

/// Who waits for the answer to a call.
pub(crate) enum Asker {
    /// A POST that is answered with what comes, as it comes.
    Post(Rc<Stream>),
    /// A call of a session that has no child of its own.
    Session(Weak<Session>, Id),
    /// The bridge itself, by the id that it gave.
    Bridge(oneshot::Sender<Bytes>),
}

/// A call that is given up when this is dropped before its answer has come: in the era without sessions, a client
/// cancels by leaving.
pub(crate) struct Pending {
    link: Rc<Link>,
    number: u64,
}

impl Link {
    /// Takes over a child that has not been spoken to, or only to ask what it speaks.
    pub(crate) fn over(wire: Rc<Wire>, key: Key, bytes_max: usize) -> Rc<Self> {
        let link = Rc::new(Self {
            wire: wire.clone(),
            key,
            calls: RefCell::default(),
            streams: RefCell::default(),
            outgoing: Meter::default(),
            bytes_max,
            introduction: RefCell::new(None),
            introduced: Notify::new(),
            last_used: Cell::new(Instant::now()),
            proven: Cell::new(false),
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

    /// How long nobody has used the child; `None` while a call waits.
    pub(crate) fn idle(&self) -> Option<Duration> {
        (!self.has_calls()).then(|| self.last_used.get().elapsed())
    }

    /// A stream for what comes of a call.
    pub(crate) fn stream(&self) -> Rc<Stream> {
        let stream = Rc::new(Stream::unkept(self.outgoing.clone()));
        let mut streams = self.streams.borrow_mut();
        streams.retain(|stream| stream.strong_count() > 0);
        streams.push(Rc::downgrade(&stream));
        stream
    }

    /// Notes a call and gives the child its request. The number names the call from then on.
    pub(crate) async fn call(&self, request: Outgoing<'_>, asker: Asker) -> Result<u64, CallRefused> {
        let (number, line) = self.note(request, asker)?;
        // A child that is gone has failed the call already.
        let sent = self.wire.send(vec![line]).await;
        if sent.is_err() && self.calls.borrow_mut().remove(number).is_some() {
            return Err(CallRefused::Over);
        }
        Ok(number)
    }

    /// Asks something in the bridge's own name, and gives the whole answer.
    pub(crate) async fn ask(&self, method: &str, params: &RawValue) -> Result<Bytes, Over> {
        let text = message::request(RawValue::NULL, method, Some(params));
        let text = String::from_utf8(text).map_err(|_| Over)?;
        let (sender, answer) = oneshot::channel();
        let number = self.calls.borrow_mut().add(Call::of_the_bridge(sender));
        let line = rewrite::with_id(&text, number).ok_or(Over)?;
        self.wire.send(vec![line]).await?;
        answer.await.map_err(|_| Over)
    }

    /// Gives the child a message that wants no answer.
    pub(crate) async fn tell(&self, line: Bytes) -> Result<(), Over> {
        self.wire.send(vec![line]).await
    }

    /// Gives up a call, and tells the child so. Nothing happens if it has been answered.
    pub(crate) fn cancel(&self, number: u64) {
        if self.calls.borrow_mut().remove(number).is_none() {
            return;
        }
        self.last_used.set(Instant::now());
        let notification = rewrite::cancellation(number);
        let wire = self.wire.clone();
        spawn_local(async move { wire.send(vec![notification]).await });
    }

    pub(crate) fn end(&self, ending: Ending) {
        self.wire.end(ending);
    }

    fn note(&self, request: Outgoing<'_>, asker: Asker) -> Result<(u64, Bytes), CallRefused> {
        if self.is_over() {
            return Err(CallRefused::Over);
        }
        if self.calls.borrow().len() >= CALLS_MAX {
            return Err(CallRefused::TooMany);
        }
        if self.wire.waiting_bytes() > self.bytes_max {
            return Err(CallRefused::Full);
        }
        self.last_used.set(Instant::now());
        let number = self.calls.borrow_mut().add(Call::of(&request, asker));
        Ok((number, request.line(number)))
    }

    /// Whether the child serves one client only, so that whatever it says concerns that one.
    fn serves_one_client(&self) -> bool {
        !self.key.client.is_empty()
    }

    fn is_stateless(&self) -> bool {
        self.key.era == Era::Stateless
    }
}

impl Pending {
    pub(crate) fn new(link: &Rc<Link>, number: u64) -> Self {
        Self { link: link.clone(), number }
    }
}

impl Drop for Pending {
    fn drop(&mut self) {
        self.link.cancel(self.number);
    }
}
