//! What happens to a token. These forms are a contract: they lie in logs for ever.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{Digest, InstanceId, Sealed};

/// An event of one token.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "name", content = "data")]
pub enum Event {
    #[serde(rename = "token.issued")]
    Issued(Issued),
    #[serde(rename = "token.edited")]
    Edited(Edited),
    #[serde(rename = "token.rotated")]
    Rotated(Rotated),
    #[serde(rename = "token.revoked")]
    Revoked(Revoked),
}

impl Event {
    /// The wire name.
    pub fn name(&self) -> &'static str {
        match self {
            Event::Issued(_) => "token.issued",
            Event::Edited(_) => "token.edited",
            Event::Rotated(_) => "token.rotated",
            Event::Revoked(_) => "token.revoked",
        }
    }
}

/// `token.issued`: the credential is accepted for the instance from now on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Issued {
    pub instance: InstanceId,
    pub kind: Kind,
    /// Empty, or what people call it.
    pub label: String,
    /// Finds the token when the credential is presented.
    pub digest: Digest,
    /// A form of the credential that people recognise and that gives nothing away.
    pub masked: String,
    /// The credential itself, sealed under the token's own key.
    pub sealed: Sealed,
}

/// How a credential is presented.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// `Authorization: Bearer <credential>` (RFC 6750 section 2.1).
    Bearer,
}

/// `token.edited`: people call it something else.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Edited {
    pub label: String,
}

/// `token.rotated`: another credential is accepted from now on, and the one before no longer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Rotated {
    pub digest: Digest,
    pub masked: String,
    pub sealed: Sealed,
}

/// `token.revoked`: the credential is refused from now on and its key is purged.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Revoked {}
