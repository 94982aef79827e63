//! Which commands a token accepts, and what they lead to.

use super::{Command, Edited, Event, Issued, Refusal, Revoked, Rotated, State};

pub(super) fn decide(state: &State, command: Command) -> Result<Vec<Event>, Refusal> {
    match command {
        Command::Issue { instance, instance_exists, kind, label, digest, masked, sealed } => match state {
            State::Absent if !instance_exists => Err(Refusal::InstanceNotFound),
            State::Absent => {
                Ok(vec![Event::Issued(Issued { instance, kind, label, digest, masked, sealed })])
            }
            State::Active(_) | State::Revoked => Err(Refusal::Exists),
        },
        Command::Edit { label } => match state {
            State::Active(active) if active.label == label => Ok(vec![]),
            State::Active(_) => Ok(vec![Event::Edited(Edited { label })]),
            State::Revoked => Err(Refusal::Revoked),
            State::Absent => Err(Refusal::NotFound),
        },
        Command::Rotate { digest, masked, sealed } => match state {
            State::Active(active) if active.digest == digest => Ok(vec![]),
            State::Active(_) => Ok(vec![Event::Rotated(Rotated { digest, masked, sealed })]),
            State::Revoked => Err(Refusal::Revoked),
            State::Absent => Err(Refusal::NotFound),
        },
        Command::Revoke => match state {
            State::Active(_) => Ok(vec![Event::Revoked(Revoked {})]),
            State::Revoked => Ok(vec![]),
            State::Absent => Err(Refusal::NotFound),
        },
    }
}
