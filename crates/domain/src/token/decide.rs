//! Which commands a token accepts, and what they lead to.

use super::{Command, Event, Issued, Refusal, Revoked, State};

pub(super) fn decide(state: &State, command: Command) -> Result<Vec<Event>, Refusal> {
    match command {
        Command::Issue { instance, instance_exists, kind, label, digest, masked, sealed } => match state {
            State::Absent if !instance_exists => Err(Refusal::InstanceNotFound),
            State::Absent => {
                Ok(vec![Event::Issued(Issued { instance, kind, label, digest, masked, sealed })])
            }
            State::Active(_) | State::Revoked => Err(Refusal::Exists),
        },
        Command::Revoke => match state {
            State::Active(_) => Ok(vec![Event::Revoked(Revoked {})]),
            State::Revoked => Ok(vec![]),
            State::Absent => Err(Refusal::NotFound),
        },
    }
}
