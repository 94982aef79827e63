//! The tokens: what the gateway accepts, and the list that people see.

mod expiries;

pub use expiries::{Expiries, Expiring};

use std::collections::{BTreeMap, BTreeSet};

use domain::token::{Edited, Event, Expiry, Kind, Previous, Rotated};
use domain::{Digest, InstanceId, Recorded, Sealed, TokenId};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::View;

/// The view.
pub struct Tokens;

/// One token that was issued.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TokenRow {
    pub id: TokenId,
    pub instance: InstanceId,
    pub kind: Kind,
    pub label: String,
    pub masked: String,
    pub state: TokenState,
    pub expiry: Expiry,
    /// Header fields that the gateway adds, sealed under the token's key.
    pub headers: BTreeMap<String, Sealed>,
    /// The client's own header fields that the gateway passes on.
    pub passthrough: BTreeSet<String>,
    pub issued_at: Timestamp,
    /// Counts what people have changed: what `If-Match` is compared with.
    pub revision: u64,
    /// The sequence of the last event that this row holds.
    pub sequence: u64,
}

/// Whether a token is accepted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum TokenState {
    Active {
        digest: Digest,
        sealed: Sealed,
        /// What the last rotation left accepted for a while.
        previous: Option<Previous>,
    },
    /// Kept so that people can see that it was, and when it ended.
    Revoked { at: Timestamp },
    /// Its time was over at `at`. Whoever presents the credential is told so.
    Expired { at: Timestamp, digest: Digest },
}

impl TokenRow {
    /// What the credential is found by, as long as it is accepted.
    pub fn digest(&self) -> Option<&Digest> {
        match &self.state {
            TokenState::Active { digest, .. } => Some(digest),
            TokenState::Revoked { .. } | TokenState::Expired { .. } => None,
        }
    }
}

impl View for Tokens {
    const NAME: &'static str = "tokens";
    const VERSION: u16 = 4;

    type Row = TokenRow;

    fn key(recorded: &Recorded) -> Option<Uuid> {
        let domain::Event::Token { id, .. } = &recorded.event else { return None };
        Some(id.0)
    }

    fn apply(row: Option<TokenRow>, recorded: &Recorded) -> Option<TokenRow> {
        let domain::Event::Token { id, event } = &recorded.event else { return row };
        if row.as_ref().is_some_and(|row| recorded.sequence <= row.sequence) {
            return row;
        }
        let at = recorded.metadata.at;
        let mut row = match (event, row) {
            (Event::Issued(issued), _) => TokenRow {
                id: *id,
                instance: issued.instance,
                kind: issued.kind,
                label: issued.label.clone(),
                masked: issued.masked.clone(),
                state: TokenState::Active {
                    digest: issued.digest.clone(),
                    sealed: issued.sealed.clone(),
                    previous: None,
                },
                expiry: issued.expiry,
                headers: issued.headers.clone(),
                passthrough: issued.passthrough.clone(),
                issued_at: at,
                revision: 0,
                sequence: 0,
            },
            (Event::Edited(edited), row) => edit(row?, edited),
            (Event::Rotated(rotated), row) => rotate(row?, rotated),
            (Event::Revoked(_), row) => TokenRow { state: TokenState::Revoked { at }, ..row? },
            (Event::Expired(expired), row) => expire(row?, expired.at),
        };
        row.revision += u64::from(event.is_wish());
        row.sequence = recorded.sequence;
        Some(row)
    }
}

fn rotate(row: TokenRow, rotated: &Rotated) -> TokenRow {
    let state = TokenState::Active {
        digest: rotated.digest.clone(),
        sealed: rotated.sealed.clone(),
        previous: row.digest().and_then(|replaced| Previous::after(rotated, replaced)),
    };
    TokenRow { masked: rotated.masked.clone(), state, ..row }
}

fn edit(row: TokenRow, edited: &Edited) -> TokenRow {
    TokenRow {
        label: edited.label.clone().unwrap_or(row.label),
        expiry: edited.expiry.unwrap_or(row.expiry),
        headers: edited.headers.clone().unwrap_or(row.headers),
        passthrough: edited.passthrough.clone().unwrap_or(row.passthrough),
        ..row
    }
}

fn expire(row: TokenRow, at: Timestamp) -> TokenRow {
    let state = match row.state {
        TokenState::Active { digest, .. } => TokenState::Expired { at, digest },
        ended @ (TokenState::Revoked { .. } | TokenState::Expired { .. }) => ended,
    };
    TokenRow { state, ..row }
}

#[cfg(test)]
mod tests;
