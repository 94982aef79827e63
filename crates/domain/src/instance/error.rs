//! Refusals that a caller can act on.

use serde::{Deserialize, Serialize};

/// Why a command for an instance is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error, Serialize, Deserialize)]
#[serde(tag = "code", rename_all = "snake_case")]
pub enum Refusal {
    #[error("the instance exists already")]
    Exists,
    #[error("there is no such instance")]
    NotFound,
    #[error("the instance was deleted")]
    Deleted,
    #[error("only the platform's own replicas can be reported on, and this instance is not hosted")]
    NotHosted,
    #[error("the report is about generation {reported}, but generation {wanted} is wanted")]
    Superseded { reported: u64, wanted: u64 },
    #[error("the instance is wanted to stand still")]
    NotRunning,
    #[error("the instance has no such replica")]
    UnknownReplica,
}
