//! Finds out which eras the server speaks, once, when the bridge starts.
//!
//! `server/discover` comes first (2026-07-28, stdio, Backward Compatibility): a result means that era. Any other answer, or
//! silence, means `initialize`. A server that speaks the newer era may speak the older one as well, which only another
//! child can tell, because the first message decides for a whole process. Some servers exit on a request that they do
//! not know, or cannot be started: they are taken for older ones, so that the first client reads what is wrong.

use std::pin::pin;
use std::rc::Rc;
use std::time::Duration;

use mcp::message::{Outcome, code};
use mcp::protocol::{Era, Revision};
use serde_json::value::{RawValue, to_raw_value};
use tokio::time::{Instant, sleep_until, timeout};

use crate::link::{INITIALIZE_TIMEOUT, Introduction, Link, initialize_params, meta, outcome};
use crate::placement::Key;
use crate::pool;
use crate::serve::{Bridge, chain};
use crate::wire::{Ending, Wire};

/// Time a server has to answer `server/discover` before it is asked to `initialize` as well. A server that is still
/// being installed answers both later, in their order.
const DISCOVER_PATIENCE: Duration = Duration::from_secs(10);
/// Time a server of the newer era has to answer `initialize`.
const SECOND_PATIENCE: Duration = Duration::from_secs(30);

/// What the server speaks.
#[derive(Clone, Debug)]
pub(crate) struct Eras {
    /// Whether it can be initialised.
    pub(crate) sessions: bool,
    /// What it says of itself without that, if it does.
    pub(crate) stateless: Option<Rc<Introduction>>,
}

impl Eras {
    /// What is assumed of a server that does not say: its clients get to read what is wrong with it.
    const UNKNOWN: Self = Self { sessions: true, stateless: None };
}

/// What a child has shown of the first message that it was sent.
enum Shown {
    Stateless(Introduction),
    /// It speaks the older era, and was not initialised.
    Sessions,
    /// It was initialised to find that out, and is of no more use.
    Initialized,
    Ended,
    Silent,
}

/// Finds out what the server speaks, tells everybody, and leaves what it has started to those who can use it.
pub(crate) async fn run(bridge: Rc<Bridge>) {
    let eras = probe(&bridge).await;
    bridge.report.probed(eras.sessions, eras.stateless.as_deref().map(|stateless| stateless.revision)).await;
    bridge.probed.send_replace(Some(eras));
    pool::fill(bridge).await;
}

async fn probe(bridge: &Rc<Bridge>) -> Eras {
    let Some(link) = start(bridge) else { return Eras::UNKNOWN };
    match first(&link).await {
        Shown::Stateless(introduction) => {
            let introduction = Rc::new(introduction);
            link.introduced(introduction.clone());
            // Made for all, it is of use only if all share one.
            if bridge.key_of_call("").is_shared() {
                bridge.links.adopt(link);
            } else {
                link.end(Ending::Idle);
            }
            Eras { sessions: can_be_initialized(bridge).await, stateless: Some(introduction) }
        }
        Shown::Sessions => {
            bridge.pool.put(link.wire().clone());
            Eras::UNKNOWN
        }
        Shown::Initialized | Shown::Silent => {
            link.end(Ending::Idle);
            Eras::UNKNOWN
        }
        Shown::Ended => Eras::UNKNOWN,
    }
}

fn start(bridge: &Rc<Bridge>) -> Option<Rc<Link>> {
    match Wire::start(bridge) {
        Ok(wire) => Some(Link::over(bridge, wire, Key::shared(Era::Stateless))),
        Err(error) => {
            bridge.pool.failed();
            bridge.report.note(&chain(&error));
            None
        }
    }
}

async fn first(link: &Link) -> Shown {
    let until = Instant::now() + DISCOVER_PATIENCE;
    let params = discover_params();
    let mut discover = pin!(link.ask("server/discover", &params));
    tokio::select! {
        answer = &mut discover => return shown(link, answer.ok().as_deref()),
        () = sleep_until(until) => {}
    }
    let params = initialize_params("{}");
    let initialize = link.ask("initialize", &params);
    tokio::select! {
        biased;
        answer = &mut discover => match shown(link, answer.ok().as_deref()) {
            // It has got both messages by now.
            Shown::Sessions => Shown::Initialized,
            shown => shown,
        },
        answer = initialize => if answer.is_ok() && !link.is_over() { Shown::Initialized } else { Shown::Ended },
        () = sleep_until(until + INITIALIZE_TIMEOUT) => Shown::Silent,
    }
}

fn shown(link: &Link, answer: Option<&[u8]>) -> Shown {
    if link.is_over() {
        return Shown::Ended;
    }
    match answer.and_then(outcome) {
        Some(Outcome::Result(result)) => {
            // A server that has a result for a method it cannot know may have taken it for `initialize`.
            Introduction::of_discovery(result).map_or(Shown::Initialized, Shown::Stateless)
        }
        Some(error @ Outcome::Error(_)) if error.error().is_some_and(|error| is_modern(error.code)) => {
            Shown::Initialized
        }
        Some(Outcome::Error(_)) | None => Shown::Sessions,
    }
}

/// Whether only a server of the newer era says so: then this child cannot be initialised any more.
fn is_modern(code: i64) -> bool {
    matches!(code, code::HEADER_MISMATCH | code::MISSING_CLIENT_CAPABILITY | code::UNSUPPORTED_REVISION)
}

async fn can_be_initialized(bridge: &Rc<Bridge>) -> bool {
    let Some(link) = start(bridge) else { return false };
    let answer = timeout(SECOND_PATIENCE, link.ask("initialize", &initialize_params("{}"))).await;
    let answer = answer.ok().and_then(Result::ok).filter(|_| !link.is_over());
    let result = match answer.as_deref().and_then(outcome) {
        Some(Outcome::Result(result)) => Introduction::of_initialize(result),
        Some(Outcome::Error(_)) | None => None,
    };
    link.end(Ending::Idle);
    result.is_some()
}

fn discover_params() -> Box<RawValue> {
    let params = serde_json::json!({ "_meta": meta_of_the_bridge() });
    to_raw_value(&params).expect("a JSON value always serialises")
}

/// What a request of the bridge itself says of its sender.
pub(crate) fn meta_of_the_bridge() -> serde_json::Value {
    serde_json::json!({
        meta::REVISION: Revision::LATEST_STATELESS.as_str(),
        meta::CLIENT_CAPABILITIES: {},
        meta::CLIENT_INFO: { "name": "mcpcan", "version": env!("CARGO_PKG_VERSION") },
    })
}
