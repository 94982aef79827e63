//! What can be wished of a token.

use serde::{Deserialize, Serialize};

use super::Kind;
use crate::{Digest, InstanceId, Sealed};

/// A command for one token.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "command", rename_all = "snake_case")]
pub enum Command {
    Issue {
        instance: InstanceId,
        /// Whether the instance exists: looked up by the decider, who sees both logs. It does not travel.
        #[serde(skip)]
        instance_exists: bool,
        kind: Kind,
        label: String,
        digest: Digest,
        masked: String,
        sealed: Sealed,
    },
    Edit {
        label: String,
    },
    /// Puts another credential in the place of the old one, at once.
    Rotate {
        digest: Digest,
        masked: String,
        sealed: Sealed,
    },
    Revoke,
}

impl Command {
    /// The command's name as operators see it.
    pub fn name(&self) -> &'static str {
        match self {
            Command::Issue { .. } => "token.issue",
            Command::Edit { .. } => "token.edit",
            Command::Rotate { .. } => "token.rotate",
            Command::Revoke => "token.revoke",
        }
    }
}
