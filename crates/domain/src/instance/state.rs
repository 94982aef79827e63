//! The life stages of an instance, and how events lead from one to the next. No validation here.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{Access, Authorization, Event, Health, Profile};
use crate::{ImpossibleEvent, Name, ReplicaId};

/// The life stages.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "stage", rename_all = "snake_case")]
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
    pub name: Name,
    pub access: Access,
    pub profile: Profile,
    pub authorization: Option<Authorization>,
    /// Counts starts and restarts; replicas of an older generation have to go.
    pub generation: u64,
    /// The replicas that have started and not ended, of any generation.
    pub replicas: BTreeMap<ReplicaId, ReplicaState>,
    /// What probes see; none before the first of them.
    pub health: Option<Health>,
    /// Counts what people have changed.
    pub revision: u64,
}

impl Live {
    /// Whether a replica has answered a handshake and not ended.
    pub(super) fn is_ready(&self) -> bool {
        self.replicas.values().any(|replica| replica.stage == Stage::Ready)
    }

    /// What was seen of an older generation says nothing about a new one.
    fn renew(&mut self, generation: u64) {
        if self.generation != generation {
            self.generation = generation;
            self.health = None;
        }
    }

    /// Takes a replica out; false if there is none. What was seen of replicas that are gone says nothing.
    fn lose(&mut self, replica: ReplicaId) -> bool {
        let was_ready = self.is_ready();
        let had = self.replicas.remove(&replica).is_some();
        if was_ready && !self.is_ready() {
            self.health = None;
        }
        had
    }
}

/// A replica that has started and not ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReplicaState {
    pub generation: u64,
    pub stage: Stage,
}

/// How far a replica has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
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

    pub(super) fn revision(&self) -> u64 {
        self.live().map_or(0, |live| live.revision)
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
    let mut after = change(state, event).ok_or(impossible)?;
    if let State::Running(live) | State::Stopped(live) = &mut after
        && event.is_wish()
    {
        live.revision += 1;
    }
    Ok(after)
}

/// The state after an event, or none if it cannot happen there.
fn change(state: State, event: &Event) -> Option<State> {
    match (event, state) {
        (Event::Created(created), State::Absent) => Some(State::Running(Live {
            name: created.name.clone(),
            access: created.access.clone(),
            profile: created.profile.clone(),
            authorization: None,
            generation: 1,
            replicas: BTreeMap::new(),
            health: None,
            revision: 0,
        })),
        (Event::Renamed(renamed), state) => with(state, |live| live.name = renamed.to.clone()),
        (Event::Edited(edited), state) => with(state, |live| {
            live.access = edited.access.clone();
            live.profile = edited.profile.clone();
            live.renew(edited.generation);
        }),
        (Event::AccessChanged(changed), state) => with(state, |live| {
            live.access = changed.access.clone();
            live.renew(changed.generation);
            live.health = None;
        }),
        (Event::AuthorizationChanged(changed), state) => {
            with(state, |live| live.authorization.clone_from(&changed.authorization))
        }
        (Event::Scaled(scaled), state) => with(state, |live| live.access.scale(scaled.replicas)),
        (Event::Started(started), State::Stopped(mut live)) => {
            live.renew(started.generation);
            Some(State::Running(live))
        }
        (Event::Restarted(restarted), State::Running(mut live)) => {
            live.renew(restarted.generation);
            Some(State::Running(live))
        }
        (Event::Stopped(_), State::Running(live)) => Some(State::Stopped(Live { health: None, ..live })),
        (Event::Deleted(_), State::Running(_) | State::Stopped(_)) => Some(State::Deleted),
        (Event::ReplicaStarting(starting), State::Running(mut live)) => {
            let replica = ReplicaState { generation: starting.generation, stage: Stage::Starting };
            live.replicas.insert(starting.replica, replica);
            Some(State::Running(live))
        }
        (Event::ReplicaHandshaking(event), State::Running(live)) => {
            advance(live, event.replica, Stage::Handshaking).map(State::Running)
        }
        (Event::ReplicaReady(event), State::Running(live)) => {
            advance(live, event.replica, Stage::Ready).map(State::Running)
        }
        (Event::ReplicaFailed(event), state) => without(state, event.replica),
        (Event::ReplicaStopped(event), state) => without(state, event.replica),
        (Event::HealthChanged(event), State::Running(live)) => {
            Some(State::Running(Live { health: Some(event.health.clone()), ..live }))
        }
        (
            Event::Created(_)
            | Event::Started(_)
            | Event::Stopped(_)
            | Event::Restarted(_)
            | Event::Deleted(_)
            | Event::ReplicaStarting(_)
            | Event::ReplicaHandshaking(_)
            | Event::ReplicaReady(_)
            | Event::HealthChanged(_),
            _,
        ) => None,
    }
}

/// The state with its instance changed, or none if there is no instance.
fn with(mut state: State, change: impl FnOnce(&mut Live)) -> Option<State> {
    match &mut state {
        State::Running(live) | State::Stopped(live) => change(live),
        State::Absent | State::Deleted => return None,
    }
    Some(state)
}

/// The instance with a replica moved on, or none if it has no such replica.
fn advance(mut live: Live, replica: ReplicaId, stage: Stage) -> Option<Live> {
    live.replicas.get_mut(&replica)?.stage = stage;
    Some(live)
}

/// The state without a replica, or none if it has no such replica.
fn without(state: State, replica: ReplicaId) -> Option<State> {
    match state {
        State::Running(mut live) => live.lose(replica).then_some(State::Running(live)),
        State::Stopped(mut live) => live.lose(replica).then_some(State::Stopped(live)),
        State::Absent | State::Deleted => None,
    }
}
