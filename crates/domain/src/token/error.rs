//! Refusals that a caller can act on.

use serde::{Deserialize, Serialize};

/// Why a command for a token is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error, Serialize, Deserialize)]
#[serde(tag = "code", rename_all = "snake_case")]
pub enum Refusal {
    #[error("the token exists already")]
    Exists,
    #[error("there is no such token")]
    NotFound,
    #[error("the token was revoked")]
    Revoked,
    #[error("there is no such instance")]
    InstanceNotFound,
}
