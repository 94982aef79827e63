//! Which commands a template accepts, and what they lead to.

use super::{Active, Command, Created, Deleted, Edited, Event, Refusal, Renamed, State};
use crate::instance;
use crate::instance::access::require_possible;

pub(super) fn decide(state: &State, command: Command) -> Result<Vec<Event>, Refusal> {
    match command {
        Command::Create { name, access, profile, from } => match state {
            State::Absent => {
                // What an instance could not have, a template need not offer.
                require_possible(&access).map_err(settings)?;
                Ok(vec![Event::Created(Created { name, access, profile, from })])
            }
            State::Active(_) => Err(Refusal::Exists),
            State::Deleted => Err(Refusal::Deleted),
        },
        Command::Rename { name } => match active(state)? {
            active if active.name == name => Ok(vec![]),
            active => Ok(vec![Event::Renamed(Renamed { from: active.name.clone(), to: name })]),
        },
        Command::Edit(edit) => {
            let active = active(state)?;
            let (access, profile) = edit.apply(&active.access, &active.profile).map_err(settings)?;
            if access == active.access && profile == active.profile {
                return Ok(vec![]);
            }
            Ok(vec![Event::Edited(Edited { access, profile })])
        }
        Command::Delete => match state {
            State::Active(_) => Ok(vec![Event::Deleted(Deleted {})]),
            State::Deleted => Ok(vec![]),
            State::Absent => Err(Refusal::NotFound),
        },
    }
}

fn active(state: &State) -> Result<&Active, Refusal> {
    match state {
        State::Active(active) => Ok(active),
        State::Deleted => Err(Refusal::Deleted),
        State::Absent => Err(Refusal::NotFound),
    }
}

fn settings(refusal: instance::Refusal) -> Refusal {
    Refusal::Settings { refusal }
}
