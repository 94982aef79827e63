//! A token: a credential for one instance.
//!
//! ```text
//! Absent ──issue──▶ Active ──revoke──▶ Revoked
//!                    ▲  │ └──expire──▶ Expired
//!                    └──┘ edit, rotate
//! ```
//!
//! What it protects: a revoked or expired token never comes back, and after a rotation only the new credential counts. The
//! credential itself is here only sealed and as a keyed digest; revoking lets `store` purge the key it is sealed
//! under.

mod command;
mod decide;
mod error;
mod event;
mod state;
mod undo;

pub use command::Command;
pub use decide::require_reachable;
pub use error::Refusal;
pub use event::{Edited, Event, Expired, Expiry, Issued, Kind, Revoked, Rotated};
pub use state::{Active, State};
pub use undo::undo;

use crate::claim::{self, CredentialId};
use crate::{Decider, Digest, ImpossibleEvent, InstanceId, TokenId};

/// The aggregate's name as it stands in subjects.
pub const NAME: &str = "token";

/// The longest label, in characters.
pub const LABEL_CHARS_MAX: usize = 100;
/// The most header fields that a token adds.
pub const HEADERS_MAX: usize = 64;
/// The most header fields that a token passes on.
pub const PASSTHROUGH_MAX: usize = 64;

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

    fn revision(state: &State) -> u64 {
        state.revision()
    }
}

/// What an event of a token asks of credentials, to be appended in the same atomic batch.
///
/// `before` is the state in which the event was decided.
pub fn credential_claims(
    id: TokenId,
    before: &State,
    event: &Event,
) -> Vec<(CredentialId, claim::Command<TokenId>)> {
    let credential =
        |instance: InstanceId, digest: &Digest| CredentialId { instance, digest: digest.clone() };
    let claim = |of: CredentialId| (of, claim::Command::Claim { holder: id });
    let release = |active: &Active| {
        (credential(active.instance, &active.digest), claim::Command::Release { holder: id })
    };
    match event {
        Event::Issued(issued) => vec![claim(credential(issued.instance, &issued.digest))],
        Event::Rotated(rotated) => before
            .active()
            .map(|active| [claim(credential(active.instance, &rotated.digest)), release(active)])
            .into_iter()
            .flatten()
            .collect(),
        Event::Revoked(_) | Event::Expired(_) => before.active().map(release).into_iter().collect(),
        Event::Edited(_) => vec![],
    }
}

#[cfg(test)]
mod tests;
