//! Streams of clients of 2026-07-28 that listen to what changes at an older server.
//!
//! An older server tells its client of changes without being asked; a client that listens names what it wants to know.
//! Whichever of a client's children says it, all streams of that client that want it get it.

use std::cell::RefCell;
use std::rc::{Rc, Weak};

use bytes::Bytes;
use mcp::message::{Notification, Request};
use mcp::splice::{self, Edits};
use serde_json::value::RawValue;

use crate::link::{Introduction, Link, into_meta, meta};
use crate::session::Stream;

/// The members of a filter, the capability that each needs, and the notification that it lets through.
const CHANGES: [(&str, &str, &str); 3] = [
    ("toolsListChanged", "tools", "notifications/tools/list_changed"),
    ("promptsListChanged", "prompts", "notifications/prompts/list_changed"),
    ("resourcesListChanged", "resources", "notifications/resources/list_changed"),
];
const UPDATED: &str = "notifications/resources/updated";
/// Resources that one client subscribes to with one request.
const RESOURCES_MAX: usize = 1024;

#[derive(Default)]
pub(crate) struct Listeners {
    all: RefCell<Vec<Weak<Listener>>>,
}

/// A client that listens, for as long as this is kept.
pub(crate) struct Listener {
    link: Rc<Link>,
    id: Box<RawValue>,
    changes: Vec<&'static str>,
    resources: Vec<String>,
    stream: Rc<Stream>,
}

impl Listeners {
    /// Begins to listen to what a request names and the server can tell, and acknowledges it.
    pub(crate) async fn listen(
        &self,
        link: &Rc<Link>,
        server: &Introduction,
        request: &Request<'_>,
        stream: Rc<Stream>,
    ) -> Rc<Listener> {
        let params = request.params.map(|params| params.get()).unwrap_or_default();
        let filter = |key| splice::find(params, &["notifications", key]).map(|place| &params[place]);
        let wanted = CHANGES.into_iter().filter(|(key, capability, _)| {
            filter(key) == Some("true") && server.has(&[capability, "listChanged"])
        });
        let wanted: Vec<_> = wanted.collect();
        let mut resources: Vec<String> = filter("resourceSubscriptions")
            .filter(|_| server.has(&["resources", "subscribe"]))
            .and_then(|uris| serde_json::from_str(uris).ok())
            .unwrap_or_default();
        resources.truncate(RESOURCES_MAX);
        let listener = Rc::new(Listener {
            link: link.clone(),
            id: request.id.to_owned(),
            changes: wanted.iter().map(|(_, _, method)| *method).collect(),
            resources,
            stream,
        });
        listener.acknowledge(wanted.iter().map(|(key, _, _)| *key));
        self.all.borrow_mut().push(Rc::downgrade(&listener));
        link.hold();
        listener.subscribe("resources/subscribe").await;
        listener
    }

    /// Tells those who listen for this client of a change; `false` if it is none.
    pub(crate) fn tell(&self, client: &str, notification: &Notification<'_>) -> bool {
        let method = &*notification.method;
        let known = method == UPDATED || CHANGES.iter().any(|(_, _, change)| *change == method);
        if !known {
            return false;
        }
        let mut all = self.all.borrow_mut();
        all.retain(|listener| listener.strong_count() > 0);
        let all = all.iter().filter_map(Weak::upgrade);
        for listener in all.filter(|listener| *listener.link.key().client == *client) {
            listener.tell(notification);
        }
        true
    }

    /// A child is over, and what was subscribed there with it: its clients have to listen again.
    pub(crate) fn ended(&self, link: &Rc<Link>) {
        let all = self.all.borrow();
        for listener in all.iter().filter_map(Weak::upgrade).filter(|one| Rc::ptr_eq(&one.link, link)) {
            listener.end();
        }
    }
}

impl Listener {
    fn acknowledge<'a>(&self, changes: impl Iterator<Item = &'a str>) {
        let mut filter: Vec<_> = changes.map(|key| format!("\"{key}\":true")).collect();
        if !self.resources.is_empty() {
            let uris = serde_json::to_string(&self.resources).unwrap_or_default();
            filter.push(format!("\"resourceSubscriptions\":{uris}"));
        }
        let (key, id, filter) = (meta::SUBSCRIPTION, self.id.get(), filter.join(","));
        let text = format!(
            r#"{{"jsonrpc":"2.0","method":"notifications/subscriptions/acknowledged","params":{{"_meta":{{"{key}":{id}}},"notifications":{{{filter}}}}}}}"#
        );
        self.stream.put(text.into());
    }

    async fn subscribe(&self, method: &str) {
        for uri in &self.resources {
            let params = serde_json::json!({ "uri": uri });
            let Ok(params) = serde_json::value::to_raw_value(&params) else { continue };
            // A resource that the server refuses to watch never changes.
            drop(self.link.ask(method, &params).await);
        }
    }

    fn tell(&self, notification: &Notification<'_>) {
        let text = notification.raw;
        let wanted = if notification.method == UPDATED {
            let uri = splice::find(text, &["params", "uri"]).map(|place| &text[place]);
            let uri = uri.and_then(|uri| serde_json::from_str::<String>(uri).ok());
            uri.is_some_and(|uri| self.resources.contains(&uri))
        } else {
            self.changes.contains(&&*notification.method)
        };
        if wanted {
            self.stream.put(self.labelled(text));
        }
    }

    /// The notification with the subscription that it goes to.
    fn labelled(&self, text: &str) -> Bytes {
        let label = format!("\"{}\":{}", meta::SUBSCRIPTION, self.id);
        let mut edits = Edits::of(text);
        into_meta(&mut edits, text, &label);
        crate::link::line(edits.apply())
    }

    fn end(&self) {
        let (key, id) = (meta::SUBSCRIPTION, self.id.get());
        let text = format!(
            r#"{{"jsonrpc":"2.0","id":{id},"result":{{"resultType":"complete","_meta":{{"{key}":{id}}}}}}}"#
        );
        self.stream.answer(text.into());
        self.stream.finish();
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        self.link.let_go();
        if self.link.is_over() {
            return;
        }
        for uri in std::mem::take(&mut self.resources) {
            let params = serde_json::value::to_raw_value(&serde_json::json!({ "uri": uri }));
            let (link, Ok(params)) = (self.link.clone(), params) else { continue };
            tokio::task::spawn_local(async move { link.ask("resources/unsubscribe", &params).await });
        }
    }
}
