//! A session with a server that knows none: the bridge keeps it, and makes complete requests of what the client sends.
//!
//! Every request gets the client's revision, capabilities and name into `_meta` (2026-07-28, Overview). A result that asks
//! for input becomes requests to the client on the stream of its call; with the answers the request is made again. What
//! older revisions subscribe to one by one is listened to as a whole.

mod input;

use std::cell::{Cell, RefCell};
use std::collections::{BTreeSet, HashMap};
use std::rc::{Rc, Weak};

use mcp::message::{self, Body, Id, Message, Request, code};
use mcp::protocol::Revision;
use mcp::splice::{self, Edits};
use serde_json::value::RawValue;

use super::Session;
use crate::changes::{self, CHANGES, RESOURCES_MAX, URI_BYTES_MAX};
use crate::link::{Asker, Introduction, Link, Outgoing, empty_result, into_meta, meta};
use crate::meter::Meter;
use crate::placement::CLIENT_BYTES_MAX;
use crate::translate::LEVELS;
use input::Repeatable;

/// What a client says of itself is longer than what is put into each of its requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("capabilities and clientInfo may have {CLIENT_BYTES_MAX} bytes")]
pub(crate) struct TooLong;

/// The part of a session that its server does not keep.
pub(crate) struct Newer {
    server: Rc<Introduction>,
    /// What goes into the `_meta` of every request: capabilities and name of the client, as it wrote them.
    client: RefCell<String>,
    level: Cell<Option<&'static str>>,
    resources: RefCell<BTreeSet<String>>,
    /// The call that listens to changes, and its child.
    listening: RefCell<Option<(Weak<Link>, u64)>>,
    calls: RefCell<HashMap<Id, Repeatable>>,
    /// What the client is asked: the call that it is for, and the name of the question there.
    questions: RefCell<HashMap<String, (Id, String)>>,
    asked: Cell<u64>,
    /// What server and client say about calls that are made again.
    said: Meter,
}

impl Newer {
    /// A session with a server that has said this of itself.
    pub(crate) fn of(server: Rc<Introduction>) -> Self {
        Self {
            server,
            client: RefCell::new(format!("\"{}\":{{}}", meta::CLIENT_CAPABILITIES)),
            level: Cell::default(),
            resources: RefCell::default(),
            listening: RefCell::default(),
            calls: RefCell::default(),
            questions: RefCell::default(),
            asked: Cell::new(0),
            said: Meter::default(),
        }
    }

    /// Notes who the client is, and gives the result of its `initialize`, by what the server says of itself.
    pub(crate) fn initialize(
        &self,
        initialize: &Request<'_>,
        revision: Revision,
    ) -> Result<(Revision, Box<RawValue>), TooLong> {
        let params = initialize.params.map(|params| params.get()).unwrap_or_default();
        let member = |key| splice::find(params, &[key]).map(|place| &params[place]);
        let capabilities = member("capabilities").filter(|value| value.starts_with('{')).unwrap_or("{}");
        let mut client = format!("\"{}\":{capabilities}", meta::CLIENT_CAPABILITIES);
        if let Some(info) = member("clientInfo") {
            client.push_str(&format!(",\"{}\":{info}", meta::CLIENT_INFO));
        }
        if client.len() > CLIENT_BYTES_MAX {
            return Err(TooLong);
        }
        *self.client.borrow_mut() = client;
        Ok((revision, self.initialize_result(revision)))
    }

    fn initialize_result(&self, revision: Revision) -> Box<RawValue> {
        let capabilities = self.server.member(&["capabilities"]).unwrap_or("{}");
        let info = self.server.member(&["_meta", meta::SERVER_INFO]);
        let info = info.unwrap_or(r#"{"name":"","version":""}"#);
        let mut text =
            format!(r#"{{"protocolVersion":"{revision}","capabilities":{capabilities},"serverInfo":{info}"#);
        if let Some(instructions) = self.server.member(&["instructions"]) {
            text.push_str(&format!(",\"instructions\":{instructions}"));
        }
        text.push('}');
        RawValue::from_string(text).unwrap_or_else(|_| RawValue::NULL.to_owned())
    }

    /// Puts into a request what it must say of itself.
    fn complete(&self, edits: &mut Edits<'_>, text: &str) {
        let mut members =
            format!("\"{}\":\"{}\",{}", meta::REVISION, Revision::LATEST_STATELESS, self.client.borrow());
        if let Some(level) = self.level.get() {
            members.push_str(&format!(",\"{}\":\"{level}\"", meta::LOG_LEVEL));
        }
        into_meta(edits, text, &members);
    }

    /// A call that the client has given up is not asked about any more.
    pub(super) fn forget(&self, id: &Id) {
        self.calls.borrow_mut().remove(id);
        self.questions.borrow_mut().retain(|_, (call, _)| call != id);
    }

    pub(super) fn leave(&self) {
        if let Some((link, number)) = self.listening.take()
            && let Some(link) = link.upgrade()
        {
            link.cancel(number);
        }
    }
}

impl Session {
    /// Answers a request of the client here, or makes a complete one of it.
    pub(super) fn forward_to_newer(
        self: &Rc<Self>,
        newer: &Newer,
        link: &Rc<Link>,
        request: &Request<'_>,
        id: Id,
    ) {
        let params = request.params.map(|params| params.get()).unwrap_or_default();
        let done = match &*request.method {
            "ping" => Ok(()),
            "logging/setLevel" => newer.set_level(params),
            "resources/subscribe" | "resources/unsubscribe" => {
                let done = newer.subscribe(params, &*request.method == "resources/subscribe");
                done.inspect(|()| self.listen_to_newer(newer, link))
            }
            method => {
                if matches!(method, "tools/call" | "prompts/get" | "resources/read") {
                    let repeatable = Repeatable::of(request, &self.noted);
                    newer.calls.borrow_mut().insert(id.clone(), repeatable);
                }
                return self.ask_newer(newer, link, id, request, None);
            }
        };
        let answer = match done {
            Ok(()) => empty_result(request.id),
            Err(text) => message::error(Some(request.id), code::INVALID_PARAMS, text, None).into(),
        };
        self.answer(&id, answer);
    }

    /// Listens to what the server promises and the session has subscribed to, at this child.
    pub(super) fn listen_to_newer(self: &Rc<Self>, newer: &Newer, link: &Rc<Link>) {
        newer.leave();
        let Some(request) = newer.listen_request() else { return };
        let Ok(Body::One(Message::Request(request))) = message::parse(request.as_bytes()) else { return };
        let mut outgoing = Outgoing::of(&request);
        newer.complete(&mut outgoing.edits, request.raw);
        match link.begin(outgoing, Asker::Listener(Rc::downgrade(self))) {
            Ok((number, line)) => {
                *newer.listening.borrow_mut() = Some((Rc::downgrade(link), number));
                link.tell([line]);
            }
            // It is tried again with the next message of the client.
            Err(refused) => {
                tracing::debug!(?refused, "the session cannot listen to changes now");
                *newer.listening.borrow_mut() = Some((Weak::new(), 0));
            }
        }
    }

    /// Listens again at a child that was started since.
    pub(super) fn listen_where_it_runs(self: &Rc<Self>, newer: &Newer, link: &Rc<Link>) {
        let moved =
            newer.listening.borrow().as_ref().is_some_and(|(old, _)| old.as_ptr() != Rc::as_ptr(link));
        if moved {
            self.listen_to_newer(newer, link);
        }
    }

    fn ask_newer(
        self: &Rc<Self>,
        newer: &Newer,
        link: &Rc<Link>,
        id: Id,
        request: &Request<'_>,
        more: Option<String>,
    ) {
        let mut outgoing = Outgoing::of(request);
        newer.complete(&mut outgoing.edits, request.raw);
        if let (Some(more), Some(params)) = (more, splice::find(request.raw, &["params"])) {
            outgoing.edits.insert(&params, more);
        }
        outgoing.wants_logs(newer.level.get().is_some());
        let asker = Asker::Session(Rc::downgrade(self), id.clone());
        if !self.begin_at(link, outgoing, asker, &id) {
            newer.calls.borrow_mut().remove(&id);
        }
    }
}

impl Newer {
    /// What is said about calls that are made again.
    pub(super) fn held_bytes(&self) -> usize {
        self.said.bytes()
    }

    fn set_level(&self, params: &str) -> Result<(), &'static str> {
        let level =
            splice::find(params, &["level"]).and_then(|level| serde_json::from_str(&params[level]).ok());
        let known = level.and_then(|level: String| LEVELS.into_iter().find(|known| *known == level));
        self.level.set(Some(known.ok_or("a level of RFC 5424 is needed, such as \"info\"")?));
        Ok(())
    }

    fn subscribe(&self, params: &str, wanted: bool) -> Result<(), &'static str> {
        let uri = changes::uri(params).ok_or("a uri is needed")?;
        let mut resources = self.resources.borrow_mut();
        if !wanted {
            resources.remove(&uri);
            return Ok(());
        }
        if uri.len() > URI_BYTES_MAX {
            return Err("the uri is too long to subscribe to");
        }
        if resources.len() >= RESOURCES_MAX && !resources.contains(&uri) {
            return Err("the session subscribes to too many resources");
        }
        resources.insert(uri);
        Ok(())
    }

    /// The request that listens to everything the client wants to know; `None` if that is nothing.
    fn listen_request(&self) -> Option<String> {
        let mut filter: Vec<_> = CHANGES
            .iter()
            .filter(|change| self.server.has(&[change.capability, "listChanged"]))
            .map(|change| format!("\"{}\":true", change.member))
            .collect();
        let resources = self.resources.borrow();
        if !resources.is_empty() {
            filter.push(format!("\"resourceSubscriptions\":{}", serde_json::to_string(&*resources).ok()?));
        }
        (!filter.is_empty()).then(|| {
            format!(
                r#"{{"jsonrpc":"2.0","id":0,"method":"subscriptions/listen","params":{{"notifications":{{{}}}}}}}"#,
                filter.join(",")
            )
        })
    }
}
