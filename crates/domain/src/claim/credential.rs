//! What names a credential within its instance.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::{Digest, InstanceId};

/// A credential of an instance, by its keyed digest.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct CredentialId {
    pub instance: InstanceId,
    pub digest: Digest,
}

/// `<instance>_<digest>`: one token of a subject.
impl fmt::Display for CredentialId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}_{}", self.instance, self.digest.0)
    }
}

impl FromStr for CredentialId {
    type Err = MalformedCredentialId;

    fn from_str(text: &str) -> Result<Self, MalformedCredentialId> {
        let (instance, digest) = text.split_once('_').ok_or(MalformedCredentialId)?;
        let instance = instance.parse().map_err(|_| MalformedCredentialId)?;
        if digest.is_empty() || !digest.bytes().all(|b| b.is_ascii_alphanumeric()) {
            return Err(MalformedCredentialId);
        }
        Ok(CredentialId { instance, digest: Digest(digest.to_owned()) })
    }
}

impl From<CredentialId> for String {
    fn from(id: CredentialId) -> Self {
        id.to_string()
    }
}

impl TryFrom<String> for CredentialId {
    type Error = MalformedCredentialId;

    fn try_from(text: String) -> Result<Self, MalformedCredentialId> {
        text.parse()
    }
}

/// The text names no credential.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`<instance>_<digest>` was expected")]
pub struct MalformedCredentialId;
