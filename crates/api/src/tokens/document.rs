//! A token as people see it.

use std::collections::BTreeSet;

use access_log::TokenUsage;
use domain::token::{Expiry, Kind};
use domain::{InstanceId, TokenId};
use jiff::Timestamp;
use schemars::JsonSchema;
use serde::Serialize;
use views::{TokenRow, TokenState};

use crate::client_config::ClientConfig;

/// A token as answers show it.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct TokenDocument<'a> {
    id: TokenId,
    instance: InstanceId,
    kind: Kind,
    label: &'a str,
    masked: &'a str,
    #[schemars(extend("enum" = ["active", "revoked", "expired"]))]
    state: &'static str,
    issued_at: Timestamp,
    /// Refused from then on; none if it does not expire.
    expires_at: Option<Timestamp>,
    revoked_at: Option<Timestamp>,
    /// Until then the credential before the last rotation is accepted as well.
    previous_until: Option<Timestamp>,
    /// The names of the header fields that the gateway adds. Nothing shows their values again.
    headers: Vec<&'a str>,
    /// The client's own header fields that the gateway passes on.
    passthrough: &'a BTreeSet<String>,
    /// How it was used, some seconds ago; none where the access log was not asked, or did not answer.
    usage: Option<UsageDocument>,
    revision: u64,
    /// The document shows the log up to this event of the token.
    sequence: u64,
}

/// How a token was used.
#[derive(Debug, Default, Serialize, JsonSchema)]
struct UsageDocument {
    /// Requests that were passed on.
    requests: u64,
    last_used_at: Option<Timestamp>,
}

/// A token that has a credential since just now.
#[derive(Serialize, JsonSchema)]
pub(crate) struct CredentialDocument<'a> {
    #[serde(flatten)]
    document: TokenDocument<'a>,
    /// The credential in clear. Lists never show it again.
    token: &'a str,
    config: ClientConfig,
}

impl<'a> TokenDocument<'a> {
    pub(crate) fn new(row: &'a TokenRow) -> Self {
        let (state, revoked_at, previous) = match &row.state {
            TokenState::Active { previous, .. } => ("active", None, previous.as_ref()),
            TokenState::Revoked { at } => ("revoked", Some(*at), None),
            TokenState::Expired { .. } => ("expired", None, None),
        };
        let previous_until = previous.map(|previous| previous.until);
        TokenDocument {
            id: row.id,
            instance: row.instance,
            kind: row.kind,
            label: &row.label,
            masked: &row.masked,
            state,
            issued_at: row.issued_at,
            expires_at: match row.expiry {
                Expiry::At(at) => Some(at),
                Expiry::Never => None,
            },
            revoked_at,
            previous_until,
            headers: row.headers.keys().map(String::as_str).collect(),
            passthrough: &row.passthrough,
            usage: None,
            revision: row.revision,
            sequence: row.sequence,
        }
    }
}

impl TokenDocument<'_> {
    pub(crate) fn id(&self) -> TokenId {
        self.id
    }

    /// Says what is known of the token's use; one that nothing is known of was never used.
    pub(crate) fn set_usage(&mut self, known: Option<&TokenUsage>) {
        self.usage = Some(known.map_or_else(UsageDocument::default, |usage| UsageDocument {
            requests: usage.requests,
            last_used_at: Some(usage.last_used_at),
        }));
    }
}

impl<'a> CredentialDocument<'a> {
    pub(crate) fn new(row: &'a TokenRow, token: &'a str, config: ClientConfig) -> Self {
        CredentialDocument { document: TokenDocument::new(row), token, config }
    }
}
