//! The aggregates of mcpcan: their commands, events and states, and the rules between them.
//!
//! This crate is pure: no clock, no randomness, no runtime, no environment. Time, ids and sealed secrets arrive
//! inside the command. `decider` runs `decide`, `store` keeps the events, `views` folds them into read models.
#![deny(clippy::disallowed_methods, clippy::wildcard_enum_match_arm)]

pub mod decider;
pub mod id;
pub mod instance;
pub mod instance_name;
pub mod recorded;
pub mod sealed;
pub mod token;

pub use decider::{Decider, ImpossibleEvent};
pub use id::{CommandId, InstanceId, ReplicaId, TokenId};
pub use recorded::{Actor, Event, Metadata, Recorded};
pub use sealed::{Digest, Sealed};

use serde::{Deserialize, Serialize};

/// A command together with the aggregate it is for: what travels on the command bus.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "aggregate", rename_all = "snake_case")]
pub enum Command {
    Instance { id: InstanceId, command: instance::Command },
    Token { id: TokenId, command: token::Command },
}

/// Why a command was refused, whichever aggregate refused it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error, Serialize, Deserialize)]
#[serde(tag = "aggregate", content = "refusal", rename_all = "snake_case")]
pub enum Refusal {
    #[error(transparent)]
    Instance(instance::Refusal),
    #[error(transparent)]
    InstanceName(instance_name::Refusal),
    #[error(transparent)]
    Token(token::Refusal),
}

impl From<instance::Refusal> for Refusal {
    fn from(refusal: instance::Refusal) -> Self {
        Refusal::Instance(refusal)
    }
}

impl From<instance_name::Refusal> for Refusal {
    fn from(refusal: instance_name::Refusal) -> Self {
        Refusal::InstanceName(refusal)
    }
}

impl From<token::Refusal> for Refusal {
    fn from(refusal: token::Refusal) -> Self {
        Refusal::Token(refusal)
    }
}
