//! Children started ahead, so that a session does not wait for its server to start.
//!
//! [`fill`] keeps the pool full. A server that ends before a client comes is started again after a growing pause. Until a
//! child has answered a client, the pool starts none beside another: launchers such as npx and uvx install the server
//! first, and two installations of one package at a time can break each other.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::rc::Rc;
use std::time::Duration;

use tokio::sync::Notify;

use crate::child::SpawnError;
use crate::serve::{Bridge, chain};
use crate::session::{Ending, Session};

/// Pause after the first child that ended too early; it doubles with each that follows.
const BACKOFF_MIN: Duration = Duration::from_secs(1);
const BACKOFF_MAX: Duration = Duration::from_secs(60);

#[derive(Default)]
pub(crate) struct Pool {
    warm: RefCell<VecDeque<Rc<Session>>>,
    /// Children in a row that did not start, or ended before a client came.
    failures: Cell<u32>,
    /// Whether a child has answered a client.
    proven: Cell<bool>,
    changed: Notify,
}

impl Pool {
    /// A session whose child runs, if there is one.
    pub(crate) fn take(&self) -> Option<Rc<Session>> {
        let mut warm = self.warm.borrow_mut();
        let taken = std::iter::from_fn(|| warm.pop_front()).find(|session| session.over().is_none());
        self.changed.notify_one();
        taken
    }

    /// Forgets a child that has ended; `false` if it was not in the pool.
    pub(crate) fn remove(&self, session: &Rc<Session>) -> bool {
        let mut warm = self.warm.borrow_mut();
        let Some(at) = warm.iter().position(|other| Rc::ptr_eq(other, session)) else { return false };
        warm.remove(at);
        self.failed();
        true
    }

    /// A child has answered a client: the server works.
    pub(crate) fn succeeded(&self) {
        self.failures.set(0);
        self.proven.set(true);
        self.changed.notify_one();
    }

    /// A session is over: the pool may have to start a child.
    pub(crate) fn look_again(&self) {
        self.changed.notify_one();
    }

    pub(crate) fn end(&self, ending: Ending) {
        for session in self.warm.take() {
            session.end(ending);
        }
    }

    fn failed(&self) {
        self.failures.set(self.failures.get().saturating_add(1));
        self.changed.notify_one();
    }

    fn backoff(&self) -> Duration {
        match self.failures.get() {
            0 => Duration::ZERO,
            failures => BACKOFF_MIN.saturating_mul(2_u32.saturating_pow(failures - 1)).min(BACKOFF_MAX),
        }
    }
}

/// Keeps the pool full, for as long as the bridge takes sessions.
pub(crate) async fn fill(bridge: Rc<Bridge>) {
    let pool = &bridge.pool;
    loop {
        while is_short(&bridge) {
            let backoff = pool.backoff();
            if !backoff.is_zero() {
                tokio::time::sleep(backoff).await;
                if !is_short(&bridge) {
                    break;
                }
            }
            match Session::start(&bridge) {
                Ok(session) => pool.warm.borrow_mut().push_back(session),
                Err(error) => refused(&bridge, &error),
            }
        }
        pool.changed.notified().await;
    }
}

/// Whether another child is to be started.
fn is_short(bridge: &Bridge) -> bool {
    let pool = &bridge.pool;
    let wanted = match usize::from(bridge.config.warm) {
        warm if pool.proven.get() => warm,
        warm if bridge.sessions.is_empty() => warm.min(1),
        _ => 0,
    };
    pool.warm.borrow().len() < wanted
}

fn refused(bridge: &Bridge, error: &SpawnError) {
    bridge.pool.failed();
    let pause = bridge.pool.backoff().as_secs();
    bridge.report.note(&format!("{}; next try in {pause} s, or when a client comes", chain(error)));
}
