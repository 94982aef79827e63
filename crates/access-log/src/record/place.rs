//! Where a row lies in the stream that carried it: what names it for as long as there are rows.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// The sequence of the message in its stream, counted from 1, and the row's index in the message, counted from 0.
///
/// No two rows of a stream have the same, and a later one is greater; its text form is `sequence-index`. A stream that
/// is deleted and made anew counts from 1 again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Place {
    pub sequence: u64,
    pub index: u32,
}

/// No message has so many rows: it is some megabytes large at most.
const INDEX_MAX: u32 = 999_999_999;

/// A row that has a place.
pub trait Placed {
    fn place(&self) -> Place;

    fn set_place(&mut self, place: Place);
}

/// The rows of the message with this sequence, each at its place.
pub fn placed<R: Placed>(sequence: u64, mut rows: Vec<R>) -> Vec<R> {
    for (index, row) in (0..).zip(&mut rows) {
        row.set_place(Place { sequence, index });
    }
    rows
}

/// A text that is no place.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a place is written as two numbers, such as `1024-0`")]
pub struct InvalidPlace;

impl Place {
    /// The first place of a message.
    pub fn first_of(sequence: u64) -> Self {
        Place { sequence, index: 0 }
    }

    /// A place behind every row of the messages before this one, and before all others.
    pub fn before(sequence: u64) -> Self {
        Place { sequence: sequence.saturating_sub(1), index: INDEX_MAX }
    }

    /// The place right after this one, where the message has one.
    pub fn next(self) -> Self {
        match self.index.checked_add(1) {
            Some(index) => Place { sequence: self.sequence, index },
            None => Place::first_of(self.sequence.saturating_add(1)),
        }
    }

    /// Whether the row has not been in a stream yet, or was put into its table before places were kept.
    pub fn is_unknown(&self) -> bool {
        self.sequence == 0
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.sequence, self.index)
    }
}

impl FromStr for Place {
    type Err = InvalidPlace;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (sequence, index) = text.split_once('-').ok_or(InvalidPlace)?;
        Ok(Place {
            sequence: sequence.parse().map_err(|_| InvalidPlace)?,
            index: index.parse().map_err(|_| InvalidPlace)?,
        })
    }
}

impl Serialize for Place {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Place {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Cow::<str>::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

impl JsonSchema for Place {
    fn schema_name() -> Cow<'static, str> {
        "Place".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "pattern": "^[0-9]{1,20}-[0-9]{1,10}$" })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_reads_back_and_what_is_none_is_refused() {
        let place = Place { sequence: 1024, index: 7 };
        assert_eq!(place.to_string().parse(), Ok(place));
        for text in ["", "1", "-", "1-", "a-1", "1-2-3", "-1-2", "1-4294967296"] {
            assert_eq!(text.parse::<Place>(), Err(InvalidPlace), "{text}");
        }
    }
}
