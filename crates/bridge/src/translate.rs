//! Clients of 2026-07-28 of a server that is older: the bridge initialises a child in the client's name and speaks for each
//! to the other.
//!
//! Requests pass as they are, since older servers ignore what they do not know. Results get the members that the newer
//! revision demands ([`result`]). What the server asks of its client while a call is in flight goes back as the call's
//! result, and the call is held until the client comes again with the answers ([`rounds`]). Changes go to the streams of
//! clients that listen ([`listeners`]). A client has a child for itself, and one that can be asked something a child for
//! every call in flight: stdio does not say which call a question belongs to.

mod exchange;
mod listeners;
mod result;
mod rounds;

pub(crate) use exchange::{Asked, Exchange, LEVELS};
pub(crate) use listeners::{Listener, Listeners};
pub(crate) use result::discovery;
pub(crate) use rounds::{NotResumed, Resumed, Rounds};

/// What a client can be asked, and the capability that it declares for it.
pub(crate) const QUESTIONS: [(&str, &str); 3] =
    [("sampling/createMessage", "sampling"), ("elicitation/create", "elicitation"), ("roots/list", "roots")];

/// Methods of older revisions that 2026-07-28 does not have, and those whose answers would mean something else.
const REMOVED: [&str; 9] = [
    "initialize",
    "ping",
    "logging/setLevel",
    "resources/subscribe",
    "resources/unsubscribe",
    "tasks/get",
    "tasks/list",
    "tasks/result",
    "tasks/cancel",
];

/// Whether an older server must not be asked this by a client of 2026-07-28.
pub(crate) fn is_removed(method: &str) -> bool {
    REMOVED.contains(&method)
}
