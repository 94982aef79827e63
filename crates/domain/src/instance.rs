//! An instance: one hosted, proxied or directly listed MCP server.
//!
//! ```text
//!            ┌──────────stop──────────▶
//! Absent ─create─▶ Running            Stopped ─delete─▶ Deleted
//!            ◀─────start, restart──────┘          ▲
//!            └────────────────delete──────────────┘
//! ```
//!
//! Renaming, editing, scaling and changing the access mode lead from Running to Running and from Stopped to Stopped.
//!
//! What it protects: a deleted instance stays deleted; every start and restart opens a new *generation*, and a fact
//! about a replica counts only while its generation is the wanted one. Facts about replicas come from `worker` as
//! commands like any other, so that the log tells what was wished and what became of it in one order.

pub mod access;
mod authorization;
mod command;
mod decide;
mod edit;
mod error;
mod event;
pub mod health;
mod logging;
pub mod profile;
mod state;
mod undo;

pub use access::{
    Access, CommandLine, Hosted, HostedTransport, Mount, Process, Remote, RemoteTransport, Resource,
    Resources, Source,
};
pub use authorization::{Authorization, SCOPES_MAX};
pub use command::{Command, Fact};
pub use edit::{Change, Edit};
pub use error::Refusal;
pub use event::{
    AccessChanged, AuthorizationChanged, Created, Deleted, Edited, Event, FailureReason, HealthChanged,
    Renamed, ReplicaFailed, ReplicaHandshaking, ReplicaReady, ReplicaStarting, ReplicaStopped, Restarted,
    Scaled, ServerInfo, Started, Stopped,
};
pub use health::{Advice, Dimension, Health, HealthCheck, HealthStatus, Problem, ProblemClass};
pub use logging::{Capture, Logging};
pub use profile::Profile;
pub use state::{Live, ReplicaState, Stage, State};
pub use undo::undo;

use crate::claim;
use crate::{Decider, ImpossibleEvent, InstanceId, Name};

/// The aggregate's name as it stands in subjects.
pub const NAME: &str = "instance";

/// The aggregate.
pub struct InstanceDecider;

impl Decider for InstanceDecider {
    const NAME: &'static str = NAME;

    type Id = InstanceId;
    type State = State;
    type Command = Command;
    type Event = Event;
    type Refusal = Refusal;

    fn decide(state: &State, command: Command) -> Result<Vec<Event>, Refusal> {
        decide::decide(state, command)
    }

    fn evolve(state: State, event: &Event) -> Result<State, ImpossibleEvent> {
        state::evolve(state, event)
    }

    fn event_name(event: &Event) -> &'static str {
        event.name()
    }

    fn revision(state: &State) -> u64 {
        state.revision()
    }
}

/// What an event of an instance asks of names, to be appended in the same atomic batch.
///
/// `before` is the state in which the event was decided.
pub fn name_claims(id: InstanceId, before: &State, event: &Event) -> Vec<(Name, claim::Command<InstanceId>)> {
    let claim = |name: &Name| (name.clone(), claim::Command::Claim { holder: id });
    let release = |name: &Name| (name.clone(), claim::Command::Release { holder: id });
    match event {
        Event::Created(created) => vec![claim(&created.name)],
        Event::Renamed(renamed) => vec![claim(&renamed.to), release(&renamed.from)],
        Event::Deleted(_) => before.live().map(|live| release(&live.name)).into_iter().collect(),
        Event::Edited(_)
        | Event::AccessChanged(_)
        | Event::AuthorizationChanged(_)
        | Event::Scaled(_)
        | Event::Started(_)
        | Event::Stopped(_)
        | Event::Restarted(_)
        | Event::ReplicaStarting(_)
        | Event::ReplicaHandshaking(_)
        | Event::ReplicaReady(_)
        | Event::ReplicaFailed(_)
        | Event::ReplicaStopped(_)
        | Event::HealthChanged(_) => vec![],
    }
}

#[cfg(test)]
mod tests;
