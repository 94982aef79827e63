//! What a token has open at this gateway: requests with their streams, and sessions. A token's grants share one count,
//! over edits and rotations.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use http::HeaderValue;
use parking_lot::Mutex;

use crate::refusal::Refusal;

/// A session that nobody has used for so long does not count any more: its server has given it up, or will.
const SESSION_IDLE: Duration = Duration::from_secs(3600);

/// The name of a session in memory.
type Name = u64;

/// The count of one token.
#[derive(Debug, Default)]
#[expect(clippy::box_collection, reason = "there is one of these per token, and most have no session")]
pub(crate) struct Uses {
    open: AtomicUsize,
    /// When each session was last used. Not there until the first.
    sessions: Mutex<Option<Box<HashMap<Name, Instant>>>>,
}

impl Uses {
    /// Notes a request that is open until what it gives is dropped.
    ///
    /// # Errors
    /// There are too many.
    pub(crate) fn open(self: &Arc<Self>, max: usize) -> Result<OpenRequest, Refusal> {
        let open = OpenRequest(self.clone());
        match self.open.fetch_add(1, Ordering::Relaxed) < max {
            true => Ok(open),
            false => Err(Refusal::TooManyOpen),
        }
    }

    /// Notes that a session is used, whichever gateway has begun it. Beyond the bound it goes on uncounted.
    pub(crate) fn session_used(&self, id: &HeaderValue, max: usize) {
        // Only who has too many hears of it, when another one begins.
        let _ = self.session_begun(id, max);
    }

    /// Notes a session that an upstream has begun.
    ///
    /// # Errors
    /// There are too many; this one is not counted.
    pub(crate) fn session_begun(&self, id: &HeaderValue, max: usize) -> Result<(), Refusal> {
        let now = Instant::now();
        let mut sessions = self.sessions.lock();
        let sessions = sessions.get_or_insert_default();
        if let Some(used) = sessions.get_mut(&name(id)) {
            *used = now;
            return Ok(());
        }
        if sessions.len() >= max {
            sessions.retain(|_, used| now.duration_since(*used) < SESSION_IDLE);
        }
        if sessions.len() >= max {
            return Err(Refusal::TooManySessions);
        }
        sessions.insert(name(id), now);
        Ok(())
    }

    /// Notes that a session has ended.
    pub(crate) fn session_ended(&self, id: &HeaderValue) {
        if let Some(sessions) = &mut *self.sessions.lock() {
            sessions.remove(&name(id));
        }
    }
}

/// A collision lets one more session in: nothing depends on it.
fn name(id: &HeaderValue) -> Name {
    let hash = blake3::hash(id.as_bytes());
    hash.as_bytes().first_chunk().map_or(0, |bytes| Name::from_le_bytes(*bytes))
}

/// A request that is open.
#[derive(Debug)]
pub(crate) struct OpenRequest(Arc<Uses>);

impl Drop for OpenRequest {
    fn drop(&mut self) {
        self.0.open.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_counts_until_it_is_dropped() {
        let uses = Arc::<Uses>::default();
        let first = uses.open(2).expect("room");
        let _second = uses.open(2).expect("room");
        assert!(matches!(uses.open(2), Err(Refusal::TooManyOpen)));
        drop(first);
        assert!(uses.open(2).is_ok());
    }

    #[test]
    fn a_session_counts_until_it_ends() {
        let uses = Uses::default();
        let id = HeaderValue::from_static;
        assert!(uses.session_begun(&id("a"), 2).is_ok() && uses.session_begun(&id("b"), 2).is_ok());
        assert_eq!(uses.session_begun(&id("c"), 2), Err(Refusal::TooManySessions));
        // One that another gateway has begun counts as well, and is never refused.
        uses.session_ended(&id("a"));
        uses.session_used(&id("d"), 2);
        uses.session_used(&id("b"), 2);
        assert_eq!(uses.session_begun(&id("c"), 2), Err(Refusal::TooManySessions));
        uses.session_ended(&id("d"));
        assert!(uses.session_begun(&id("c"), 2).is_ok());
    }
}
