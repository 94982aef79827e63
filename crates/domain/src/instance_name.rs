//! A name that at most one instance holds.
//!
//! ```text
//! Free ──claim──▶ Claimed ──release──▶ Free
//! ```
//!
//! Names are aggregates of their own because uniqueness over all instances can only be decided where the log can
//! check it: creating an instance claims its name in the same atomic batch, under the name's own expected sequence.
//! Two writers that want one name meet there, and one of them loses.

use std::fmt;
use std::str::FromStr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{Decider, ImpossibleEvent, InstanceId};

/// The aggregate's name as it stands in subjects.
pub const NAME: &str = "instance_name";

/// The longest name: one DNS label (RFC 1035 section 2.3.4).
pub const NAME_BYTES_MAX: usize = 63;

/// A name: a lower-case DNS label (RFC 1123 section 2.1) that cannot be mistaken for an id.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, JsonSchema)]
#[serde(transparent)]
pub struct InstanceName(String);

impl InstanceName {
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for InstanceName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for InstanceName {
    type Err = InvalidName;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.is_empty() || text.len() > NAME_BYTES_MAX {
            return Err(InvalidName::Length);
        }
        if !text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-') {
            return Err(InvalidName::Character);
        }
        if text.starts_with('-') || text.ends_with('-') {
            return Err(InvalidName::Hyphen);
        }
        // A name works wherever an id does, so it must not be one (RFC 9562 forms have 32 hexadecimal digits).
        if text.parse::<InstanceId>().is_ok() {
            return Err(InvalidName::LooksLikeId);
        }
        Ok(InstanceName(text.to_owned()))
    }
}

impl<'de> Deserialize<'de> for InstanceName {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

/// Why a text is not a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidName {
    #[error("a name has 1 to {NAME_BYTES_MAX} characters")]
    Length,
    #[error("a name has only lower-case letters a-z, digits and hyphens")]
    Character,
    #[error("a name neither begins nor ends with a hyphen")]
    Hyphen,
    #[error("a name must not have the form of an id")]
    LooksLikeId,
}

/// Whether a name is taken.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum State {
    #[default]
    Free,
    Claimed(InstanceId),
}

/// What can be wished of a name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    Claim { instance: InstanceId },
    Release { instance: InstanceId },
}

/// What happens to a name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "name", content = "data")]
pub enum Event {
    #[serde(rename = "instance_name.claimed")]
    Claimed(Claimed),
    #[serde(rename = "instance_name.released")]
    Released(Released),
}

/// `instance_name.claimed`: an instance holds the name from now on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Claimed {
    pub instance: InstanceId,
}

/// `instance_name.released`: the name can be claimed again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Released {
    pub instance: InstanceId,
}

impl Event {
    /// The wire name.
    pub fn name(&self) -> &'static str {
        match self {
            Event::Claimed(_) => "instance_name.claimed",
            Event::Released(_) => "instance_name.released",
        }
    }
}

/// Why a claim is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error, Serialize, Deserialize)]
#[serde(tag = "code", rename_all = "snake_case")]
pub enum Refusal {
    #[error("the name belongs to instance {holder}")]
    Taken { holder: InstanceId },
}

/// The aggregate.
pub struct NameDecider;

impl Decider for NameDecider {
    const NAME: &'static str = NAME;

    type Id = InstanceName;
    type State = State;
    type Command = Command;
    type Event = Event;
    type Refusal = Refusal;

    fn decide(state: &State, command: Command) -> Result<Vec<Event>, Refusal> {
        match (command, state) {
            (Command::Claim { instance }, State::Free) => Ok(vec![Event::Claimed(Claimed { instance })]),
            (Command::Claim { instance }, State::Claimed(holder)) if *holder == instance => Ok(vec![]),
            (Command::Claim { .. }, State::Claimed(holder)) => Err(Refusal::Taken { holder: *holder }),
            (Command::Release { instance }, State::Claimed(holder)) if *holder == instance => {
                Ok(vec![Event::Released(Released { instance })])
            }
            (Command::Release { .. }, State::Free | State::Claimed(_)) => Ok(vec![]),
        }
    }

    fn evolve(state: State, event: &Event) -> Result<State, ImpossibleEvent> {
        match (event, state) {
            (Event::Claimed(claimed), State::Free) => Ok(State::Claimed(claimed.instance)),
            (Event::Released(released), State::Claimed(holder)) if holder == released.instance => {
                Ok(State::Free)
            }
            (Event::Released(_), State::Free) => Err(ImpossibleEvent { event: event.name(), stage: "free" }),
            (Event::Claimed(_) | Event::Released(_), State::Claimed(_)) => {
                Err(ImpossibleEvent { event: event.name(), stage: "claimed" })
            }
        }
    }

    fn event_name(event: &Event) -> &'static str {
        event.name()
    }
}

#[cfg(test)]
mod tests;
