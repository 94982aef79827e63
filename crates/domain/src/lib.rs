//! The aggregates of mcpcan: their commands, events and states, and the rules between them.
//!
//! This crate is pure: no clock, no randomness, no runtime, no environment. Time, ids and sealed secrets arrive
//! inside the command. `decider` runs `decide`, `store` keeps the events, `views` folds them into read models.
#![deny(clippy::disallowed_methods, clippy::wildcard_enum_match_arm)]

pub mod claim;
pub mod decider;
pub mod id;
pub mod import;
pub mod instance;
pub mod name;
mod patch;
pub mod recorded;
pub mod retention_plan;
pub mod sealed;
pub mod template;
pub mod token;
pub mod undo;

pub use decider::{Decider, ImpossibleEvent};
pub use id::{CommandId, InstanceId, ReplicaId, TemplateId, TokenId};
pub use name::Name;
pub use recorded::{AGGREGATES, Actor, Event, Metadata, Recorded};
pub use sealed::{Digest, Sealed};

use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// A command together with the aggregate it is for: what travels on the command bus.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "aggregate", rename_all = "snake_case")]
pub enum Command {
    Instance { id: InstanceId, command: instance::Command },
    Token { id: TokenId, command: token::Command },
    Template { id: TemplateId, command: template::Command },
    RetentionPlan { id: InstanceId, command: retention_plan::Command },
}

impl Command {
    /// The command's name as operators see it: `instance.create`.
    pub fn name(&self) -> &'static str {
        match self {
            Command::Instance { command, .. } => command.name(),
            Command::Token { command, .. } => command.name(),
            Command::Template { command, .. } => command.name(),
            Command::RetentionPlan { command, .. } => command.name(),
        }
    }

    /// The name of the aggregate it is for, as it stands in subjects.
    pub fn aggregate(&self) -> &'static str {
        match self {
            Command::Instance { .. } => instance::NAME,
            Command::Token { .. } => token::NAME,
            Command::Template { .. } => template::NAME,
            Command::RetentionPlan { .. } => retention_plan::NAME,
        }
    }

    /// The id of the aggregate it is for.
    pub fn aggregate_id(&self) -> Uuid {
        match self {
            Command::Instance { id, .. } | Command::RetentionPlan { id, .. } => id.0,
            Command::Token { id, .. } => id.0,
            Command::Template { id, .. } => id.0,
        }
    }
}

/// Why a command was refused, whichever aggregate refused it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error, Serialize, Deserialize)]
#[serde(tag = "aggregate", content = "refusal", rename_all = "snake_case")]
pub enum Refusal {
    #[error(transparent)]
    Instance(instance::Refusal),
    /// The name of an instance.
    #[error("the name is taken: {0}")]
    InstanceName(claim::Refusal<InstanceId>),
    #[error(transparent)]
    Token(token::Refusal),
    #[error("the instance has a token with this credential already: {0}")]
    Credential(claim::Refusal<TokenId>),
    #[error(transparent)]
    Template(template::Refusal),
    /// The name of a template.
    #[error("the name is taken: {0}")]
    TemplateName(claim::Refusal<TemplateId>),
    #[error(transparent)]
    RetentionPlan(retention_plan::Refusal),
    /// Somebody has changed it since it was seen.
    #[error("it has been changed since: its revision is {revision} now")]
    Changed { revision: u64 },
    /// Events of another log.
    #[error(transparent)]
    Import(import::Refusal),
}

macro_rules! refusals {
    ($($variant:ident($refusal:ty)),+ $(,)?) => {
        $(impl From<$refusal> for Refusal {
            fn from(refusal: $refusal) -> Self {
                Refusal::$variant(refusal)
            }
        })+
    };
}

refusals! {
    Instance(instance::Refusal),
    InstanceName(claim::Refusal<InstanceId>),
    Token(token::Refusal),
    Credential(claim::Refusal<TokenId>),
    Template(template::Refusal),
    TemplateName(claim::Refusal<TemplateId>),
    RetentionPlan(retention_plan::Refusal),
}
