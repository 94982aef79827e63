//! Which child serves whom, and how many children there may be: what `--process` and `--sessions-max` say, in one place.
//! [`links`](crate::links) and [`sessions`](crate::sessions) find and start them.

use std::rc::Rc;

use mcp::protocol::Era;
use mcp::splice;

use crate::config::Process;
use crate::probe::Eras;
use crate::serve::Bridge;
use crate::translate::QUESTIONS;

/// Bytes of capabilities and name that a client may declare, where the bridge keeps them.
pub(crate) const CLIENT_BYTES_MAX: usize = 64 * 1024;
/// Whoever does not say which client it is.
const ANYBODY: &str = "anybody";

/// What a child is for.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Key {
    pub(crate) era: Era,
    /// The client that has the child for itself; none when all share it.
    client: Option<Rc<str>>,
    /// The capabilities of the client that the child is initialised for, as it wrote them.
    pub(crate) capabilities: Rc<str>,
}

impl Key {
    /// The child of an era that all clients share.
    pub(crate) fn shared(era: Era) -> Self {
        Self { era, client: None, capabilities: "{}".into() }
    }

    /// A child of an era for one client.
    fn of_client(era: Era, client: &str, capabilities: &str) -> Self {
        let client = if client.is_empty() { ANYBODY } else { client };
        Self { era, client: Some(client.into()), capabilities: capabilities.into() }
    }

    pub(crate) fn is_shared(&self) -> bool {
        self.client.is_none()
    }

    /// Whether the other is for the same client, or both are for all.
    pub(crate) fn is_of_same_client(&self, other: &Self) -> bool {
        self.client == other.client
    }
}

impl Bridge {
    /// The child for a session of this client; `None` if the session gets one for itself.
    pub(crate) fn key_of_session(&self, eras: &Eras, client: &str) -> Option<Key> {
        match self.config.process {
            _ if !eras.sessions => Some(self.key_of_call(client)),
            Process::Shared => Some(Key::shared(Era::Sessions)),
            Process::Auto | Process::PerClient => None,
        }
    }

    /// The child for a request without a session, at a server that needs none.
    pub(crate) fn key_of_call(&self, client: &str) -> Key {
        match self.config.process {
            Process::PerClient => Key::of_client(Era::Stateless, client, "{}"),
            Process::Auto | Process::Shared => Key::shared(Era::Stateless),
        }
    }

    /// The child for a request without a session, of a client with these capabilities, at a server that needs sessions;
    /// and whether no other call may be in flight there, because the client can be asked something.
    pub(crate) fn key_of_translated(&self, client: &str, capabilities: &str) -> (Key, bool) {
        let declared = |(_, capability): &(&str, &str)| splice::find(capabilities, &[capability]).is_some();
        match self.config.process {
            Process::Shared => (Key::shared(Era::Sessions), false),
            Process::Auto | Process::PerClient if QUESTIONS.iter().any(declared) => {
                (Key::of_client(Era::Sessions, client, capabilities), true)
            }
            Process::Auto | Process::PerClient => (Key::of_client(Era::Sessions, client, "{}"), false),
        }
    }

    /// Whether sessions get children for themselves, as far as is known of the server.
    pub(crate) fn gives_sessions_children(&self) -> bool {
        let has_sessions = self.probed.borrow().as_ref().is_none_or(|eras| eras.sessions);
        has_sessions && self.config.process != Process::Shared
    }

    /// Makes room for another child that serves one client; `false` if all are in use.
    pub(crate) fn make_room_for_child(&self) -> bool {
        let children = self.sessions.with_child() + self.links.own();
        children < usize::from(self.config.sessions_max)
            || self.links.make_room()
            || self.sessions.make_room(self, true)
    }
}
