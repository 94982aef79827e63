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
    #[error("clients of a direct instance go there themselves: it is not probed")]
    NotProbed,
    #[error("no replica of the instance is ready: there is nothing to probe")]
    NoReadyReplica,
    #[error("the instance has no such replica")]
    UnknownReplica,
    #[error("a {mode} instance has no {setting}")]
    NotOfMode { setting: String, mode: String },
    #[error("the platform runs 1 to {max} replicas of an instance")]
    Replicas { max: u16 },
    #[error("only an instance that the platform runs has replicas, and this one is not hosted")]
    NoReplicas,
    #[error("the image's own entry point is run: name a program together with its arguments")]
    NoCommand,
    #[error("there is neither an image nor a program to run")]
    NothingToRun,
    #[error("a replica cannot ask for more than it may use: a request is above its limit")]
    RequestAboveLimit,
    #[error("an instance has at most {max} {what}")]
    TooMany { what: String, max: usize },
    #[error("the secrets of an instance have at most {max} bytes together once they are sealed")]
    TooLarge { max: usize },
}
