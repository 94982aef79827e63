//! A session that has no child of its own: its calls go to one that other clients use as well.
//!
//! This is for servers whose tools keep no state. What such a child says beside answers and progress has no call that it
//! belongs to, and reaches no session; so the session does not promise it either, and refuses what would ask for it.

use std::cell::RefCell;
use std::rc::{Rc, Weak};

use bytes::Bytes;
use mcp::message::{self, Id, Message, Notification, Request, code};
use mcp::protocol::Revision;
use mcp::splice::{self, Edits};
use serde_json::value::RawValue;
use tokio::task::spawn_local;

use super::{CallRefused, Newer, Server, Session};
use crate::link::{Asker, Introduction, Link, Outgoing};
use crate::links::{Key, Links};
use crate::serve::{Bridge, chain};
use crate::wire::{Ending, Over, line_of};

/// Methods whose effect would reach beyond the session.
const REFUSED: [&str; 4] = ["logging/setLevel", "resources/subscribe", "resources/unsubscribe", "tasks/list"];
/// Capabilities that stand for them, and for what a shared child tells nobody.
const UNKEPT: [&[&str]; 2] = [&["logging"], &["tasks", "list"]];
const UNTRUE: [&[&str]; 4] = [
    &["tools", "listChanged"],
    &["prompts", "listChanged"],
    &["resources", "listChanged"],
    &["resources", "subscribe"],
];

/// The part of a session that shares a child.
pub(crate) struct Shared {
    bridge: Weak<Bridge>,
    key: Key,
    /// What the bridge keeps of the session, if the server knows none.
    newer: Option<Newer>,
    /// The child that the last calls went to.
    link: RefCell<Weak<Link>>,
}

impl Shared {
    pub(crate) fn new(bridge: &Rc<Bridge>, key: Key, newer: Option<Newer>) -> Self {
        Self { bridge: Rc::downgrade(bridge), key, newer, link: RefCell::default() }
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
}

impl Session {
    /// Takes messages of the client, in order.
    pub(super) async fn take_shared(
        self: &Rc<Self>,
        shared: &Shared,
        messages: &[Message<'_>],
        body: &Bytes,
    ) -> Result<(), Over> {
        let bridge = shared.bridge.upgrade().ok_or(Over)?;
        let found = match Links::find(&bridge, &shared.key, false).await {
            Ok(found) => found,
            Err(error) => {
                self.fail_all(messages, &chain(&error));
                return Ok(());
            }
        };
        let link = found.link.clone();
        *shared.link.borrow_mut() = Rc::downgrade(&link);
        if let Some(newer) = &shared.newer {
            self.listen_where_it_runs(newer, &link).await;
        }
        for message in messages {
            match (message, &shared.newer) {
                (Message::Request(request), Some(newer)) => {
                    self.forward_to_newer(newer, &link, request).await
                }
                (Message::Request(request), None) => self.forward(&link, request).await,
                (Message::Notification(notification), newer) => {
                    if let Some(newer) = newer
                        && notification.method == "notifications/initialized"
                    {
                        self.listen_to_newer(newer, &link).await;
                    }
                    self.notify_shared(shared, &link, notification, body).await;
                }
                (Message::Response(response), Some(newer)) => {
                    self.answered_by_client(newer, &link, response).await;
                }
                // The child has asked this session nothing.
                (Message::Response(_), None) => {}
            }
        }
        Ok(())
    }

    /// The answer of a shared child to one of the session's calls.
    pub(crate) fn answer_shared(self: &Rc<Self>, id: &Id, answer: Bytes) {
        match self.newer() {
            Some((_, newer)) => self.answer_from_newer(newer, id, answer),
            None => {
                self.answer(id, answer);
            }
        }
    }

    /// What the server says to those who listen, of which the session's client is one.
    pub(crate) fn tell(self: &Rc<Self>, method: &str, message: Bytes) {
        if method == "notifications/subscriptions/acknowledged" || self.over().is_some() {
            return;
        }
        if self.is_flooded() {
            return self.give_up(Ending::Clogged);
        }
        self.listener().put(message);
    }

    /// The parts of a session whose server knows none.
    pub(crate) fn newer(&self) -> Option<(&Shared, &Newer)> {
        let Server::Shared(shared) = &self.server else { return None };
        shared.newer.as_ref().map(|newer| (&**shared, newer))
    }

    /// A message of the server that belongs to one of the session's calls.
    pub(crate) fn notify(self: &Rc<Self>, id: &Id, message: Bytes) {
        // The child must not wait for one client, and one that does not read must not take everybody's memory.
        if self.is_flooded() {
            self.give_up(Ending::Clogged);
            return;
        }
        self.put(id, message);
    }

    async fn forward(self: &Rc<Self>, link: &Rc<Link>, request: &Request<'_>) {
        let Some(id) = Id::read(request.id) else { return };
        if REFUSED.contains(&&*request.method) {
            let text = "not available here: clients share this server's process";
            let error = message::error(Some(request.id), code::METHOD_NOT_FOUND, text, None);
            self.answer(&id, error.into());
            return;
        }
        let asker = Asker::Session(Rc::downgrade(self), id.clone());
        self.begin_at(link, Outgoing::of(request), asker, &id).await;
    }

    /// Gives a child a call of the session; `false` if the client is told that it was refused. The call can be cancelled
    /// from the beginning, also while its line waits for the child.
    pub(super) async fn begin_at(&self, link: &Link, request: Outgoing<'_>, asker: Asker, id: &Id) -> bool {
        match link.begin(request, asker) {
            Ok((number, line)) => {
                self.numbered(id, number);
                // A child that is gone fails the call.
                let _ = link.tell(line).await;
                true
            }
            Err(refused) => {
                self.fail(id, refused_text(refused));
                false
            }
        }
    }

    async fn notify_shared(
        self: &Rc<Self>,
        shared: &Shared,
        link: &Rc<Link>,
        notification: &Notification<'_>,
        body: &Bytes,
    ) {
        match &*notification.method {
            "notifications/cancelled" => {
                if let Some(id) = cancelled_id(notification) {
                    self.number(&id).into_iter().for_each(|number| link.cancel(number));
                    shared.newer.iter().for_each(|newer| newer.forget(&id));
                }
                self.cancelled(notification);
            }
            // The child was told so by the bridge, and has no client that it could ask.
            "notifications/initialized" | "notifications/roots/list_changed" | "notifications/progress" => {}
            // A server that knows no sessions knows no notifications of a client either.
            _ if shared.newer.is_some() => {}
            _ => drop(link.tell(line_of(body, notification.raw)).await),
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

    /// Ends the session as soon as whoever delivers to it has done so.
    fn give_up(self: &Rc<Self>, ending: Ending) {
        if let Server::Shared(shared) = &self.server
            && let Some(bridge) = shared.bridge.upgrade()
        {
            let session = self.clone();
            spawn_local(async move { bridge.end(&session, ending) });
        }
    }
}

fn cancelled_id(notification: &Notification<'_>) -> Option<Id> {
    let params = notification.params?.get();
    let id = splice::find(params, &["requestId"])?;
    Id::read_text(&params[id])
}

fn refused_text(refused: CallRefused) -> &'static str {
    match refused {
        CallRefused::IdInUse => "a request with the same id waits for its answer",
        CallRefused::TooMany => "the server has too many calls in flight",
        CallRefused::Full => "the server holds too many bytes of requests that it has not read",
        CallRefused::Over => "the server has ended",
    }
}

/// The result of `initialize` for a client that asks for a revision: what the server said to the bridge, without what a
/// session that shares its child cannot keep.
pub(crate) fn initialize_result(
    introduction: &Introduction,
    asked: Option<Revision>,
) -> (Revision, Box<RawValue>) {
    let revision = asked.map_or(introduction.revision, |asked| asked.min(introduction.revision));
    let text = introduction.result.get();
    let mut edits = Edits::of(text);
    if let Some(version) = splice::find(text, &["protocolVersion"]) {
        edits.replace(version, format!("\"{revision}\""));
    }
    if let Some(capabilities) = splice::find(text, &["capabilities"]) {
        for path in UNTRUE {
            let path: Vec<&str> = std::iter::once("capabilities").chain(path.iter().copied()).collect();
            if let Some(value) = splice::find(text, &path) {
                edits.replace(value, "false");
            }
        }
        for path in UNKEPT {
            let (key, parents) = path.split_last().expect("no path is empty");
            let within: Vec<&str> = std::iter::once("capabilities").chain(parents.iter().copied()).collect();
            let object =
                if parents.is_empty() { Some(capabilities.clone()) } else { splice::find(text, &within) };
            if let Some(object) = object {
                edits.remove(&object, key);
            }
        }
    }
    let result = RawValue::from_string(edits.apply()).unwrap_or_else(|_| introduction.result.clone());
    (revision, result)
}
