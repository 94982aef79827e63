//! What has to be done so that what runs becomes what should run: a pure function from a snapshot to actions.
//!
//! Level-triggered: the plan is made anew from everything that is known, never from what has just changed, so that
//! a lost signal costs time and nothing else. It knows neither processes nor pods: every runtime acts on the same
//! plan. `reconcile` takes the snapshot and acts.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use domain::{InstanceId, ReplicaId};
use views::InstanceRow;

use crate::hold::Hold;

/// A snapshot of what is wanted and what is.
#[derive(Debug)]
pub(crate) struct Snapshot<'a> {
    /// What is wanted, and which replicas the log knows.
    pub(crate) rows: &'a BTreeMap<InstanceId, &'a InstanceRow>,
    /// The replicas that this worker has started or is clearing up after.
    pub(crate) observed: &'a BTreeMap<ReplicaId, Observed>,
    /// What keeps an instance from being started right now.
    pub(crate) holds: &'a BTreeMap<InstanceId, Hold>,
    /// The instances that own a working directory here.
    pub(crate) directories: &'a BTreeSet<InstanceId>,
    /// Time since the worker started.
    pub(crate) now: Duration,
}

/// A replica as this worker knows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Observed {
    pub(crate) instance: InstanceId,
    pub(crate) generation: u64,
    pub(crate) stage: Stage,
}

/// How far a replica is in its life on this worker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stage {
    /// Starting, or up.
    Running,
    /// Has been told to end, or its end is being reported.
    Ending,
    /// Gone and reported; remembered until the view has heard of it, which it has at this sequence.
    Ended { sequence: u64 },
}

/// One thing to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Action {
    /// Start a new replica. `sequence` is the state of the row that asked for it.
    Start { instance: InstanceId, generation: u64, sequence: u64 },
    /// End a replica of this worker.
    End { replica: ReplicaId, why: Why },
    /// Report a replica that the log believes in and nobody runs as lost.
    Disown { instance: InstanceId, replica: ReplicaId, generation: u64 },
    /// Remove the working directory of an instance that is gone, once the log confirms that it was deleted.
    Clear { instance: InstanceId },
}

/// Why a replica has to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Why {
    /// There is no such instance any more.
    Gone,
    /// The instance is wanted to stand still.
    Stopped,
    /// A newer generation is wanted.
    Superseded,
}

/// What to do now, and when to look again even if nothing changes.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Plan {
    pub(crate) actions: Vec<Action>,
    pub(crate) wake_at: Option<Duration>,
}

/// Compares what is wanted with what is.
pub(crate) fn plan(snapshot: &Snapshot<'_>) -> Plan {
    let mut plan = Plan::default();
    let occupied = occupied(snapshot.observed);
    end_unwanted(snapshot, &mut plan);
    for row in snapshot.rows.values() {
        let lost = disown_unknown(snapshot, row, &mut plan);
        // The end of the old comes before the start of the new, in the log as on the machine.
        if !lost && !occupied.contains(&row.id) {
            start_wanted(snapshot, row, &mut plan);
        }
    }
    let gone = |instance: &&InstanceId| !snapshot.rows.contains_key(instance) && !occupied.contains(instance);
    let clear =
        snapshot.directories.iter().filter(gone).map(|instance| Action::Clear { instance: *instance });
    plan.actions.extend(clear);
    plan
}

/// The instances of which something still runs or ends here.
fn occupied(observed: &BTreeMap<ReplicaId, Observed>) -> BTreeSet<InstanceId> {
    observed
        .values()
        .filter(|observed| !matches!(observed.stage, Stage::Ended { .. }))
        .map(|observed| observed.instance)
        .collect()
}

fn end_unwanted(snapshot: &Snapshot<'_>, plan: &mut Plan) {
    for (replica, observed) in snapshot.observed {
        if observed.stage != Stage::Running {
            continue;
        }
        let why = match snapshot.rows.get(&observed.instance) {
            None => Why::Gone,
            Some(row) if !row.wanted => Why::Stopped,
            Some(row) if row.generation > observed.generation => Why::Superseded,
            // A view that is behind the log may show an older generation than the one that was started.
            Some(_) => continue,
        };
        plan.actions.push(Action::End { replica: *replica, why });
    }
}

/// Whether the row names replicas that this worker does not know.
fn disown_unknown(snapshot: &Snapshot<'_>, row: &InstanceRow, plan: &mut Plan) -> bool {
    let unknown = row.replicas.iter().filter(|known| !snapshot.observed.contains_key(&known.replica));
    let disown = unknown.map(|known| Action::Disown {
        instance: row.id,
        replica: known.replica,
        generation: known.generation,
    });
    let before = plan.actions.len();
    plan.actions.extend(disown);
    plan.actions.len() > before
}

fn start_wanted(snapshot: &Snapshot<'_>, row: &InstanceRow, plan: &mut Plan) {
    if !row.wanted || !row.access.is_hosted() {
        return;
    }
    match snapshot.holds.get(&row.id) {
        Some(Hold::Behind { sequence }) if row.sequence <= *sequence => {}
        Some(Hold::Setback { generation, not_before, .. })
            if *generation == row.generation && *not_before > snapshot.now =>
        {
            plan.wake_at = Some(plan.wake_at.map_or(*not_before, |earlier| earlier.min(*not_before)));
        }
        Some(Hold::Behind { .. } | Hold::Setback { .. }) | None => plan.actions.push(Action::Start {
            instance: row.id,
            generation: row.generation,
            sequence: row.sequence,
        }),
    }
}

#[cfg(test)]
mod tests;
