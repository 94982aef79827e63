//! What has to be told of the replicas of an instance: a pure function of what the log knows and what is seen.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use domain::ReplicaId;
use domain::instance::{Fact, FailureReason};
use views::{Endpoint, InstanceRow};

use super::condition::Condition;
use super::seen::{Seen, SeenPod};

/// One thing to do about a replica.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// Tell the log these facts, in this order.
    Tell { replica: ReplicaId, generation: u64, facts: Vec<Fact> },
    /// Ask the server at its address, and tell the log what came of it.
    ShakeHands { replica: ReplicaId, generation: u64, address: SocketAddr, is_known: bool },
}

/// The failures that were told, until their replicas are ready again.
pub(crate) type Told = BTreeMap<ReplicaId, (FailureReason, String)>;

pub(crate) fn steps(row: &InstanceRow, seen: &Seen, told: &Told) -> Vec<Step> {
    let mut steps: Vec<_> =
        seen.pods_of(row.id).filter_map(|(replica, pod)| of_pod(row, replica, pod, seen, told)).collect();
    let is_current = |generation| row.wanted && row.access.is_hosted() && generation == row.generation;
    let running = seen.pods_of(row.id).filter(|(_, pod)| is_current(pod.generation)).count();
    let wanted = row.access.hosted().map_or(0, |hosted| usize::from(hosted.replicas));
    for known in row.replicas.iter().filter(|known| !seen.pods.contains_key(&(row.id, known.replica))) {
        let is_missed = is_current(known.generation) && running < wanted;
        let fact = if is_missed {
            let detail = "its pod is gone from the cluster; another one comes in its place".to_owned();
            Fact::Failed { reason: FailureReason::Lost, detail }
        } else {
            Fact::Stopped
        };
        steps.push(Step::Tell { replica: known.replica, generation: known.generation, facts: vec![fact] });
    }
    steps
}

fn of_pod(row: &InstanceRow, replica: ReplicaId, pod: &SeenPod, seen: &Seen, told: &Told) -> Option<Step> {
    let generation = pod.generation;
    let known = row.replicas.iter().find(|known| known.replica == replica);
    let is_current = row.wanted && row.access.is_hosted() && generation == row.generation;
    let tell = |facts| Some(Step::Tell { replica, generation, facts });
    match &pod.condition {
        Condition::Leaving { serves } => {
            // It serves a while longer: long enough for one that takes over to be asked.
            let is_needed = *serves && row.wanted && known.is_some_and(is_ready) && !has_successor(row, seen);
            known.filter(|_| !is_needed).and_then(|_| tell(vec![Fact::Stopped]))
        }
        Condition::Failed(reason, detail) => {
            let failed = Fact::Failed { reason: *reason, detail: detail.clone() };
            let is_told = told.get(&replica).is_some_and(|(told, _)| told == reason);
            match known {
                Some(_) => tell(vec![failed]),
                None if is_current && !is_told => tell(vec![Fact::Starting, failed]),
                None => None,
            }
        }
        Condition::Coming | Condition::Running => match seen.endpoints.get(&replica) {
            Some(address) if is_current && !known.is_some_and(is_ready) => {
                Some(Step::ShakeHands { replica, generation, address: *address, is_known: known.is_some() })
            }
            None if is_current && known.is_none() && !told.contains_key(&replica) => {
                tell(vec![Fact::Starting])
            }
            Some(_) | None => None,
        },
    }
}

/// Whether a replica can be called that is to stay.
fn has_successor(row: &InstanceRow, seen: &Seen) -> bool {
    let stays = |known: &&Endpoint| {
        let pod = seen.pods.get(&(row.id, known.replica));
        known.generation == row.generation && pod.is_some_and(|pod| pod.condition == Condition::Running)
    };
    row.replicas.iter().filter(stays).any(is_ready)
}

fn is_ready(known: &Endpoint) -> bool {
    known.url.is_some()
}

#[cfg(test)]
mod tests;
