//! An instance: one hosted, proxied or directly listed MCP server.
//!
//! ```text
//!            ┌──────────stop──────────▶
//! Absent ─create─▶ Running            Stopped ─delete─▶ Deleted
//!            ◀─────start, restart──────┘          ▲
//!            └────────────────delete──────────────┘
//! ```
//!
//! What it protects: a deleted instance stays deleted; every start and restart opens a new *generation*, and a fact
//! about a replica counts only while its generation is the wanted one. Facts about replicas come from `worker` as
//! commands like any other, so that the log tells what was wished and what became of it in one order.

pub mod access;
mod command;
mod decide;
mod error;
mod event;
mod state;

pub use access::{Access, CommandLine, Hosted, HostedTransport, Remote, RemoteTransport};
pub use command::{Command, Fact};
pub use error::Refusal;
pub use event::{
    Created, Deleted, Event, FailureReason, ReplicaFailed, ReplicaHandshaking, ReplicaReady, ReplicaStarting,
    ReplicaStopped, Restarted, ServerInfo, Started, Stopped,
};
pub use state::{Live, ReplicaState, Stage, State};

use crate::{Decider, ImpossibleEvent, InstanceId, instance_name};

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
}

/// What an event of an instance asks of its name, to be appended in the same atomic batch.
///
/// `before` is the state in which the event was decided.
pub fn name_command(
    id: InstanceId,
    before: &State,
    event: &Event,
) -> Option<(instance_name::InstanceName, instance_name::Command)> {
    match event {
        Event::Created(created) => {
            Some((created.name.clone(), instance_name::Command::Claim { instance: id }))
        }
        Event::Deleted(_) => {
            before.live().map(|live| (live.name.clone(), instance_name::Command::Release { instance: id }))
        }
        Event::Started(_)
        | Event::Stopped(_)
        | Event::Restarted(_)
        | Event::ReplicaStarting(_)
        | Event::ReplicaHandshaking(_)
        | Event::ReplicaReady(_)
        | Event::ReplicaFailed(_)
        | Event::ReplicaStopped(_) => None,
    }
}

#[cfg(test)]
mod tests;
