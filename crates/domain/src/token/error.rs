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
    #[error("the token's time was over")]
    Expired,
    #[error("there is no such instance")]
    InstanceNotFound,
    #[error("clients of a direct instance go to its server themselves: it has no tokens")]
    DirectHasNone,
    #[error("the token's time is not over yet")]
    NotDue,
    #[error("a token has at most {max} {what}")]
    TooMany { what: String, max: usize },
    #[error("the header fields of a token have at most {max} bytes together once they are sealed")]
    TooLarge { max: usize },
}
