//! A token: a credential for one instance.
//!
//! ```text
//! Absent ──issue──▶ Active ──revoke──▶ Revoked
//!                    ▲  │
//!                    └──┘ edit, rotate
//! ```
//!
//! What it protects: a revoked token never comes back, and after a rotation only the new credential counts. The
//! credential itself is here only sealed and as a keyed digest; revoking lets `store` purge the key it is sealed
//! under.

mod command;
mod decide;
mod error;
mod event;
mod state;

pub use command::Command;
pub use error::Refusal;
pub use event::{Edited, Event, Issued, Kind, Revoked, Rotated};
pub use state::{Active, State};

use crate::{Decider, ImpossibleEvent, TokenId};

/// The aggregate's name as it stands in subjects.
pub const NAME: &str = "token";

/// The longest label, in characters.
pub const LABEL_CHARS_MAX: usize = 100;

/// The aggregate.
pub struct TokenDecider;

impl Decider for TokenDecider {
    const NAME: &'static str = NAME;

    type Id = TokenId;
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

#[cfg(test)]
mod tests;
