//! A moment of the log: everything up to one event.

use jiff::{SignedDuration, Timestamp};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Serialize;
use store::Store;

use crate::error::Error;
use crate::moment;
use crate::violation::{Place, Violations};

/// The word for the end of the log.
pub(super) const NOW: &str = "now";

/// A moment as it was asked for.
#[derive(Clone, Copy, Debug)]
pub(super) enum Wanted {
    Sequence(u64),
    Time(Timestamp),
    Now,
}

/// A moment, found in the log.
#[derive(Clone, Copy, Debug)]
pub(super) struct At {
    /// The last event that counts.
    pub(super) through: u64,
    time: Option<Timestamp>,
}

/// A moment as answers show it.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct AtDocument {
    /// The last event that counts.
    at_sequence: u64,
    /// The time that was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    at: Option<Timestamp>,
}

impl At {
    pub(super) async fn resolve(store: &Store, wanted: Wanted) -> Result<Self, Error> {
        match wanted {
            Wanted::Now => Ok(At { through: store.last_event().await?, time: None }),
            Wanted::Sequence(sequence) if sequence > store.last_event().await? => {
                Err(Error::EventNotFound(sequence.to_string()))
            }
            Wanted::Sequence(sequence) => Ok(At { through: sequence, time: None }),
            Wanted::Time(time) if time > Timestamp::now() => Err(Error::MomentToCome(time)),
            // What was stored at the very moment counts.
            Wanted::Time(time) => {
                let after = time.checked_add(SignedDuration::from_nanos(1)).unwrap_or(time);
                let through = store.sequence_at(after).await?.saturating_sub(1);
                Ok(At { through, time: Some(time) })
            }
        }
    }

    pub(super) fn document(&self) -> AtDocument {
        AtDocument { at_sequence: self.through, at: self.time }
    }
}

/// A sequence, `now` or a moment.
pub(super) fn parse(parameter: &str, text: &str, now: Timestamp, violations: &mut Violations) -> Wanted {
    if text == NOW {
        return Wanted::Now;
    }
    if let Ok(sequence) = text.parse() {
        return Wanted::Sequence(sequence);
    }
    if let Some(time) = moment::parse(text, now) {
        return Wanted::Time(time);
    }
    let wrong = format!("a sequence, `{NOW}`, or {} was expected", moment::WHAT_A_MOMENT_IS);
    violations.add(Place::Parameter(parameter.to_owned()), wrong);
    Wanted::Now
}

/// What [`parse`] takes.
pub(super) fn schema(_: &mut SchemaGenerator) -> Schema {
    let pattern = format!("^({NOW}|[0-9]{{1,18}}|{}|{})$", moment::TIME_PATTERN, moment::AGO_PATTERN);
    json_schema!({ "type": "string", "pattern": pattern })
}

/// The moment of two parameters of which at most one is given.
pub(super) fn one_of(
    at: Option<&str>,
    at_sequence: Option<&str>,
    now: Timestamp,
    violations: &mut Violations,
) -> Wanted {
    let place = || Place::Parameter("at_sequence".to_owned());
    match (at, at_sequence) {
        (None, None) => Wanted::Now,
        (Some(_), Some(_)) => {
            violations.add(place(), "either `at` or `at_sequence` was expected, not both");
            Wanted::Now
        }
        (None, Some(sequence)) => match sequence.parse() {
            Ok(sequence) => Wanted::Sequence(sequence),
            Err(_) => {
                violations.add(place(), "the sequence of an event was expected");
                Wanted::Now
            }
        },
        (Some(at), None) => moment::moment("at", Some(at), now, violations).map_or(Wanted::Now, Wanted::Time),
    }
}
