//! A member of a merge patch: what is absent stays, what is null goes (RFC 7396).

use domain::instance::Change;
use serde::{Deserialize, Deserializer, Serialize};

/// A member. Serialized only into the request's keyed fingerprint.
#[derive(Debug, Default, Serialize)]
pub(crate) enum Member<T> {
    #[default]
    Absent,
    Null,
    Value(T),
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Member<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(match Option::deserialize(deserializer)? {
            Some(value) => Member::Value(value),
            None => Member::Null,
        })
    }
}

impl<T> Member<T> {
    pub(crate) fn is_absent(&self) -> bool {
        matches!(self, Member::Absent)
    }

    pub(crate) fn is_null(&self) -> bool {
        matches!(self, Member::Null)
    }

    pub(crate) fn as_value(&self) -> Option<&T> {
        match self {
            Member::Absent | Member::Null => None,
            Member::Value(value) => Some(value),
        }
    }

    /// What it shall be from now on, where nothing is an empty text or list.
    pub(crate) fn or_default(self) -> Option<T>
    where
        T: Default,
    {
        match self {
            Member::Absent => None,
            Member::Null => Some(T::default()),
            Member::Value(value) => Some(value),
        }
    }

    pub(crate) fn into_change(self) -> Option<Change<T>> {
        match self {
            Member::Absent => None,
            Member::Null => Some(Change::Clear),
            Member::Value(value) => Some(Change::Set(value)),
        }
    }
}
