//! The life stages of a token, and how events lead from one to the next. No validation here.

use serde::{Deserialize, Serialize};

use super::Event;
use crate::{Digest, ImpossibleEvent, InstanceId};

/// The life stages.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum State {
    #[default]
    Absent,
    Active(Active),
    Revoked,
}

/// A token that is accepted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Active {
    pub instance: InstanceId,
    pub label: String,
    pub digest: Digest,
}

pub(super) fn evolve(state: State, event: &Event) -> Result<State, ImpossibleEvent> {
    match (event, state) {
        (Event::Issued(issued), State::Absent) => Ok(State::Active(Active {
            instance: issued.instance,
            label: issued.label.clone(),
            digest: issued.digest.clone(),
        })),
        (Event::Edited(edited), State::Active(active)) => {
            Ok(State::Active(Active { label: edited.label.clone(), ..active }))
        }
        (Event::Rotated(rotated), State::Active(active)) => {
            Ok(State::Active(Active { digest: rotated.digest.clone(), ..active }))
        }
        (Event::Revoked(_), State::Active(_)) => Ok(State::Revoked),
        (Event::Issued(_) | Event::Edited(_) | Event::Rotated(_) | Event::Revoked(_), state) => {
            Err(ImpossibleEvent {
                event: event.name(),
                stage: match state {
                    State::Absent => "absent",
                    State::Active(_) => "active",
                    State::Revoked => "revoked",
                },
            })
        }
    }
}
