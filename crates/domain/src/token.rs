//! A token: a credential for one instance.
//!
//! ```text
//! Absent ──issue──▶ Active ──revoke──▶ Revoked
//!                    ▲  │ └──expire──▶ Expired
//!                    └──┘ edit, rotate
//! ```
//!
//! What it protects: a revoked or expired token never comes back, and after a rotation only the new credential counts,
//! unless it was given an overlap: then the one before it counts as well, until the moment that was named. The
//! credential itself is here only sealed and as a keyed digest; revoking lets `store` purge the key it is sealed
//! under.

mod command;
pub mod credential;
mod decide;
mod error;
mod event;
mod state;
mod undo;

pub use command::Command;
pub use decide::require_reachable;
pub use error::Refusal;
pub use event::{Edited, Event, Expired, Expiry, Issued, Kind, Revoked, Rotated};
pub use state::{Active, Previous, State};
pub use undo::undo;

use std::iter;

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
    let release = |of: CredentialId| (of, claim::Command::Release { holder: id });
    let Some(active) = before.active() else {
        return match event {
            Event::Issued(issued) => vec![claim(credential(issued.instance, &issued.digest))],
            Event::Rotated(_) | Event::Revoked(_) | Event::Expired(_) | Event::Edited(_) => vec![],
        };
    };
    let held = held(active).map(|digest| (digest, credential(active.instance, digest)));
    match event {
        Event::Rotated(rotated) => {
            // One whose overlap is over stays claimed until then: nobody has to act at that moment.
            let kept = Previous::after(rotated, &active.digest).map(|previous| previous.digest);
            let is_kept = |digest: &Digest| *digest == rotated.digest || Some(digest) == kept.as_ref();
            let released = held.filter(|(digest, _)| !is_kept(digest)).map(|(_, of)| release(of));
            iter::once(claim(credential(active.instance, &rotated.digest))).chain(released).collect()
        }
        Event::Revoked(_) | Event::Expired(_) => held.map(|(_, of)| release(of)).collect(),
        Event::Issued(_) | Event::Edited(_) => vec![],
    }
}

/// The credentials that a token holds claims on.
fn held(active: &Active) -> impl Iterator<Item = &Digest> {
    let previous = active.previous.as_ref().map(|previous| &previous.digest);
    iter::once(&active.digest).chain(previous)
}

#[cfg(test)]
mod tests;
