//! Settings as answers show them. Of a secret there is only its name.

use std::collections::{BTreeMap, BTreeSet};

use domain::Sealed;
use domain::instance::{
    Access, HealthCheck, HostedTransport, Logging, Mount, Process, Profile, Remote, RemoteTransport,
    Resources, Source,
};
use schemars::JsonSchema;
use serde::Serialize;

/// What people have noted down.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct ProfileDocument<'a> {
    labels: &'a BTreeMap<String, String>,
    /// Empty, or what people should know.
    notes: &'a str,
    /// Empty, or the address of a picture.
    icon: &'a str,
    /// How much of the calls is recorded, and whether answers wait for that.
    logging: Logging,
    /// How it is probed.
    health_check: &'a HealthCheck,
}

#[derive(Debug, Serialize, JsonSchema)]
#[serde(tag = "access", rename_all = "snake_case")]
pub(crate) enum AccessDocument<'a> {
    Hosted(HostedDocument<'a>),
    Proxy(RemoteDocument<'a>),
    Direct(RemoteDocument<'a>),
}

#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct HostedDocument<'a> {
    transport: HostedTransport,
    #[serde(skip_serializing_if = "Option::is_none")]
    image: Option<&'a str>,
    command: CommandDocument<'a>,
    /// The ports that the server opens beside MCP.
    ports: &'a BTreeSet<u16>,
    /// What is mounted, by its path.
    mounts: &'a BTreeMap<String, Mount>,
    resources: Resources,
    /// Whom a process of the server serves.
    process: Process,
    /// How many replicas are wanted.
    replicas_wanted: u16,
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
pub(crate) struct RemoteDocument<'a> {
    transport: RemoteTransport,
    url: &'a str,
    /// The names of the header fields.
    headers: Vec<&'a str>,
}

impl<'a> ProfileDocument<'a> {
    pub(crate) fn new(profile: &'a Profile) -> Self {
        let Profile { labels, notes, icon, logging, health_check } = profile;
        ProfileDocument { labels, notes, icon, logging: *logging, health_check }
    }
}

impl<'a> AccessDocument<'a> {
    pub(crate) fn new(access: &'a Access) -> Self {
        match access {
            Access::Hosted(hosted) => AccessDocument::Hosted(HostedDocument {
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
                ports: &hosted.ports,
                mounts: &hosted.mounts,
                resources: hosted.resources,
                process: hosted.process,
                replicas_wanted: hosted.replicas,
            }),
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
