//! A template: the settings of instances that are yet to be created.
//!
//! ```text
//! Absent ──create──▶ Active ──delete──▶ Deleted
//!                     ▲  │
//!                     └──┘ rename, edit
//! ```
//!
//! What it protects: a deleted template stays deleted. Its secrets are sealed under a key of its own; creating an
//! instance from it seals them anew under the instance's, so that neither can read what the other learns later.

mod command;
mod decide;
mod error;
mod event;
mod state;
mod undo;

pub use command::Command;
pub use error::Refusal;
pub use event::{Created, Deleted, Edited, Event, Renamed};
pub use state::{Active, State};
pub use undo::undo;

use crate::claim;
use crate::{Decider, ImpossibleEvent, Name, TemplateId};

/// The aggregate's name as it stands in subjects.
pub const NAME: &str = "template";

/// The aggregate.
pub struct TemplateDecider;

impl Decider for TemplateDecider {
    const NAME: &'static str = NAME;

    type Id = TemplateId;
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
        state.active().map_or(0, |active| active.revision)
    }
}

/// What an event of a template asks of names, to be appended in the same atomic batch.
///
/// `before` is the state in which the event was decided.
pub fn name_claims(id: TemplateId, before: &State, event: &Event) -> Vec<(Name, claim::Command<TemplateId>)> {
    let claim = |name: &Name| (name.clone(), claim::Command::Claim { holder: id });
    let release = |name: &Name| (name.clone(), claim::Command::Release { holder: id });
    match event {
        Event::Created(created) => vec![claim(&created.name)],
        Event::Renamed(renamed) => vec![claim(&renamed.to), release(&renamed.from)],
        Event::Deleted(_) => before.active().map(|active| release(&active.name)).into_iter().collect(),
        Event::Edited(_) => vec![],
    }
}

#[cfg(test)]
mod tests;
