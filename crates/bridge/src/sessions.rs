//! The sessions that clients hold, their number and their idle time.

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;
use std::time::Duration;

use crate::child::SpawnError;
use crate::serve::Bridge;
use crate::session::{Session, Shared};
use crate::wire::{Ending, Wire};

/// When all places are taken, a session that was not used for this long, and waits for nothing, makes room.
const YIELD_IDLE: Duration = Duration::from_secs(30);
/// Longest time between two looks for sessions that nobody uses.
const SWEEP_INTERVAL_MAX: Duration = Duration::from_secs(30);

#[derive(Default)]
pub(crate) struct Sessions {
    by_id: RefCell<HashMap<String, Rc<Session>>>,
}

/// Why there is no session for a client.
#[derive(Debug, thiserror::Error)]
pub(crate) enum OpenError {
    #[error("all {0} sessions of this server are in use")]
    Full(u16),
    #[error(transparent)]
    Spawn(SpawnError),
}

/// A session that a client is about to get. It ends if the client never does.
pub(crate) struct Opening {
    bridge: Rc<Bridge>,
    session: Rc<Session>,
    ending: Option<Ending>,
}

impl Sessions {
    /// The session with this id, unless it is over.
    pub(crate) fn get(&self, id: &str) -> Option<Rc<Session>> {
        self.by_id.borrow().get(id).filter(|session| session.over().is_none()).cloned()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.by_id.borrow().is_empty()
    }

    pub(crate) fn remove(&self, session: &Session) {
        self.by_id.borrow_mut().remove(session.id());
    }

    pub(crate) fn end(&self, ending: Ending) {
        for session in self.by_id.take().into_values() {
            session.end(ending);
        }
    }

    /// Sessions that have a child of their own.
    pub(crate) fn with_child(&self) -> usize {
        self.by_id.borrow().values().filter(|session| session.has_child()).count()
    }

    fn without_child(&self) -> usize {
        self.by_id.borrow().values().filter(|session| !session.has_child()).count()
    }

    /// Ends the session that was not used for the longest time, if there is one that nobody seems to need.
    pub(crate) fn make_room(&self, bridge: &Bridge, with_child: bool) -> bool {
        let idle = self.idle_for(YIELD_IDLE).into_iter();
        let unneeded = idle.filter(|(_, session)| !session.has_calls() && session.has_child() == with_child);
        let longest = unneeded.max_by_key(|(idle, _)| *idle);
        longest.inspect(|(_, session)| bridge.end(session, Ending::Idle)).is_some()
    }

    fn idle_for(&self, time: Duration) -> Vec<(Duration, Rc<Session>)> {
        let sessions = self.by_id.borrow();
        let idle = sessions.values().filter_map(|session| Some((session.idle()?, session.clone())));
        idle.filter(|(idle, _)| *idle >= time).collect()
    }
}

impl Opening {
    /// Takes a warm child or starts one.
    pub(crate) fn with_child(bridge: &Rc<Bridge>) -> Result<Self, OpenError> {
        if !bridge.make_room_for_child() {
            return Err(OpenError::Full(bridge.config.sessions_max));
        }
        let wire = match bridge.pool.take() {
            Some(wire) => wire,
            None => Wire::start(bridge).map_err(OpenError::Spawn)?,
        };
        Ok(Self::of(bridge, Session::of_child(wire, bridge.config.session_bytes_max)))
    }

    /// Opens a session that shares a child with others.
    pub(crate) fn sharing(bridge: &Rc<Bridge>, shared: Shared) -> Result<Self, OpenError> {
        let max = bridge.config.shared_sessions_max;
        if bridge.sessions.without_child() >= usize::from(max) && !bridge.sessions.make_room(bridge, false) {
            return Err(OpenError::Full(max));
        }
        Ok(Self::of(bridge, Session::of_shared(shared, bridge.config.session_bytes_max)))
    }

    fn of(bridge: &Rc<Bridge>, session: Rc<Session>) -> Self {
        session.used();
        bridge.sessions.by_id.borrow_mut().insert(session.id().to_owned(), session.clone());
        Self { bridge: bridge.clone(), session, ending: Some(Ending::Deleted) }
    }

    pub(crate) fn session(&self) -> &Rc<Session> {
        &self.session
    }

    /// The client gets the session.
    pub(crate) fn succeed(mut self) {
        self.ending = None;
        self.bridge.pool.succeeded();
    }

    /// The server did not take the client.
    pub(crate) fn fail(mut self) {
        self.ending = Some(Ending::NotInitialized);
    }
}

impl Drop for Opening {
    fn drop(&mut self) {
        if let Some(ending) = self.ending {
            self.bridge.end(&self.session, ending);
        }
    }
}

/// Ends sessions that nobody uses any more: most clients never end theirs.
pub(crate) async fn sweep(bridge: Rc<Bridge>) {
    let limit = bridge.config.session_idle();
    let mut ticks = tokio::time::interval((limit / 4).clamp(Duration::from_millis(250), SWEEP_INTERVAL_MAX));
    loop {
        ticks.tick().await;
        for (_, session) in bridge.sessions.idle_for(limit) {
            tracing::info!(session = session.id(), "session ended, it was not used");
            bridge.end(&session, Ending::Idle);
        }
        bridge.links.sweep(limit);
        bridge.rounds.sweep();
    }
}
