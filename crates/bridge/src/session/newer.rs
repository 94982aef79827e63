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
use crate::link::{Asker, Introduction, Link, Outgoing, into_meta, meta};
use input::Round;

/// Resources that a session subscribes to.
const RESOURCES_MAX: usize = 1024;
/// What a session listens to, by the capability that promises it.
const CHANGES: [(&str, &str); 3] =
    [("tools", "toolsListChanged"), ("prompts", "promptsListChanged"), ("resources", "resourcesListChanged")];

/// The part of a session that its server does not keep.
pub(crate) struct Newer {
    server: Rc<Introduction>,
    /// What goes into the `_meta` of every request: capabilities and name of the client, as it wrote them.
    client: RefCell<String>,
    level: RefCell<Option<String>>,
    resources: RefCell<BTreeSet<String>>,
    /// The call that listens to changes, and its child.
    listening: RefCell<Option<(Weak<Link>, u64)>>,
    calls: RefCell<HashMap<Id, Round>>,
    /// What the client is asked: the call that it is for, and the name of the question there.
    questions: RefCell<HashMap<String, (Id, String)>>,
    asked: Cell<u64>,
}

impl Newer {
    /// A session with a server that has said this of itself.
    pub(crate) fn of(server: Rc<Introduction>) -> Self {
        Self {
            server,
            client: RefCell::new(format!("\"{}\":{{}}", meta::CLIENT_CAPABILITIES)),
            level: RefCell::default(),
            resources: RefCell::default(),
            listening: RefCell::default(),
            calls: RefCell::default(),
            questions: RefCell::default(),
            asked: Cell::new(0),
        }
    }

    /// Notes who the client is, and gives the result of its `initialize`, by what the server says of itself.
    pub(crate) fn initialize(
        &self,
        initialize: &Request<'_>,
        revision: Revision,
    ) -> (Revision, Box<RawValue>) {
        let params = initialize.params.map(|params| params.get()).unwrap_or_default();
        let member = |key| splice::find(params, &[key]).map(|place| &params[place]);
        let capabilities = member("capabilities").filter(|value| value.starts_with('{')).unwrap_or("{}");
        let mut client = format!("\"{}\":{capabilities}", meta::CLIENT_CAPABILITIES);
        if let Some(info) = member("clientInfo") {
            client.push_str(&format!(",\"{}\":{info}", meta::CLIENT_INFO));
        }
        *self.client.borrow_mut() = client;
        (revision, self.initialize_result(revision))
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
        if let Some(level) = &*self.level.borrow() {
            members.push_str(&format!(",\"{}\":{level}", meta::LOG_LEVEL));
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
    pub(super) async fn forward_to_newer(
        self: &Rc<Self>,
        newer: &Newer,
        link: &Rc<Link>,
        request: &Request<'_>,
    ) {
        let Some(id) = Id::read(request.id) else { return };
        let params = request.params.map(|params| params.get()).unwrap_or_default();
        let member = |key| splice::find(params, &[key]).map(|place| params[place].to_owned());
        match &*request.method {
            "ping" => {}
            "logging/setLevel" => *newer.level.borrow_mut() = member("level"),
            "resources/subscribe" | "resources/unsubscribe" => {
                let uri = member("uri").and_then(|uri| serde_json::from_str::<String>(&uri).ok());
                let Some(uri) = uri else {
                    let error =
                        message::error(Some(request.id), code::INVALID_PARAMS, "a uri is needed", None);
                    self.answer(&id, error.into());
                    return;
                };
                newer.subscribe(uri, &*request.method == "resources/subscribe");
                self.listen_to_newer(newer, link).await;
            }
            method => {
                if matches!(method, "tools/call" | "prompts/get" | "resources/read") {
                    newer.calls.borrow_mut().insert(id.clone(), Round::of(request));
                }
                return self.ask_newer(newer, link, id, request, None).await;
            }
        }
        let result = format!(r#"{{"jsonrpc":"2.0","id":{},"result":{{}}}}"#, request.id);
        self.answer(&id, result.into());
    }

    /// Listens to what the server promises and the session has subscribed to, at this child.
    pub(super) async fn listen_to_newer(self: &Rc<Self>, newer: &Newer, link: &Rc<Link>) {
        newer.leave();
        let Some(request) = newer.listen_request() else { return };
        let Ok(Body::One(Message::Request(request))) = message::parse(request.as_bytes()) else { return };
        let mut outgoing = Outgoing::of(&request);
        newer.complete(&mut outgoing.edits, request.raw);
        if let Ok((number, line)) = link.begin(outgoing, Asker::Listener(Rc::downgrade(self))) {
            // Whoever comes while the line waits for the child must find it.
            *newer.listening.borrow_mut() = Some((Rc::downgrade(link), number));
            let _ = link.tell(line).await;
        }
    }

    /// Listens again at a child that was started since.
    pub(super) async fn listen_where_it_runs(self: &Rc<Self>, newer: &Newer, link: &Rc<Link>) {
        let moved =
            newer.listening.borrow().as_ref().is_some_and(|(old, _)| old.as_ptr() != Rc::as_ptr(link));
        if moved {
            self.listen_to_newer(newer, link).await;
        }
    }

    async fn ask_newer(
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
        outgoing.wants_logs(newer.level.borrow().is_some());
        let asker = Asker::Session(Rc::downgrade(self), id.clone());
        if !self.begin_at(link, outgoing, asker, &id).await {
            newer.calls.borrow_mut().remove(&id);
        }
    }
}

impl Newer {
    fn subscribe(&self, uri: String, wanted: bool) {
        let mut resources = self.resources.borrow_mut();
        if !wanted {
            resources.remove(&uri);
        } else if resources.len() < RESOURCES_MAX {
            resources.insert(uri);
        }
    }

    /// The request that listens to everything the client wants to know; `None` if that is nothing.
    fn listen_request(&self) -> Option<String> {
        let mut filter: Vec<_> = CHANGES
            .iter()
            .filter(|(capability, _)| self.server.has(&[capability, "listChanged"]))
            .map(|(_, member)| format!("\"{member}\":true"))
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
