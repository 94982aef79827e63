//! An instance as answers show it. Of a secret there is only its name.

use domain::InstanceId;
use domain::instance::{Access, FailureReason, HostedTransport, Remote, RemoteTransport, ServerInfo, Source};
use domain::{Name, ReplicaId, Sealed};
use jiff::Timestamp;
use schemars::JsonSchema;
use serde::Serialize;
use std::collections::BTreeMap;
use url::Url;
use views::{InstanceRow, Phase};

use crate::client_config;

/// An instance.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct InstanceDocument<'a> {
    id: InstanceId,
    name: &'a Name,
    #[serde(flatten)]
    access: AccessDocument<'a>,
    phase: Phase,
    /// Whether the instance is wanted to run.
    wanted: bool,
    generation: u64,
    replicas: Vec<ReplicaDocument>,
    failure: Option<FailureDocument<'a>>,
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
#[serde(tag = "access", rename_all = "snake_case")]
enum AccessDocument<'a> {
    Hosted {
        transport: HostedTransport,
        #[serde(skip_serializing_if = "Option::is_none")]
        image: Option<&'a str>,
        command: CommandDocument<'a>,
    },
    Proxy(RemoteDocument<'a>),
    Direct(RemoteDocument<'a>),
}

#[derive(Debug, Serialize, JsonSchema)]
struct CommandDocument<'a> {
    /// None when the image's own entry point is run.
    program: Option<&'a str>,
    args: &'a [String],
    /// The names of the environment variables.
    env: Vec<&'a str>,
}

#[derive(Debug, Serialize, JsonSchema)]
struct RemoteDocument<'a> {
    transport: RemoteTransport,
    url: &'a str,
    /// The names of the header fields.
    headers: Vec<&'a str>,
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
    at: Timestamp,
}

impl<'a> InstanceDocument<'a> {
    pub(crate) fn new(row: &'a InstanceRow, gateway_url: &Url) -> Self {
        InstanceDocument {
            id: row.id,
            name: &row.name,
            access: AccessDocument::new(&row.access),
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
                at: failure.at,
            }),
            server: row.server.as_ref(),
            gateway_url: client_config::gateway_endpoint(row, gateway_url),
            created_at: row.created_at,
            updated_at: row.updated_at,
            revision: row.revision,
            sequence: row.sequence,
        }
    }
}

impl<'a> AccessDocument<'a> {
    fn new(access: &'a Access) -> Self {
        match access {
            Access::Hosted(hosted) => AccessDocument::Hosted {
                transport: hosted.transport,
                image: match &hosted.source {
                    Source::Command(_) => None,
                    Source::Image { image, .. } => Some(image),
                },
                command: CommandDocument {
                    program: hosted.source.command().map(|command| command.program.as_str()),
                    args: hosted.source.command().map_or(&[], |command| &command.args),
                    env: names(&hosted.env),
                },
            },
            Access::Proxy(remote) => AccessDocument::Proxy(RemoteDocument::new(remote)),
            Access::Direct(remote) => AccessDocument::Direct(RemoteDocument::new(remote)),
        }
    }
}

impl<'a> RemoteDocument<'a> {
    fn new(remote: &'a Remote) -> Self {
        RemoteDocument { transport: remote.transport, url: &remote.url, headers: names(&remote.headers) }
    }
}

fn names(secrets: &BTreeMap<String, Sealed>) -> Vec<&str> {
    secrets.keys().map(String::as_str).collect()
}
