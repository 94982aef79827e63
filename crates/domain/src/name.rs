//! Names that people give: of instances, of templates.

use std::fmt;
use std::str::FromStr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// The longest name: one DNS label (RFC 1035 section 2.3.4).
pub const NAME_BYTES_MAX: usize = 63;

/// A name: a lower-case DNS label (RFC 1123 section 2.1) that cannot be mistaken for an id.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, JsonSchema)]
#[serde(transparent)]
pub struct Name(String);

impl Name {
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for Name {
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
        if text.parse::<Uuid>().is_ok() {
            return Err(InvalidName::LooksLikeId);
        }
        Ok(Name(text.to_owned()))
    }
}

impl<'de> Deserialize<'de> for Name {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_lower_case_dns_labels() {
        for good in ["a", "everything", "my-server-2", "0", &"x".repeat(63)] {
            assert_eq!(good.parse::<Name>().map(|name| name.to_string()), Ok(good.to_owned()));
        }
        for (bad, reason) in [
            ("", InvalidName::Length),
            (&*"x".repeat(64), InvalidName::Length),
            ("Everything", InvalidName::Character),
            ("a.b", InvalidName::Character),
            ("ä", InvalidName::Character),
            ("-a", InvalidName::Hyphen),
            ("a-", InvalidName::Hyphen),
            ("0192d3a4-0000-7000-8000-000000000001", InvalidName::LooksLikeId),
            ("0192d3a400007000800000000000000f", InvalidName::LooksLikeId),
        ] {
            assert_eq!(bad.parse::<Name>(), Err(reason), "{bad}");
        }
    }
}
