//! An event as the log gives it back: with its place, its time and its cause.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::claim::{self, Claimable, CredentialId, Credentials, InstanceNames, TemplateNames};
use crate::{CommandId, InstanceId, Name, TemplateId, TokenId, instance, retention_plan, template, token};

/// An event of any aggregate together with the id of its aggregate.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "aggregate", rename_all = "snake_case")]
pub enum Event {
    Instance {
        id: InstanceId,
        event: instance::Event,
    },
    InstanceName {
        id: Name,
        event: claim::Event<InstanceNames>,
    },
    Token {
        id: TokenId,
        event: token::Event,
    },
    Credential {
        id: CredentialId,
        event: claim::Event<Credentials>,
    },
    Template {
        id: TemplateId,
        event: template::Event,
    },
    TemplateName {
        id: Name,
        event: claim::Event<TemplateNames>,
    },
    /// The id is its instance's.
    RetentionPlan {
        id: InstanceId,
        event: retention_plan::Event,
    },
}

/// The kinds of aggregates that events are about, as they stand in subjects.
pub const AGGREGATES: [&str; 7] = [
    instance::NAME,
    InstanceNames::NAME,
    token::NAME,
    Credentials::NAME,
    template::NAME,
    TemplateNames::NAME,
    retention_plan::NAME,
];

impl Event {
    /// The wire name: `instance.created`.
    pub fn name(&self) -> &'static str {
        match self {
            Event::Instance { event, .. } => event.name(),
            Event::InstanceName { event, .. } => event.name(),
            Event::Token { event, .. } => event.name(),
            Event::Credential { event, .. } => event.name(),
            Event::Template { event, .. } => event.name(),
            Event::TemplateName { event, .. } => event.name(),
            Event::RetentionPlan { event, .. } => event.name(),
        }
    }

    /// The aggregate's name as it stands in subjects.
    pub fn aggregate(&self) -> &'static str {
        match self {
            Event::Instance { .. } => instance::NAME,
            Event::InstanceName { .. } => InstanceNames::NAME,
            Event::Token { .. } => token::NAME,
            Event::Credential { .. } => Credentials::NAME,
            Event::Template { .. } => template::NAME,
            Event::TemplateName { .. } => TemplateNames::NAME,
            Event::RetentionPlan { .. } => retention_plan::NAME,
        }
    }

    /// The aggregate's id as it stands in subjects.
    pub fn aggregate_id(&self) -> String {
        match self {
            Event::Instance { id, .. } => id.to_string(),
            Event::InstanceName { id, .. } => id.to_string(),
            Event::Token { id, .. } => id.to_string(),
            Event::Credential { id, .. } => id.to_string(),
            Event::Template { id, .. } => id.to_string(),
            Event::TemplateName { id, .. } => id.to_string(),
            Event::RetentionPlan { id, .. } => id.to_string(),
        }
    }
}

/// Who gave a command.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", content = "name", rename_all = "snake_case")]
pub enum Actor {
    /// Somebody who holds the admin key.
    Admin,
    /// A role of the platform reporting a fact or reacting to one: `worker`, `decider`.
    Role(String),
}

impl std::fmt::Display for Actor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Actor::Admin => f.write_str("admin"),
            Actor::Role(name) => write!(f, "role:{name}"),
        }
    }
}

impl std::str::FromStr for Actor {
    type Err = UnknownActor;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.split_once(':') {
            None if text == "admin" => Ok(Actor::Admin),
            Some(("role", name)) => Ok(Actor::Role(name.to_owned())),
            _ => Err(UnknownActor(text.to_owned())),
        }
    }
}

/// The text names no actor.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` names no actor: `admin` or `role:<name>` was expected")]
pub struct UnknownActor(pub String);

/// Where a command or event comes from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Metadata {
    /// When the command was given.
    pub at: Timestamp,
    /// The command that led to the event.
    pub command_id: CommandId,
    /// What led to the command: the id of a client's request, or `event:<sequence>` for a reaction.
    pub causation_id: String,
    pub actor: Actor,
    /// W3C `traceparent` of the request that gave the command, if there was one.
    pub traceparent: Option<String>,
}

/// An event with its place in the log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Recorded {
    /// The sequence in the event stream: a total order over all aggregates.
    pub sequence: u64,
    pub metadata: Metadata,
    pub event: Event,
}
