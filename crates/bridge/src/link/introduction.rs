//! What a child says of itself before its first call: the result of `initialize`, or of `server/discover`.

use std::rc::Rc;
use std::time::Duration;

use mcp::message::{self, Body, Message, Outcome};
use mcp::protocol::{Era, Revision};
use mcp::splice::{self, Edits};
use serde_json::value::{RawValue, to_raw_value};
use tokio::time::timeout;

use super::Link;
use crate::wire::Ending;

/// Time a server has to answer `initialize`; it may have to be installed first.
pub(crate) const INITIALIZE_TIMEOUT: Duration = Duration::from_secs(300);

/// Capabilities that a child cannot keep which serves many clients of the era with sessions: what it says beside answers
/// and progress belongs to no call that it could be led to, and what such a client would set is set for all.
const UNKEPT: [&[&str]; 2] = [&["logging"], &["tasks", "list"]];
const UNTRUE: [&[&str]; 4] = [
    &["tools", "listChanged"],
    &["prompts", "listChanged"],
    &["resources", "listChanged"],
    &["resources", "subscribe"],
];

/// What a child has said of itself.
#[derive(Debug)]
pub(crate) struct Introduction {
    /// The result, as the server wrote it, as far as it can be kept.
    pub(crate) result: Box<RawValue>,
    /// The newest revision that it speaks in the era in which it was asked.
    pub(crate) revision: Revision,
}

/// Why a child cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum NotIntroduced {
    #[error("{0} before it was initialised")]
    Ended(Ending),
    #[error("the server did not answer initialize within {} s", INITIALIZE_TIMEOUT.as_secs())]
    Timeout,
    #[error("the server refused initialize: {0}")]
    Refused(String),
}

impl Introduction {
    /// Reads the result of `server/discover`, if it is one of a server that we can speak to.
    pub(crate) fn of_discovery(result: &RawValue) -> Option<Self> {
        let versions = splice::find(result.get(), &["supportedVersions"])?;
        let versions: Vec<String> = serde_json::from_str(&result.get()[versions]).ok()?;
        let known = versions.iter().filter_map(|version| version.parse::<Revision>().ok());
        let revision = known.filter(|revision| revision.era() == Era::Stateless).max()?;
        Some(Self { result: result.to_owned(), revision })
    }

    /// Reads the result of `initialize`. A revision that we do not know is treated as the oldest.
    pub(crate) fn of_initialize(result: &RawValue) -> Option<Self> {
        let version = splice::find(result.get(), &["protocolVersion"])?;
        let version: String = serde_json::from_str(&result.get()[version]).ok()?;
        let known = version.parse().ok().filter(|revision: &Revision| revision.era() == Era::Sessions);
        Some(Self { result: result.to_owned(), revision: known.unwrap_or(Revision::ALL[0]) })
    }

    /// Without what is not true of a child that many clients share.
    fn for_many(mut self) -> Self {
        let text = self.result.get();
        let capabilities = |path: &[&'static str]| {
            let path: Vec<&str> = std::iter::once("capabilities").chain(path.iter().copied()).collect();
            splice::find(text, &path)
        };
        let mut edits = Edits::of(text);
        for value in UNTRUE.into_iter().filter_map(capabilities) {
            edits.replace(value, "false");
        }
        for path in UNKEPT {
            let (key, parents) = path.split_last().expect("no path is empty");
            if let Some(object) = capabilities(parents) {
                edits.remove(&object, key);
            }
        }
        if let Ok(result) = RawValue::from_string(edits.apply()) {
            self.result = result;
        }
        self
    }

    /// A part of the result, as the server wrote it.
    pub(crate) fn member(&self, path: &[&str]) -> Option<&str> {
        splice::find(self.result.get(), path).map(|range| &self.result.get()[range])
    }

    /// Whether a capability is declared, or one of its options is `true`.
    pub(crate) fn has(&self, capability: &[&str]) -> bool {
        let path: Vec<&str> = std::iter::once("capabilities").chain(capability.iter().copied()).collect();
        self.member(&path).is_some_and(|value| !matches!(value, "false" | "null"))
    }
}

impl Link {
    /// What the child has said it is, if it has.
    pub(crate) fn known(&self) -> Option<Rc<Introduction>> {
        self.introduction.borrow().as_ref()?.as_ref().ok().cloned()
    }

    /// Waits until the child has said what it is.
    pub(crate) async fn introduction(&self) -> Result<Rc<Introduction>, NotIntroduced> {
        loop {
            let introduced = self.introduced.notified();
            if let Some(introduction) = &*self.introduction.borrow() {
                return introduction.clone();
            }
            introduced.await;
        }
    }

    /// The child is known: it, or another of the same server, was asked before.
    pub(crate) fn introduced(&self, introduction: Rc<Introduction>) {
        self.settle(Ok(introduction));
    }

    /// Initialises the child in the name of a client with the key's capabilities.
    pub(crate) async fn initialize(&self) {
        let introduction = match timeout(INITIALIZE_TIMEOUT, self.shake_hands()).await {
            Ok(introduction) => introduction,
            Err(_) => Err(NotIntroduced::Timeout),
        };
        let failed = introduction.is_err();
        self.settle(introduction);
        if failed {
            self.end(Ending::NotInitialized);
        }
    }

    pub(super) fn not_introduced(&self, ending: Ending) {
        self.settle(Err(NotIntroduced::Ended(ending)));
    }

    fn settle(&self, introduction: Result<Rc<Introduction>, NotIntroduced>) {
        self.introduction.borrow_mut().get_or_insert(introduction);
        self.introduced.notify_waiters();
    }

    async fn shake_hands(&self) -> Result<Rc<Introduction>, NotIntroduced> {
        let ended = |_| NotIntroduced::Ended(self.wire.over().unwrap_or(Ending::PipeClosed));
        let params = initialize_params(&self.key.capabilities);
        let answer = self.ask("initialize", &params).await.map_err(ended)?;
        if let Some(ending) = self.wire.over() {
            return Err(NotIntroduced::Ended(ending));
        }
        let introduction = match outcome(&answer) {
            Some(Outcome::Result(result)) => Introduction::of_initialize(result),
            Some(error @ Outcome::Error(_)) => {
                let code = error.error().map_or(0, |error| error.code);
                return Err(NotIntroduced::Refused(format!("JSON-RPC error {code}")));
            }
            None => None,
        };
        let introduction =
            introduction.ok_or_else(|| NotIntroduced::Refused("its answer names no revision".into()))?;
        let initialized = message::notification("notifications/initialized", None);
        self.wire.send([initialized.into()]).map_err(ended)?;
        Ok(Rc::new(if self.key.is_shared() { introduction.for_many() } else { introduction }))
    }
}

/// What came of a request, by the line that answers it.
pub(crate) fn outcome(answer: &[u8]) -> Option<Outcome<'_>> {
    match message::parse(answer) {
        Ok(Body::One(Message::Response(response))) => Some(response.outcome),
        _ => None,
    }
}

/// The parameters of `initialize` for a client with these capabilities.
pub(crate) fn initialize_params(capabilities: &str) -> Box<RawValue> {
    let capabilities = RawValue::from_string(capabilities.to_owned()).unwrap_or_default();
    let params = Params {
        protocol_version: Revision::LATEST_WITH_SESSIONS.as_str(),
        capabilities,
        client_info: Client { name: "mcpcan", version: env!("CARGO_PKG_VERSION") },
    };
    to_raw_value(&params).expect("texts and raw JSON always serialise")
}

#[derive(serde::Serialize)]
#[serde(rename_all = "camelCase")]
struct Params {
    protocol_version: &'static str,
    capabilities: Box<RawValue>,
    client_info: Client,
}

#[derive(serde::Serialize)]
struct Client {
    name: &'static str,
    version: &'static str,
}
