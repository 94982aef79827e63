//! Children started ahead, so that a session does not wait for its server to start.
//!
//! [`fill`] keeps the pool full. A server that ends before a client comes is started again after a growing pause. Until a
//! child has answered a client, the pool starts none beside another: launchers such as npx and uvx install the server
//! first, and two installations of one package at a time can break each other.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::rc::Rc;
use std::time::Duration;

use bytes::Bytes;
use mcp::scan::Scanner;
use tokio::sync::Notify;

use crate::broken;
use crate::child::SpawnError;
use crate::meter::Meter;
use crate::report::Report;
use crate::serve::{Bridge, chain};
use crate::wire::{Ending, Owner, Wire};

/// Pause after the first child that ended too early; it doubles with each that follows.
const BACKOFF_MIN: Duration = Duration::from_secs(1);
const BACKOFF_MAX: Duration = Duration::from_secs(60);

#[derive(Default)]
pub(crate) struct Pool {
    warm: RefCell<VecDeque<Rc<Unused>>>,
    /// Children in a row that did not start, or ended before a client came.
    failures: Cell<u32>,
    /// Whether a child has answered a client.
    proven: Cell<bool>,
    changed: Notify,
}

impl Pool {
    /// A child that runs and has not been spoken to, if there is one.
    pub(crate) fn take(&self) -> Option<Rc<Wire>> {
        let mut warm = self.warm.borrow_mut();
        let taken = std::iter::from_fn(|| warm.pop_front()).find(|unused| unused.wire.over().is_none());
        self.changed.notify_one();
        taken.map(|unused| unused.wire.clone())
    }

    /// Keeps a child for a client to come.
    pub(crate) fn put(&self, wire: Rc<Wire>) {
        let unused = Rc::new(Unused { wire: wire.clone(), outgoing: Meter::default() });
        wire.give_to(unused.clone());
        self.warm.borrow_mut().push_back(unused);
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
        for unused in self.warm.take() {
            unused.wire.end(ending);
        }
    }

    pub(crate) fn failed(&self) {
        self.failures.set(self.failures.get().saturating_add(1));
        self.changed.notify_one();
    }

    fn backoff(&self) -> Duration {
        backoff(self.failures.get())
    }
}

/// The pause after so many children in a row that were of no use.
pub(crate) fn backoff(failures: u32) -> Duration {
    match failures {
        0 => Duration::ZERO,
        failures => BACKOFF_MIN.saturating_mul(2_u32.saturating_pow(failures - 1)).min(BACKOFF_MAX),
    }
}

/// A child in the pool. What it says before anybody has spoken to it is for the log.
struct Unused {
    wire: Rc<Wire>,
    outgoing: Meter,
}

impl Owner for Unused {
    fn deliver(self: Rc<Self>, line: &Bytes, report: &Report) {
        broken::unowned(line, report);
    }

    fn deliver_too_long(&self, scanned: Scanner, bytes: u64, report: &Report) {
        broken::too_long(scanned, bytes, report);
    }

    fn is_full(&self) -> bool {
        false
    }

    fn outgoing(&self) -> &Meter {
        &self.outgoing
    }

    fn ended(self: Rc<Self>, bridge: &Bridge, ending: Ending) {
        let pool = &bridge.pool;
        let mut warm = pool.warm.borrow_mut();
        if let Some(at) = warm.iter().position(|other| Rc::ptr_eq(other, &self)) {
            warm.remove(at);
            pool.failed();
            bridge.report.note(&format!("{ending} before a client came"));
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
            match Wire::start(&bridge) {
                Ok(wire) => pool.put(wire),
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
        _ if !bridge.gives_sessions_children() => 0,
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
