//! Whose access tokens an instance accepts beside its own tokens (OAuth 2.1 resource server). Nothing of it is secret.

use std::collections::BTreeSet;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The most scopes that an access token has to have.
pub const SCOPES_MAX: usize = 32;

/// An authorization server, and what its access tokens have to say.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Authorization {
    /// The issuer's identifier, which tokens name in `iss` (RFC 8414 section 2). Compared character by character.
    pub issuer: String,
    /// What tokens name in `aud`: they are for this instance and nothing else (RFC 8707).
    pub audience: String,
    /// What a token has to allow, all of it.
    pub scopes: BTreeSet<String>,
    /// Where the issuer's keys are; found through its metadata otherwise (RFC 8414, OpenID Connect Discovery).
    pub jwks_url: Option<String>,
}
