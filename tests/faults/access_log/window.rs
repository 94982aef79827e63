//! The one exception: what a gateway had in its memory alone when it was killed.
//!
//! A gateway gathers what happens for 50 ms, and has it in memory alone until NATS has acknowledged it, or until it is on
//! disk because NATS has gone. So rows may be missing of calls that were answered less than [`WINDOW`] before their
//! gateway was killed: 50 ms, a round trip, and the rest for machines that are slow. Of an instance that answers nothing
//! before it is recorded (`logging.strict`), none may be.

use std::time::Duration;

use harness::gateway;

use super::caller::Acknowledged;
use crate::chaos::Fault;

const WINDOW: Duration = Duration::from_secs(1);

/// The fault that took the rows of a call along, if one may have.
pub(super) fn killed_with<'a>(call: &Acknowledged, faults: &'a [Fault]) -> Option<&'a Fault> {
    if call.is_strict {
        return None;
    }
    let name = gateway(call.gateway);
    let mut deaths = faults.iter().filter(|fault| fault.name == name && fault.killed >= call.began);
    deaths.find(|death| death.killed < call.answered + WINDOW)
}
