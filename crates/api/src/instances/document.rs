//! An instance as answers show it. Of a secret there is only its name.

use domain::instance::{Advice, Authorization, Dimension, FailureReason, HealthStatus, ServerInfo};
use domain::{InstanceId, Name, ReplicaId, TemplateId};
use jiff::Timestamp;
use schemars::JsonSchema;
use serde::Serialize;
use url::Url;
use views::{Condition, InstanceRow, Phase};

use crate::client_config;
use crate::settings::{AccessDocument, ProfileDocument};

/// An instance.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct InstanceDocument<'a> {
    id: InstanceId,
    name: &'a Name,
    #[serde(flatten)]
    profile: ProfileDocument<'a>,
    /// The template that it was created from.
    template: Option<TemplateId>,
    #[serde(flatten)]
    access: AccessDocument<'a>,
    /// Whose access tokens are accepted beside the instance's own tokens.
    authorization: Option<&'a Authorization>,
    phase: Phase,
    /// Whether the instance is wanted to run.
    wanted: bool,
    generation: u64,
    replicas: Vec<ReplicaDocument>,
    failure: Option<FailureDocument<'a>>,
    /// How it is; none where it is not wanted to run, or clients go there themselves.
    health: Option<HealthDocument<'a>>,
    server: Option<&'a ServerInfo>,
    /// Where clients reach it through the gateway; none for a direct instance.
    gateway_url: Option<Url>,
    created_at: Timestamp,
    updated_at: Timestamp,
    revision: u64,
    /// The document shows the log up to this event of the instance.
    sequence: u64,
}

#[derive(Debug, Serialize, JsonSchema)]
struct ReplicaDocument {
    id: ReplicaId,
    generation: u64,
    ready: bool,
}

#[derive(Debug, Serialize, JsonSchema)]
struct FailureDocument<'a> {
    replica: ReplicaId,
    reason: FailureReason,
    detail: &'a str,
    /// What the reason means, and what to look at.
    #[serde(flatten)]
    advice: Advice,
    at: Timestamp,
}

/// How an instance is: what runs, and what probes see.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct HealthDocument<'a> {
    /// None while nothing is known: it is starting, or has not been probed yet.
    status: Option<HealthStatus>,
    /// Whether what runs the server is up.
    container: Dimension,
    /// Whether a connection to the server can be made.
    service: Dimension,
    /// Whether the server answers as MCP demands.
    mcp: Dimension,
    /// Whether it went back and forth so often that a change is told later than usual.
    unsteady: bool,
    problem: Option<ProblemDocument<'a>>,
    since: Timestamp,
}

/// What is wrong.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct ProblemDocument<'a> {
    /// The class of a probe's problem, or the reason of a replica's failure.
    class: &'static str,
    detail: &'a str,
    /// What the class means, and what to look at.
    #[serde(flatten)]
    advice: Advice,
}

impl<'a> HealthDocument<'a> {
    fn new(condition: Condition<'a>) -> Self {
        let Condition { status, container, service, mcp, unsteady, trouble, since } = condition;
        let problem = trouble.map(|trouble| ProblemDocument {
            class: trouble.class,
            detail: trouble.detail,
            advice: trouble.advice,
        });
        HealthDocument { status, container, service, mcp, unsteady, problem, since }
    }
}

impl<'a> InstanceDocument<'a> {
    pub(crate) fn new(row: &'a InstanceRow, gateway_url: &Url) -> Self {
        InstanceDocument {
            id: row.id,
            name: &row.name,
            profile: ProfileDocument::new(&row.profile),
            template: row.template,
            access: AccessDocument::new(&row.access),
            authorization: row.authorization.as_ref(),
            phase: row.phase,
            wanted: row.wanted,
            generation: row.generation,
            replicas: row
                .replicas
                .iter()
                .map(|replica| ReplicaDocument {
                    id: replica.replica,
                    generation: replica.generation,
                    ready: replica.url.is_some(),
                })
                .collect(),
            failure: row.failure.as_ref().map(|failure| FailureDocument {
                replica: failure.replica,
                reason: failure.reason,
                detail: &failure.detail,
                advice: failure.reason.advice(),
                at: failure.at,
            }),
            health: row.condition().map(HealthDocument::new),
            server: row.server.as_ref(),
            gateway_url: client_config::gateway_endpoint(row, gateway_url),
            created_at: row.created_at,
            updated_at: row.updated_at,
            revision: row.revision,
            sequence: row.sequence,
        }
    }
}
