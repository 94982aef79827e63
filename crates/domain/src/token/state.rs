//! The life stages of a token, and how events lead from one to the next. No validation here.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{Edited, Event, Expiry, Issued, Rotated};
use crate::{Digest, ImpossibleEvent, InstanceId, Sealed};

/// The life stages.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "stage", rename_all = "snake_case")]
pub enum State {
    #[default]
    Absent,
    Active(Active),
    Revoked,
    Expired,
}

/// A token that is accepted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Active {
    pub instance: InstanceId,
    pub label: String,
    pub digest: Digest,
    /// What the last rotation left accepted for a while.
    pub previous: Option<Previous>,
    pub expiry: Expiry,
    pub headers: BTreeMap<String, Sealed>,
    pub passthrough: BTreeSet<String>,
    /// Counts what people have changed.
    pub revision: u64,
}

/// A credential that another has replaced.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Previous {
    pub digest: Digest,
    /// Refused from this moment on.
    pub until: Timestamp,
}

impl Previous {
    /// What a rotation leaves accepted of the credential that it replaces.
    pub fn after(rotated: &Rotated, replaced: &Digest) -> Option<Self> {
        let until = rotated.previous_until.filter(|_| *replaced != rotated.digest)?;
        Some(Previous { digest: replaced.clone(), until })
    }
}

impl State {
    /// The token, as long as it is accepted.
    pub fn active(&self) -> Option<&Active> {
        match self {
            State::Active(active) => Some(active),
            State::Absent | State::Revoked | State::Expired => None,
        }
    }

    pub(super) fn revision(&self) -> u64 {
        self.active().map_or(0, |active| active.revision)
    }

    fn stage_name(&self) -> &'static str {
        match self {
            State::Absent => "absent",
            State::Active(_) => "active",
            State::Revoked => "revoked",
            State::Expired => "expired",
        }
    }
}

pub(super) fn evolve(state: State, event: &Event) -> Result<State, ImpossibleEvent> {
    let impossible = ImpossibleEvent { event: event.name(), stage: state.stage_name() };
    let mut after = change(state, event).ok_or(impossible)?;
    if let State::Active(active) = &mut after
        && event.is_wish()
    {
        active.revision += 1;
    }
    Ok(after)
}

/// The state after an event, or none if it cannot happen there.
fn change(state: State, event: &Event) -> Option<State> {
    match (event, state) {
        (Event::Issued(issued), State::Absent) => Some(State::Active(issue(issued))),
        (Event::Edited(edited), State::Active(active)) => Some(State::Active(edit(active, edited))),
        (Event::Rotated(rotated), State::Active(active)) => {
            let previous = Previous::after(rotated, &active.digest);
            Some(State::Active(Active { digest: rotated.digest.clone(), previous, ..active }))
        }
        (Event::Revoked(_), State::Active(_)) => Some(State::Revoked),
        (Event::Expired(_), State::Active(_)) => Some(State::Expired),
        (
            Event::Issued(_) | Event::Edited(_) | Event::Rotated(_) | Event::Revoked(_) | Event::Expired(_),
            _,
        ) => None,
    }
}

fn issue(issued: &Issued) -> Active {
    Active {
        instance: issued.instance,
        label: issued.label.clone(),
        digest: issued.digest.clone(),
        previous: None,
        expiry: issued.expiry,
        headers: issued.headers.clone(),
        passthrough: issued.passthrough.clone(),
        revision: 0,
    }
}

fn edit(active: Active, edited: &Edited) -> Active {
    Active {
        label: edited.label.clone().unwrap_or(active.label),
        expiry: edited.expiry.unwrap_or(active.expiry),
        headers: edited.headers.clone().unwrap_or(active.headers),
        passthrough: edited.passthrough.clone().unwrap_or(active.passthrough),
        ..active
    }
}
