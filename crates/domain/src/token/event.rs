//! What happens to a token. These forms are a contract: they lie in logs for ever.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
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
    #[serde(rename = "token.expired")]
    Expired(Expired),
}

impl Event {
    /// The wire name.
    pub fn name(&self) -> &'static str {
        match self {
            Event::Issued(_) => "token.issued",
            Event::Edited(_) => "token.edited",
            Event::Rotated(_) => "token.rotated",
            Event::Revoked(_) => "token.revoked",
            Event::Expired(_) => "token.expired",
        }
    }

    /// Whether somebody wished it, as opposed to time having passed.
    pub fn is_wish(&self) -> bool {
        match self {
            Event::Issued(_) | Event::Edited(_) | Event::Rotated(_) | Event::Revoked(_) => true,
            Event::Expired(_) => false,
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
    pub expiry: Expiry,
    /// Header fields that the gateway adds for this token's requests: names in clear, values sealed.
    pub headers: BTreeMap<String, Sealed>,
    /// The client's own header fields that the gateway passes on, by lower-case name.
    pub passthrough: BTreeSet<String>,
}

/// Until when a credential is accepted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Expiry {
    /// Until it is revoked.
    #[default]
    Never,
    /// Refused from this moment on.
    At(Timestamp),
}

impl Expiry {
    /// Whether the time is over.
    pub fn is_over(self, now: Timestamp) -> bool {
        match self {
            Expiry::Never => false,
            Expiry::At(at) => at <= now,
        }
    }
}

/// How a credential is presented.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// `Authorization: Bearer <credential>` (RFC 6750 section 2.1).
    Bearer,
    /// `Api-Key: <credential>`.
    ApiKey,
    /// `X-API-Key: <credential>`.
    #[serde(rename = "x-api-key")]
    XApiKey,
    /// `Authorization: Basic <credential>` (RFC 7617). The credential is what follows the scheme, as it is encoded.
    Basic,
}

/// `token.edited`: what is named is so from now on, and the rest is as it was.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Edited {
    pub label: Option<String>,
    pub expiry: Option<Expiry>,
    /// All header fields, if any of them changed.
    pub headers: Option<BTreeMap<String, Sealed>>,
    pub passthrough: Option<BTreeSet<String>>,
}

/// `token.rotated`: another credential is accepted from now on. The one before is no longer, or only for a while.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Rotated {
    pub digest: Digest,
    pub masked: String,
    pub sealed: Sealed,
    /// Until when the credential before is accepted beside it. Whatever was still accepted before that one no longer is.
    pub previous_until: Option<Timestamp>,
}

/// `token.revoked`: the credential is refused from now on and its key is purged.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Revoked {}

/// `token.expired`: its time was over. The credential was refused from that moment on; now its key is purged as well.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Expired {
    /// The moment that was agreed.
    pub at: Timestamp,
}
