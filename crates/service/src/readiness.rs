//! Whether a process can do its work: each role in it raises a flag of its own.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use serde::Serialize;

/// The flags of one process.
#[derive(Clone, Debug, Default)]
pub struct Readiness(Arc<Mutex<BTreeMap<&'static str, bool>>>);

/// The flag of one role. Lowered when dropped, so that a role that ended is not taken for ready.
#[derive(Debug)]
pub struct ReadyFlag {
    readiness: Readiness,
    role: &'static str,
}

/// A snapshot of all flags.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Report {
    pub ready: bool,
    pub roles: BTreeMap<&'static str, bool>,
}

impl Readiness {
    /// A lowered flag for a role. Registering before the role starts makes `/readyz` wait for it.
    pub fn register(&self, role: &'static str) -> ReadyFlag {
        self.set(role, false);
        ReadyFlag { readiness: self.clone(), role }
    }

    /// All flags; ready when each is raised and there is at least one.
    pub fn report(&self) -> Report {
        let roles = self.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
        Report { ready: !roles.is_empty() && roles.values().all(|ready| *ready), roles }
    }

    fn set(&self, role: &'static str, ready: bool) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(role, ready);
    }
}

impl ReadyFlag {
    pub fn set(&self, ready: bool) {
        self.readiness.set(self.role, ready);
    }
}

impl Drop for ReadyFlag {
    fn drop(&mut self) {
        self.set(false);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_is_ready_when_each_of_its_roles_is() {
        let readiness = Readiness::default();
        assert!(!readiness.report().ready, "nothing registered, nothing ready");
        let (api, worker) = (readiness.register("api"), readiness.register("worker"));
        api.set(true);
        assert!(!readiness.report().ready);
        worker.set(true);
        assert!(readiness.report().ready);
        drop(worker);
        assert_eq!(readiness.report().roles, BTreeMap::from([("api", true), ("worker", false)]));
    }
}
