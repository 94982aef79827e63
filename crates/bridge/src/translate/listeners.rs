//! Streams of clients of 2026-07-28 that listen to what changes at an older server.
//!
//! An older server tells its client of changes without being asked; a client that listens names what it wants to know.
//! Whichever of a client's children says it, all streams of that client that want it get it. Resources have to be
//! subscribed to, once for all who listen to one at a child. What is acknowledged is what the server has agreed to.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::{Rc, Weak};
use std::time::Duration;

use bytes::Bytes;
use mcp::message::{Notification, Outcome, Request};
use mcp::splice::{self, Edits};
use serde_json::value::{RawValue, to_raw_value};
use tokio::task::{JoinSet, spawn_local};
use tokio::time::timeout;

use crate::changes::{self, CHANGES, Change, RESOURCES_MAX, UPDATED, URI_BYTES_MAX};
use crate::link::{Introduction, Link, end_of_subscription, into_meta, meta, outcome};
use crate::meter::Counted;
use crate::placement::Key;
use crate::session::CallRefused;
use crate::stream::Stream;
use crate::wire::Over;

/// Time a server has to agree to all that a client wants to listen to. What it has not agreed to by then is not
/// acknowledged.
const SUBSCRIBE_PATIENCE: Duration = Duration::from_secs(10);

/// What it takes beside its address to listen to a resource.
const WATCH_BYTES: usize = 512;

#[derive(Default)]
pub(crate) struct Listeners {
    all: RefCell<Vec<Weak<Listener>>>,
}

/// A client that listens, for as long as this is kept.
pub(crate) struct Listener {
    link: Rc<Link>,
    id: Box<RawValue>,
    changes: Vec<&'static Change>,
    resources: Vec<String>,
    stream: Rc<Stream>,
    /// What has changed before the acknowledgement, which has to be the first message: the last word on each. None when
    /// it was sent.
    early: RefCell<Option<BTreeMap<String, Bytes>>>,
    _counted: Counted,
}

impl Listeners {
    /// Begins to listen to what a request names and the server can tell. It is acknowledged on the stream as soon as the
    /// server has agreed.
    pub(crate) fn listen(
        &self,
        link: &Rc<Link>,
        server: &Introduction,
        request: &Request<'_>,
        stream: Rc<Stream>,
    ) -> Result<Rc<Listener>, CallRefused> {
        if !link.has_room() {
            return Err(CallRefused::Full);
        }
        let params = request.params.map(|params| params.get()).unwrap_or_default();
        let filter = |key| splice::find(params, &["notifications", key]).map(|place| &params[place]);
        let wanted = CHANGES.iter().filter(|change| {
            filter(change.member) == Some("true") && server.has(&[change.capability, "listChanged"])
        });
        let resources: Vec<String> = filter("resourceSubscriptions")
            .filter(|_| server.has(&["resources", "subscribe"]))
            .and_then(|uris| serde_json::from_str(uris).ok())
            .unwrap_or_default();
        let watchable = |uri: &String| uri.len() <= URI_BYTES_MAX;
        let mut resources: Vec<_> = resources.into_iter().filter(watchable).take(RESOURCES_MAX).collect();
        resources.sort_unstable();
        resources.dedup();
        let bytes =
            resources.iter().map(|uri| WATCH_BYTES + uri.len()).sum::<usize>() + request.id.get().len();
        let listener = Rc::new(Listener {
            link: link.clone(),
            id: request.id.to_owned(),
            changes: wanted.collect(),
            resources,
            stream,
            early: RefCell::new(Some(BTreeMap::new())),
            _counted: link.noted().count(bytes),
        });
        self.all.borrow_mut().push(Rc::downgrade(&listener));
        link.hold();
        listener.clone().begin();
        Ok(listener)
    }

    /// Tells those who listen for the client of a child of a change.
    pub(crate) fn changed(&self, key: &Key, notification: &Notification<'_>) {
        let mut all = self.all.borrow_mut();
        all.retain(|listener| listener.strong_count() > 0);
        let all = all.iter().filter_map(Weak::upgrade);
        for listener in all.filter(|listener| listener.link.key().is_of_same_client(key)) {
            listener.changed(notification);
        }
    }

    /// A child is over, and what was subscribed there with it: its clients have to listen again.
    pub(crate) fn ended(&self, link: &Rc<Link>) {
        let all = self.all.borrow();
        for listener in all.iter().filter_map(Weak::upgrade).filter(|one| Rc::ptr_eq(&one.link, link)) {
            listener.stream.answer(end_of_subscription(&listener.id));
            listener.stream.finish();
        }
    }
}

impl Listener {
    /// Asks the server for all resources at once, and acknowledges when it has answered.
    fn begin(self: Rc<Self>) {
        if self.resources.is_empty() {
            return self.acknowledge(&[]);
        }
        let mut asked = JoinSet::new();
        for (at, uri) in self.resources.iter().enumerate() {
            self.link.watch(uri);
            let (link, params) = (self.link.clone(), about(uri));
            asked.spawn_local(async move { (at, agrees(link.ask("resources/subscribe", &params).await)) });
        }
        let (mut agreed, listener) = (vec![false; self.resources.len()], Rc::downgrade(&self));
        spawn_local(async move {
            let answers = async {
                while let Some(answer) = asked.join_next().await {
                    let (at, agrees) = answer.unwrap_or_default();
                    agreed[at] |= agrees;
                }
            };
            if timeout(SUBSCRIBE_PATIENCE, answers).await.is_err() {
                tracing::warn!("the server did not agree to all subscriptions in time");
            }
            listener.upgrade().inspect(|listener| listener.acknowledge(&agreed));
        });
    }

    fn acknowledge(&self, agreed: &[bool]) {
        let mut filter: Vec<_> =
            self.changes.iter().map(|change| format!("\"{}\":true", change.member)).collect();
        let agreed = self.resources.iter().zip(agreed).filter(|(_, agreed)| **agreed);
        let agreed: Vec<_> = agreed.map(|(uri, _)| uri).collect();
        if !agreed.is_empty() {
            let uris = serde_json::to_string(&agreed).unwrap_or_default();
            filter.push(format!("\"resourceSubscriptions\":{uris}"));
        }
        let (key, id, filter) = (meta::SUBSCRIPTION, self.id.get(), filter.join(","));
        let text = format!(
            r#"{{"jsonrpc":"2.0","method":"notifications/subscriptions/acknowledged","params":{{"_meta":{{"{key}":{id}}},"notifications":{{{filter}}}}}}}"#
        );
        self.stream.put(text.into());
        self.early.take().into_iter().flatten().for_each(|(_, message)| self.stream.put(message));
    }

    fn changed(&self, notification: &Notification<'_>) {
        let (text, method) = (notification.raw, &*notification.method);
        let about = if method == UPDATED {
            let uri = notification.params.and_then(|params| changes::uri(params.get()));
            uri.filter(|uri| self.resources.contains(uri))
        } else {
            self.changes.iter().any(|change| change.method == method).then(|| method.to_owned())
        };
        let Some(about) = about else { return };
        let message = self.link.noted().hold(self.labelled(text));
        match &mut *self.early.borrow_mut() {
            Some(early) => drop(early.insert(about, message)),
            None => self.stream.put(message),
        }
    }

    /// The notification with the subscription that it goes to.
    fn labelled(&self, text: &str) -> Bytes {
        let label = format!("\"{}\":{}", meta::SUBSCRIPTION, self.id);
        let mut edits = Edits::of(text);
        into_meta(&mut edits, text, &label);
        crate::link::line(edits.apply())
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        self.link.let_go();
        for uri in std::mem::take(&mut self.resources) {
            if self.link.unwatch(&uri) && !self.link.is_over() {
                let (link, params) = (self.link.clone(), about(&uri));
                // Whatever it says, nobody listens any more.
                spawn_local(async move {
                    drop(timeout(SUBSCRIBE_PATIENCE, link.ask("resources/unsubscribe", &params)).await);
                });
            }
        }
    }
}

/// Whether the server does what it was asked.
fn agrees(answer: Result<Bytes, Over>) -> bool {
    answer.is_ok_and(|answer| matches!(outcome(&answer), Some(Outcome::Result(_))))
}

fn about(uri: &str) -> Box<RawValue> {
    to_raw_value(&serde_json::json!({ "uri": uri })).expect("a JSON value always serialises")
}
