//! What can be wished of a token.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{Expiry, Kind};
use crate::{Digest, InstanceId, Sealed};

/// A command for one token.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "command", rename_all = "snake_case")]
pub enum Command {
    /// The decider asks [`super::require_reachable`] first: whether the instance exists lies in another log.
    Issue {
        instance: InstanceId,
        kind: Kind,
        label: String,
        digest: Digest,
        masked: String,
        sealed: Sealed,
        #[serde(default)]
        expiry: Expiry,
        #[serde(default)]
        headers: BTreeMap<String, Sealed>,
        #[serde(default)]
        passthrough: BTreeSet<String>,
    },
    /// Changes what is named, and leaves the rest. In `headers`, `None` takes a field away.
    Edit {
        #[serde(default)]
        label: Option<String>,
        #[serde(default)]
        expiry: Option<Expiry>,
        #[serde(default)]
        headers: BTreeMap<String, Option<Sealed>>,
        #[serde(default)]
        passthrough: Option<BTreeSet<String>>,
    },
    /// Puts another credential in the place of the old one, which is accepted until then, or no longer.
    Rotate {
        digest: Digest,
        masked: String,
        sealed: Sealed,
        #[serde(default)]
        previous_until: Option<Timestamp>,
    },
    Revoke,
    /// Says that the token's time is over. `now` is the time of whoever says so.
    Expire {
        now: Timestamp,
    },
}

impl Command {
    /// The command's name as operators see it.
    pub fn name(&self) -> &'static str {
        match self {
            Command::Issue { .. } => "token.issue",
            Command::Edit { .. } => "token.edit",
            Command::Rotate { .. } => "token.rotate",
            Command::Revoke => "token.revoke",
            Command::Expire { .. } => "token.expire",
        }
    }
}
