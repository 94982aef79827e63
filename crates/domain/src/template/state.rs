//! The life stages of a template, and how events lead from one to the next. No validation here.

use serde::{Deserialize, Serialize};

use super::Event;
use crate::instance::{Access, Profile};
use crate::{ImpossibleEvent, Name};

/// The life stages.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "stage", rename_all = "snake_case")]
#[expect(clippy::large_enum_variant, reason = "one is held at a time, while its log is folded")]
pub enum State {
    #[default]
    Absent,
    Active(Active),
    Deleted,
}

/// A template that instances can be created from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Active {
    pub name: Name,
    pub access: Access,
    pub profile: Profile,
    /// Counts what people have changed.
    pub revision: u64,
}

impl State {
    /// The template, if it exists.
    pub fn active(&self) -> Option<&Active> {
        match self {
            State::Active(active) => Some(active),
            State::Absent | State::Deleted => None,
        }
    }
}

pub(super) fn evolve(state: State, event: &Event) -> Result<State, ImpossibleEvent> {
    match (event, state) {
        (Event::Created(created), State::Absent) => Ok(State::Active(Active {
            name: created.name.clone(),
            access: created.access.clone(),
            profile: created.profile.clone(),
            revision: 1,
        })),
        (Event::Renamed(renamed), State::Active(active)) => {
            Ok(State::Active(Active { name: renamed.to.clone(), revision: active.revision + 1, ..active }))
        }
        (Event::Edited(edited), State::Active(active)) => Ok(State::Active(Active {
            access: edited.access.clone(),
            profile: edited.profile.clone(),
            revision: active.revision + 1,
            ..active
        })),
        (Event::Deleted(_), State::Active(_)) => Ok(State::Deleted),
        (Event::Created(_) | Event::Renamed(_) | Event::Edited(_) | Event::Deleted(_), state) => {
            Err(ImpossibleEvent {
                event: event.name(),
                stage: match state {
                    State::Absent => "absent",
                    State::Active(_) => "active",
                    State::Deleted => "deleted",
                },
            })
        }
    }
}
