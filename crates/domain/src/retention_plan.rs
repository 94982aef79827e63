//! A retention plan: for how many days the log rows of one instance are kept. It has the id of its instance.
//!
//! ```text
//! Default ──set──▶ Set ──reset──▶ Default
//! ```
//!
//! It is no part of the instance, because it outlives it: rows are kept as long after their instance was deleted.

mod undo;

pub use undo::undo;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{Decider, ImpossibleEvent, InstanceId, instance};

/// The aggregate's name as it stands in subjects.
pub const NAME: &str = "retention_plan";

/// The longest time, in days.
pub const DAYS_MAX: u16 = 3650;

/// For how many days rows are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Days {
    pub access_log: u16,
    pub container_log: u16,
}

impl Default for Days {
    /// What holds for an instance that nobody has set a plan for.
    fn default() -> Self {
        Days { access_log: 7, container_log: 3 }
    }
}

/// The days, and how often people have changed them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct State {
    /// None while the default holds.
    pub days: Option<Days>,
    pub revision: u64,
}

/// What can be wished of a plan.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "command", rename_all = "snake_case")]
pub enum Command {
    /// The decider asks [`require_instance`] first: whether the instance exists lies in another log.
    Set {
        days: Days,
    },
    Reset,
}

impl Command {
    /// The command's name as operators see it.
    pub fn name(&self) -> &'static str {
        match self {
            Command::Set { .. } => "retention_plan.set",
            Command::Reset => "retention_plan.reset",
        }
    }
}

/// What happens to a plan. These forms are a contract: they lie in logs for ever.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "name", content = "data")]
pub enum Event {
    #[serde(rename = "retention_plan.set")]
    Set(Set),
    #[serde(rename = "retention_plan.reset")]
    Reset(Reset),
}

impl Event {
    /// The wire name.
    pub fn name(&self) -> &'static str {
        match self {
            Event::Set(_) => "retention_plan.set",
            Event::Reset(_) => "retention_plan.reset",
        }
    }
}

/// `retention_plan.set`: rows that come from now on are kept so long.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Set {
    pub days: Days,
}

/// `retention_plan.reset`: the default holds again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Reset {}

/// Why a command for a plan is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error, Serialize, Deserialize)]
#[serde(tag = "code", rename_all = "snake_case")]
pub enum Refusal {
    #[error("rows are kept for 1 to {max} days")]
    Days { max: u16 },
    #[error("there is no such instance")]
    InstanceNotFound,
}

/// Whether a plan can be set for an instance in this state. One that was deleted may still have rows.
///
/// # Errors
/// There never was such an instance.
pub fn require_instance(instance: &instance::State) -> Result<(), Refusal> {
    match instance {
        instance::State::Running(_) | instance::State::Stopped(_) | instance::State::Deleted => Ok(()),
        instance::State::Absent => Err(Refusal::InstanceNotFound),
    }
}

/// The aggregate.
pub struct RetentionPlanDecider;

impl Decider for RetentionPlanDecider {
    const NAME: &'static str = NAME;

    type Id = InstanceId;
    type State = State;
    type Command = Command;
    type Event = Event;
    type Refusal = Refusal;

    fn decide(state: &State, command: Command) -> Result<Vec<Event>, Refusal> {
        match command {
            Command::Set { days } if !is_legal(days) => Err(Refusal::Days { max: DAYS_MAX }),
            Command::Set { days } if state.days == Some(days) => Ok(vec![]),
            Command::Set { days } => Ok(vec![Event::Set(Set { days })]),
            Command::Reset if state.days.is_none() => Ok(vec![]),
            Command::Reset => Ok(vec![Event::Reset(Reset {})]),
        }
    }

    fn evolve(state: State, event: &Event) -> Result<State, ImpossibleEvent> {
        let days = match event {
            Event::Set(set) => Some(set.days),
            Event::Reset(_) => None,
        };
        Ok(State { days, revision: state.revision + 1 })
    }

    fn event_name(event: &Event) -> &'static str {
        event.name()
    }

    fn revision(state: &State) -> u64 {
        state.revision
    }
}

fn is_legal(days: Days) -> bool {
    [days.access_log, days.container_log].iter().all(|days| (1..=DAYS_MAX).contains(days))
}

#[cfg(test)]
mod tests;
