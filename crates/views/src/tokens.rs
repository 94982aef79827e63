//! The tokens: what the gateway accepts, and the list that people see.

use domain::token::{Event, Kind};
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
    pub issued_at: Timestamp,
    /// Counts the events of this token.
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
    },
    /// Kept so that people can see that it was, and when it ended.
    Revoked {
        at: Timestamp,
    },
}

impl TokenRow {
    /// What the credential is found by, as long as it is accepted.
    pub fn digest(&self) -> Option<&Digest> {
        match &self.state {
            TokenState::Active { digest, .. } => Some(digest),
            TokenState::Revoked { .. } => None,
        }
    }
}

impl View for Tokens {
    const NAME: &'static str = "tokens";
    const VERSION: u16 = 1;

    type Row = TokenRow;

    fn key(recorded: &Recorded) -> Option<Uuid> {
        match &recorded.event {
            domain::Event::Token { id, .. } => Some(id.0),
            domain::Event::Instance { .. } | domain::Event::InstanceName { .. } => None,
        }
    }

    fn apply(row: Option<TokenRow>, recorded: &Recorded) -> Option<TokenRow> {
        let (id, event) = match &recorded.event {
            domain::Event::Token { id, event } => (*id, event),
            domain::Event::Instance { .. } | domain::Event::InstanceName { .. } => return row,
        };
        if row.as_ref().is_some_and(|row| recorded.sequence <= row.sequence) {
            return row;
        }
        let at = recorded.metadata.at;
        let mut row = match (event, row) {
            (Event::Issued(issued), _) => TokenRow {
                id,
                instance: issued.instance,
                kind: issued.kind,
                label: issued.label.clone(),
                masked: issued.masked.clone(),
                state: TokenState::Active { digest: issued.digest.clone(), sealed: issued.sealed.clone() },
                issued_at: at,
                revision: 0,
                sequence: 0,
            },
            (Event::Edited(edited), row) => TokenRow { label: edited.label.clone(), ..row? },
            (Event::Rotated(rotated), row) => TokenRow {
                masked: rotated.masked.clone(),
                state: TokenState::Active { digest: rotated.digest.clone(), sealed: rotated.sealed.clone() },
                ..row?
            },
            (Event::Revoked(_), row) => TokenRow { state: TokenState::Revoked { at }, ..row? },
        };
        row.revision += 1;
        row.sequence = recorded.sequence;
        Some(row)
    }
}

#[cfg(test)]
mod tests;
