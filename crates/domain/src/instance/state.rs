//! The life stages of an instance, and how events lead from one to the next. No validation here.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{Access, Event};
use crate::instance_name::InstanceName;
use crate::{ImpossibleEvent, ReplicaId};

/// The life stages.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum State {
    #[default]
    Absent,
    Running(Live),
    Stopped(Live),
    Deleted,
}

/// An instance that exists.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Live {
    pub name: InstanceName,
    pub access: Access,
    /// Counts starts and restarts; replicas of an older generation have to go.
    pub generation: u64,
    /// The replicas that have started and not ended, of any generation.
    pub replicas: BTreeMap<ReplicaId, ReplicaState>,
}

/// A replica that has started and not ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReplicaState {
    pub generation: u64,
    pub stage: Stage,
}

/// How far a replica has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Stage {
    Starting,
    Handshaking,
    Ready,
}

impl State {
    /// The instance, if it exists.
    pub fn live(&self) -> Option<&Live> {
        match self {
            State::Running(live) | State::Stopped(live) => Some(live),
            State::Absent | State::Deleted => None,
        }
    }

    fn stage_name(&self) -> &'static str {
        match self {
            State::Absent => "absent",
            State::Running(_) => "running",
            State::Stopped(_) => "stopped",
            State::Deleted => "deleted",
        }
    }
}

pub(super) fn evolve(state: State, event: &Event) -> Result<State, ImpossibleEvent> {
    let impossible = ImpossibleEvent { event: event.name(), stage: state.stage_name() };
    match (event, state) {
        (Event::Created(created), State::Absent) => Ok(State::Running(Live {
            name: created.name.clone(),
            access: created.access.clone(),
            generation: 1,
            replicas: BTreeMap::new(),
        })),
        (Event::Started(started), State::Stopped(live)) => {
            Ok(State::Running(Live { generation: started.generation, ..live }))
        }
        (Event::Restarted(restarted), State::Running(live)) => {
            Ok(State::Running(Live { generation: restarted.generation, ..live }))
        }
        (Event::Stopped(_), State::Running(live)) => Ok(State::Stopped(live)),
        (Event::Deleted(_), State::Running(_) | State::Stopped(_)) => Ok(State::Deleted),
        (Event::ReplicaStarting(starting), State::Running(mut live)) => {
            let replica = ReplicaState { generation: starting.generation, stage: Stage::Starting };
            live.replicas.insert(starting.replica, replica);
            Ok(State::Running(live))
        }
        (Event::ReplicaHandshaking(event), State::Running(live)) => {
            advance(live, event.replica, Stage::Handshaking).map(State::Running).ok_or(impossible)
        }
        (Event::ReplicaReady(event), State::Running(live)) => {
            advance(live, event.replica, Stage::Ready).map(State::Running).ok_or(impossible)
        }
        (Event::ReplicaFailed(event), state) => without(state, event.replica).ok_or(impossible),
        (Event::ReplicaStopped(event), state) => without(state, event.replica).ok_or(impossible),
        (
            Event::Created(_)
            | Event::Started(_)
            | Event::Stopped(_)
            | Event::Restarted(_)
            | Event::Deleted(_)
            | Event::ReplicaStarting(_)
            | Event::ReplicaHandshaking(_)
            | Event::ReplicaReady(_),
            _,
        ) => Err(impossible),
    }
}

/// The instance with a replica moved on, or none if it has no such replica.
fn advance(mut live: Live, replica: ReplicaId, stage: Stage) -> Option<Live> {
    live.replicas.get_mut(&replica)?.stage = stage;
    Some(live)
}

/// The state without a replica, or none if it has no such replica.
fn without(state: State, replica: ReplicaId) -> Option<State> {
    match state {
        State::Running(mut live) => live.replicas.remove(&replica).map(|_| State::Running(live)),
        State::Stopped(mut live) => live.replicas.remove(&replica).map(|_| State::Stopped(live)),
        State::Absent | State::Deleted => None,
    }
}
