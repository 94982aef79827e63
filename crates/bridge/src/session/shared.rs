//! A session that has no child of its own: its calls go to one that other clients use as well.
//!
//! This is for servers whose tools keep no state. What such a child says beside answers and progress has no call that it
//! belongs to, and reaches no session; so the session does not promise it either ([`Introduction`]), and refuses what
//! would ask for it.

use std::cell::RefCell;
use std::rc::{Rc, Weak};

use bytes::Bytes;
use mcp::message::{self, Body, Id, Message, Notification, Request, code};
use mcp::protocol::{Era, Revision};
use mcp::splice::{self, Edits};
use serde_json::value::RawValue;
use tokio::task::spawn_local;

use super::call::cancelled_id;
use super::newer::TooLong;
use super::{CallRefused, Newer, Server, Session};
use crate::link::{Asker, Introduction, Link, Outgoing};
use crate::links::Links;
use crate::placement::Key;
use crate::serve::{Bridge, chain};
use crate::wire::{Ending, Over, line_of};

/// Methods whose effect would reach beyond the session.
const REFUSED: [&str; 4] = ["logging/setLevel", "resources/subscribe", "resources/unsubscribe", "tasks/list"];

/// The part of a session that shares a child.
pub(crate) struct Shared {
    bridge: Weak<Bridge>,
    key: Key,
    /// What the server has said of itself.
    introduction: Rc<Introduction>,
    /// What the bridge keeps of the session, if the server knows none.
    newer: Option<Newer>,
    /// The child that the last calls went to.
    link: RefCell<Weak<Link>>,
}

impl Shared {
    pub(crate) fn new(bridge: &Rc<Bridge>, key: Key, introduction: Rc<Introduction>) -> Self {
        let newer = (key.era == Era::Stateless).then(|| Newer::of(introduction.clone()));
        Self { bridge: Rc::downgrade(bridge), key, introduction, newer, link: RefCell::default() }
    }

    /// The child that the last calls went to, if it runs.
    pub(super) fn current_link(&self) -> Option<Rc<Link>> {
        self.link.borrow().upgrade().filter(|link| !link.is_over())
    }

    /// Gives up the calls of a session that is over.
    pub(super) fn leave(&self, numbers: &[u64]) {
        if let Some(newer) = &self.newer {
            newer.leave();
        }
        if let Some(link) = self.link.borrow().upgrade() {
            numbers.iter().for_each(|number| link.cancel(*number));
        }
    }

    /// The result of `initialize`: what the server said to the bridge.
    fn initialize(&self, request: &Request<'_>) -> Result<(Revision, Box<RawValue>), TooLong> {
        let asked = asked_revision(request);
        if let Some(newer) = &self.newer {
            return newer.initialize(request, asked.unwrap_or(Revision::LATEST_WITH_SESSIONS));
        }
        let server = &self.introduction;
        let revision = asked.map_or(server.revision, |asked| asked.min(server.revision));
        let text = server.result.get();
        let mut edits = Edits::of(text);
        if let Some(version) = splice::find(text, &["protocolVersion"]) {
            edits.replace(version, format!("\"{revision}\""));
        }
        let result = RawValue::from_string(edits.apply()).unwrap_or_else(|_| server.result.clone());
        Ok((revision, result))
    }
}

impl Session {
    /// Answers `initialize` for a child that was initialised before; `None` if the session has one for itself.
    pub(crate) fn initialize(&self, request: &Request<'_>) -> Option<Result<Bytes, TooLong>> {
        let Server::Shared(shared) = &self.server else { return None };
        Some(shared.initialize(request).map(|(revision, result)| {
            self.set_revision(revision);
            message::result(request.id, &result).into()
        }))
    }

    /// Takes the messages of the client in this body, in order.
    pub(super) async fn take_shared(
        self: &Rc<Self>,
        shared: &Shared,
        messages: &[Message<'_>],
        body: &Bytes,
    ) -> Result<(), Over> {
        let bridge = shared.bridge.upgrade().ok_or(Over)?;
        if let Some(found) = bridge.links.ready(&shared.key) {
            self.give(shared, &found.link, messages, body);
            return Ok(());
        }
        // The client may leave while the child starts: its calls are noted, and go on.
        let (session, body) = (self.clone(), self.noted.hold(body.clone()));
        spawn_local(async move { session.give_when_ready(bridge, &body).await }).await.map_err(|_| Over)
    }

    async fn give_when_ready(self: Rc<Self>, bridge: Rc<Bridge>, body: &Bytes) {
        let Server::Shared(shared) = &self.server else { return };
        let found = Links::find(&bridge, &shared.key, false).await;
        let messages = match message::parse(body) {
            Ok(Body::One(message)) => vec![message],
            Ok(Body::Batch(messages)) => messages,
            Err(_) => return,
        };
        match found {
            Ok(found) => self.give(shared, &found.link, &messages, body),
            Err(error) => self.fail_all(&messages, &chain(&error)),
        }
    }

    fn give(self: &Rc<Self>, shared: &Shared, link: &Rc<Link>, messages: &[Message<'_>], body: &Bytes) {
        *shared.link.borrow_mut() = Rc::downgrade(link);
        if let Some(newer) = &shared.newer {
            self.listen_where_it_runs(newer, link);
        }
        for message in messages {
            match (message, &shared.newer) {
                (Message::Request(request), newer) => self.forward(newer.as_ref(), link, request),
                (Message::Notification(notification), _) => {
                    self.notify_shared(shared, link, notification, body);
                }
                (Message::Response(response), Some(newer)) => self.answered_by_client(newer, link, response),
                // The child has asked this session nothing.
                (Message::Response(_), None) => {}
            }
        }
    }

    /// The answer of a shared child to one of the session's calls.
    pub(crate) fn answer_shared(self: &Rc<Self>, id: &Id, answer: Bytes) {
        let newer = self.newer().map(|(_, newer)| newer);
        if self.is_flooded() {
            newer.inspect(|newer| newer.forget(id));
            self.fail(id, "the call was answered, but the client has too many bytes to read before it");
            return;
        }
        match newer {
            Some(newer) => self.answer_from_newer(newer, id, answer),
            None => {
                self.answer(id, answer);
            }
        }
    }

    /// What the server says to those who listen, of which the session's client is one.
    pub(crate) fn told(self: &Rc<Self>, method: &str, message: Bytes) {
        if method == "notifications/subscriptions/acknowledged" || self.over().is_some() {
            return;
        }
        if self.is_read_or_ends() {
            self.listener().put(message);
        }
    }

    /// A message of the server that belongs to one of the session's calls.
    pub(crate) fn notify(self: &Rc<Self>, id: &Id, message: Bytes) {
        if self.is_read_or_ends() {
            self.put(id, message);
        }
    }

    /// The parts of a session whose server knows none.
    pub(crate) fn newer(&self) -> Option<(&Shared, &Newer)> {
        let Server::Shared(shared) = &self.server else { return None };
        shared.newer.as_ref().map(|newer| (&**shared, newer))
    }

    /// Whether the client reads what the server says. The child must not wait for one client, and one that does not read
    /// must not take everybody's memory: its session ends as soon as whoever delivers to it has done so.
    fn is_read_or_ends(self: &Rc<Self>) -> bool {
        if !self.is_flooded() {
            return true;
        }
        if let Server::Shared(shared) = &self.server
            && let Some(bridge) = shared.bridge.upgrade()
        {
            let session = self.clone();
            spawn_local(async move { bridge.end(&session, Ending::Clogged) });
        }
        false
    }

    fn forward(self: &Rc<Self>, newer: Option<&Newer>, link: &Rc<Link>, request: &Request<'_>) {
        let Some(id) = Id::read(request.id) else { return };
        if !self.wants(&id) {
            // The client has given it up while the child was started.
            self.fail(&id, "the call was cancelled");
            return;
        }
        if let Some(newer) = newer {
            return self.forward_to_newer(newer, link, request, id);
        }
        if REFUSED.contains(&&*request.method) {
            let text = "not available here: clients share this server's process";
            let error = message::error(Some(request.id), code::METHOD_NOT_FOUND, text, None);
            self.answer(&id, error.into());
            return;
        }
        let asker = Asker::Session(Rc::downgrade(self), id.clone());
        self.begin_at(link, Outgoing::of(request), asker, &id);
    }

    /// Gives a child a call of the session; `false` if the client is told that it was refused.
    pub(super) fn begin_at(&self, link: &Link, request: Outgoing<'_>, asker: Asker, id: &Id) -> bool {
        match link.begin(request, asker) {
            Ok((number, line)) => {
                self.numbered(id, number);
                link.tell([line]);
                true
            }
            Err(refused) => {
                self.fail(id, refused_text(refused));
                false
            }
        }
    }

    fn notify_shared(
        self: &Rc<Self>,
        shared: &Shared,
        link: &Rc<Link>,
        notification: &Notification<'_>,
        body: &Bytes,
    ) {
        match (&*notification.method, &shared.newer) {
            ("notifications/cancelled", newer) => {
                if let Some(id) = cancelled_id(notification) {
                    self.number(&id).into_iter().for_each(|number| link.cancel(number));
                    newer.iter().for_each(|newer| newer.forget(&id));
                }
                self.cancelled(notification);
            }
            ("notifications/initialized", Some(newer)) => self.listen_to_newer(newer, link),
            // The child was told so by the bridge, and has no client that it could ask.
            (
                "notifications/initialized" | "notifications/roots/list_changed" | "notifications/progress",
                _,
            ) => {}
            // A server that knows no sessions knows no notifications of a client either.
            (_, Some(_)) => {}
            (_, None) => link.tell([line_of(body, notification.raw)]),
        }
    }

    fn fail_all(&self, messages: &[Message<'_>], text: &str) {
        let ids = messages.iter().filter_map(|message| match message {
            Message::Request(request) => Id::read(request.id),
            Message::Notification(_) | Message::Response(_) => None,
        });
        for id in ids {
            self.fail(&id, text);
        }
    }
}

fn refused_text(refused: CallRefused) -> &'static str {
    match refused {
        CallRefused::IdInUse => "a request with the same id waits for its answer",
        CallRefused::TooMany => "the server has too many calls in flight",
        CallRefused::Full => "the server holds too many bytes of requests and answers that were not read",
        CallRefused::Over => "the server has ended",
    }
}

/// The revision with sessions that a client asks for, if we know it.
fn asked_revision(request: &Request<'_>) -> Option<Revision> {
    let params = request.params?.get();
    let revision = &params[splice::find(params, &["protocolVersion"])?];
    let revision: Revision = serde_json::from_str::<String>(revision).ok()?.parse().ok()?;
    (revision.era() == Era::Sessions).then_some(revision)
}
