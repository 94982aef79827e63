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

/// How long a replica that was replaced goes on: the gateways lead what is new to the newer replicas as soon as they
/// see these in the view, and calls that were under way have this long to end.
pub(crate) const RETIREMENT: Duration = Duration::from_secs(10);

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
    /// Serves what it has begun while newer ones take what comes, until this time.
    Retiring { until: Duration },
    /// Has been told to end, or its end is being reported.
    Ending,
    /// Gone and reported; remembered until the view has heard of it, which it has at this sequence.
    Ended { sequence: u64 },
}

/// One thing to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Action {
    /// Start one new replica. `sequence` is the state of the row that asked for it.
    Start { instance: InstanceId, generation: u64, sequence: u64 },
    /// Have a replica of this worker serve what it has begun, and end it [`RETIREMENT`] later.
    Retire { replica: ReplicaId },
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
    /// The server runs elsewhere from now on.
    Elsewhere,
    /// Fewer replicas are wanted.
    Surplus,
}

/// What to do now, and when to look again even if nothing changes.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Plan {
    pub(crate) actions: Vec<Action>,
    pub(crate) wake_at: Option<Duration>,
}

impl Plan {
    fn wake_by(&mut self, at: Duration) {
        self.wake_at = Some(self.wake_at.map_or(at, |earlier| earlier.min(at)));
    }
}

/// Compares what is wanted with what is.
pub(crate) fn plan(snapshot: &Snapshot<'_>) -> Plan {
    let mut plan = Plan::default();
    let crews = crews(snapshot.observed);
    end_unwanted(snapshot, &crews, &mut plan);
    let nobody = Crew::default();
    for row in snapshot.rows.values() {
        let lost = disown_unknown(snapshot, row, &mut plan);
        let crew = crews.get(&row.id).unwrap_or(&nobody);
        if lost {
            continue;
        }
        if is_replaced_in_turn(row, crew) {
            replace_in_turn(snapshot, row, crew, &mut plan);
        } else if !crew.is_leaving(row) {
            // The end of the old comes before the start of the new, in the log as on the machine.
            start_wanted(snapshot, row, crew, &mut plan);
        }
    }
    let gone =
        |instance: &&InstanceId| !snapshot.rows.contains_key(instance) && !crews.contains_key(instance);
    let clear =
        snapshot.directories.iter().filter(gone).map(|instance| Action::Clear { instance: *instance });
    plan.actions.extend(clear);
    plan
}

/// What runs or ends here of one instance.
#[derive(Debug, Default)]
struct Crew {
    /// The replicas that run with their generations, oldest first: ids sort by the time they were made at.
    running: Vec<(ReplicaId, u64)>,
    /// Those that serve what they have begun, and until when.
    retiring: Vec<(ReplicaId, Duration)>,
    /// Whether a replica has been told to end and has not.
    ending: bool,
}

impl Crew {
    /// Whether something has to be gone before anything is started.
    fn is_leaving(&self, row: &InstanceRow) -> bool {
        self.ending || self.running.iter().any(|(_, generation)| *generation < row.generation)
    }
}

/// The crews of all instances that have one.
fn crews(observed: &BTreeMap<ReplicaId, Observed>) -> BTreeMap<InstanceId, Crew> {
    let mut crews = BTreeMap::<InstanceId, Crew>::new();
    for (replica, observed) in observed {
        match observed.stage {
            Stage::Running => {
                crews.entry(observed.instance).or_default().running.push((*replica, observed.generation));
            }
            Stage::Retiring { until } => {
                crews.entry(observed.instance).or_default().retiring.push((*replica, until));
            }
            Stage::Ending => crews.entry(observed.instance).or_default().ending = true,
            Stage::Ended { .. } => {}
        }
    }
    crews
}

fn end_unwanted(snapshot: &Snapshot<'_>, crews: &BTreeMap<InstanceId, Crew>, plan: &mut Plan) {
    for (instance, crew) in crews {
        let row = snapshot.rows.get(instance);
        let mut surplus = row.map_or(0, |row| surplus(row, crew));
        // The newest go first: who has served for long is the better known.
        for (replica, generation) in crew.running.iter().rev() {
            let why = match row {
                None => Why::Gone,
                Some(row) if !row.wanted => Why::Stopped,
                Some(row) if !row.access.is_hosted() => Why::Elsewhere,
                Some(row) if row.generation > *generation && is_replaced_in_turn(row, crew) => continue,
                Some(row) if row.generation > *generation => Why::Superseded,
                Some(row) if row.generation == *generation && surplus > 0 => {
                    surplus -= 1;
                    Why::Surplus
                }
                // A view that is behind the log may show an older generation than the one that was started.
                Some(_) => continue,
            };
            plan.actions.push(Action::End { replica: *replica, why });
        }
        for (replica, until) in &crew.retiring {
            let why = match row {
                None => Why::Gone,
                Some(row) if !row.wanted => Why::Stopped,
                Some(row) if !row.access.is_hosted() => Why::Elsewhere,
                Some(_) if *until <= snapshot.now => Why::Superseded,
                Some(_) => {
                    plan.wake_by(*until);
                    continue;
                }
            };
            plan.actions.push(Action::End { replica: *replica, why });
        }
    }
}

/// Whether replicas of an older generation go one by one, each once a newer one can take over: so no call fails where
/// several replicas are wanted. One that is alone ends before the next starts: its server may not bear another beside it.
fn is_replaced_in_turn(row: &InstanceRow, crew: &Crew) -> bool {
    let is_older = |(_, generation): &(ReplicaId, u64)| *generation < row.generation;
    replicas_wanted(row) > 1 && (!crew.retiring.is_empty() || crew.running.iter().any(is_older))
}

/// Retires as many of the old as newer ones are ready, and starts one new one at a time, one above what is wanted.
fn replace_in_turn(snapshot: &Snapshot<'_>, row: &InstanceRow, crew: &Crew, plan: &mut Plan) {
    let wanted = replicas_wanted(row);
    let (old, new): (Vec<_>, Vec<_>) =
        crew.running.iter().partition(|(_, generation)| *generation < row.generation);
    let ready = new.iter().filter(|(replica, _)| is_ready(row, *replica)).count();
    let kept = wanted.saturating_sub(ready);
    let retired = old.iter().take(old.len().saturating_sub(kept));
    plan.actions.extend(retired.map(|(replica, _)| Action::Retire { replica: *replica }));
    let there = crew.running.len() + crew.retiring.len() + usize::from(crew.ending);
    if new.len() < wanted && new.len() == ready && there <= wanted {
        start_at_most(1, snapshot, row, crew, plan);
    }
}

/// How many replicas of the wanted generation run beyond those that are wanted.
fn surplus(row: &InstanceRow, crew: &Crew) -> usize {
    let current = crew.running.iter().filter(|(_, generation)| *generation == row.generation).count();
    current.saturating_sub(replicas_wanted(row))
}

fn replicas_wanted(row: &InstanceRow) -> usize {
    row.access.hosted().filter(|_| row.wanted).map_or(0, |hosted| usize::from(hosted.replicas))
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

fn start_wanted(snapshot: &Snapshot<'_>, row: &InstanceRow, crew: &Crew, plan: &mut Plan) {
    let missing = replicas_wanted(row).saturating_sub(crew.running.len());
    start_at_most(missing, snapshot, row, crew, plan);
}

fn start_at_most(missing: usize, snapshot: &Snapshot<'_>, row: &InstanceRow, crew: &Crew, plan: &mut Plan) {
    if missing == 0 {
        return;
    }
    let starts = match snapshot.holds.get(&row.id) {
        Some(Hold::Behind { sequence }) if row.sequence <= *sequence => 0,
        Some(Hold::Unsupported { generation } | Hold::GivenUp { generation })
            if *generation == row.generation =>
        {
            0
        }
        Some(Hold::Setback { generation, not_before, .. }) if *generation == row.generation => {
            if *not_before > snapshot.now {
                plan.wake_by(*not_before);
                0
            } else {
                // What has failed may fail again: one tries, and the others follow once it is ready.
                missing.min(usize::from(is_all_ready(row, crew)))
            }
        }
        Some(
            Hold::Behind { .. } | Hold::Unsupported { .. } | Hold::GivenUp { .. } | Hold::Setback { .. },
        )
        | None => missing,
    };
    let start = Action::Start { instance: row.id, generation: row.generation, sequence: row.sequence };
    plan.actions.extend(std::iter::repeat_n(start, starts));
}

/// Whether every replica that runs has answered a handshake, as far as the view tells.
fn is_all_ready(row: &InstanceRow, crew: &Crew) -> bool {
    crew.running.iter().all(|(replica, _)| is_ready(row, *replica))
}

fn is_ready(row: &InstanceRow, replica: ReplicaId) -> bool {
    row.replicas.iter().any(|known| known.replica == replica && known.url.is_some())
}

#[cfg(test)]
mod tests;
