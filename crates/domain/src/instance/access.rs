//! How an instance is reached: hosted by the platform, proxied to a server elsewhere, or only listed.

use std::collections::{BTreeMap, BTreeSet};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Refusal;
use crate::Sealed;
use crate::sealed::SEALED_BYTES_MAX;

/// The most replicas of one instance.
pub const REPLICAS_MAX: u16 = 64;
/// The most environment variables, and the most header fields.
pub const SECRETS_MAX: usize = 256;
/// The most mounts of one instance.
pub const MOUNTS_MAX: usize = 32;

/// The access mode with what it needs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "mode", rename_all = "snake_case")]
pub enum Access {
    /// The platform runs the server and the gateway is its public address.
    Hosted(Hosted),
    /// The server runs elsewhere; the gateway stands in front of it and the client never learns its address.
    Proxy(Remote),
    /// The server runs elsewhere and clients go there themselves; the platform only hands out its configuration.
    Direct(Remote),
}

impl Access {
    /// Whether the platform runs the server.
    pub fn is_hosted(&self) -> bool {
        self.hosted().is_some()
    }

    /// The server that the platform runs, if it does.
    pub fn hosted(&self) -> Option<&Hosted> {
        match self {
            Access::Hosted(hosted) => Some(hosted),
            Access::Proxy(_) | Access::Direct(_) => None,
        }
    }

    /// Sets how many replicas are wanted. A server elsewhere has none.
    pub fn scale(&mut self, replicas: u16) {
        match self {
            Access::Hosted(hosted) => hosted.replicas = replicas,
            Access::Proxy(_) | Access::Direct(_) => {}
        }
    }

    /// The mode's name as it stands on the wire.
    pub fn mode(&self) -> &'static str {
        match self {
            Access::Hosted(_) => "hosted",
            Access::Proxy(_) => "proxy",
            Access::Direct(_) => "direct",
        }
    }

    /// The sealed secrets with their names, to be sealed anew.
    pub fn secrets_mut(&mut self) -> &mut BTreeMap<String, Sealed> {
        match self {
            Access::Hosted(hosted) => &mut hosted.env,
            Access::Proxy(remote) | Access::Direct(remote) => &mut remote.headers,
        }
    }

    /// The sealed secrets with their names.
    pub fn secrets(&self) -> &BTreeMap<String, Sealed> {
        match self {
            Access::Hosted(hosted) => &hosted.env,
            Access::Proxy(remote) | Access::Direct(remote) => &remote.headers,
        }
    }
}

/// A server that the platform runs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Hosted {
    pub transport: HostedTransport,
    pub source: Source,
    /// Environment variables: names in clear, values sealed, because any of them may be a credential.
    #[serde(default)]
    pub env: BTreeMap<String, Sealed>,
    /// The ports that the server opens beside MCP: what a network policy has to let through.
    #[serde(default)]
    pub ports: BTreeSet<u16>,
    /// What is mounted, by the path in the server's file system.
    #[serde(default)]
    pub mounts: BTreeMap<String, Mount>,
    #[serde(default)]
    pub resources: Resources,
    #[serde(default)]
    pub process: Process,
    /// How many replicas run at the same time.
    pub replicas: u16,
}

impl Hosted {
    /// A server with the settings that most have: one replica, nothing mounted, no limits of its own.
    pub fn new(source: Source, env: BTreeMap<String, Sealed>) -> Self {
        Hosted {
            transport: HostedTransport::Stdio,
            source,
            env,
            ports: BTreeSet::new(),
            mounts: BTreeMap::new(),
            resources: Resources::default(),
            process: Process::default(),
            replicas: 1,
        }
    }
}

/// What is run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Source {
    /// A command in the platform's own environment: Node and Python are there.
    Command(CommandLine),
    /// A container image; its own entry point, unless a command is named.
    Image { image: String, command: Option<CommandLine> },
}

impl Source {
    /// The command, where one is named.
    pub fn command(&self) -> Option<&CommandLine> {
        match self {
            Source::Command(command) => Some(command),
            Source::Image { command, .. } => command.as_ref(),
        }
    }
}

/// What a hosted server speaks itself. Clients meet Streamable HTTP whatever this is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum HostedTransport {
    Stdio,
}

/// Whom a process of the server serves.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Process {
    /// A client with a session gets one for itself; clients of the protocol without sessions share one.
    #[default]
    Auto,
    /// One client, with a session or without.
    PerClient,
    /// All clients. What an older server asks of its client, logs or says of changes then reaches nobody.
    Shared,
}

impl Process {
    /// The name as it stands on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Process::Auto => "auto",
            Process::PerClient => "per-client",
            Process::Shared => "shared",
        }
    }
}

/// A program and its arguments. No shell is involved.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct CommandLine {
    pub program: String,
    #[serde(default)]
    pub args: Vec<String>,
}

/// The program that serves the operations of an OpenAPI document. The platform has it everywhere: a runtime starts its
/// bridge in that mode, with the document and the other arguments of the command.
pub const OPENAPI_PROGRAM: &str = "mcpcan-openapi";
/// The argument of that program that is followed by the digest of a document that the platform keeps.
pub const OPENAPI_DOCUMENT: &str = "--document";

impl CommandLine {
    /// Whether it serves an OpenAPI document.
    pub fn is_openapi(&self) -> bool {
        self.program == OPENAPI_PROGRAM
    }

    /// Where among the arguments the digest of its OpenAPI document stands.
    pub fn openapi_document(&self) -> Option<usize> {
        let named = self.args.iter().position(|argument| argument == OPENAPI_DOCUMENT)?;
        (self.is_openapi() && named + 1 < self.args.len()).then_some(named + 1)
    }
}

/// What is mounted at a path.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Mount {
    /// A persistent volume claim of this name.
    Claim { name: String, read_only: bool },
    /// The entries of a config map of this name, as files.
    Config { name: String },
    /// A directory that is empty at the start of each replica.
    Empty,
}

/// What a replica asks for and may use at most. Nothing said is left to the runtime.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Resources {
    /// In thousandths of a core.
    pub cpu_request_millis: Option<u32>,
    pub cpu_limit_millis: Option<u32>,
    pub memory_request_bytes: Option<u64>,
    pub memory_limit_bytes: Option<u64>,
}

/// One of the resources.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Resource {
    CpuRequestMillis,
    CpuLimitMillis,
    MemoryRequestBytes,
    MemoryLimitBytes,
}

impl Resources {
    /// All of them.
    pub fn each(&self) -> [(Resource, Option<u64>); 4] {
        [
            (Resource::CpuRequestMillis, self.cpu_request_millis.map(u64::from)),
            (Resource::CpuLimitMillis, self.cpu_limit_millis.map(u64::from)),
            (Resource::MemoryRequestBytes, self.memory_request_bytes),
            (Resource::MemoryLimitBytes, self.memory_limit_bytes),
        ]
    }

    /// Sets one of them. More processors than can be counted are as many as can be.
    pub fn set(&mut self, resource: Resource, value: Option<u64>) {
        let millis = || value.map(|value| u32::try_from(value).unwrap_or(u32::MAX));
        match resource {
            Resource::CpuRequestMillis => self.cpu_request_millis = millis(),
            Resource::CpuLimitMillis => self.cpu_limit_millis = millis(),
            Resource::MemoryRequestBytes => self.memory_request_bytes = value,
            Resource::MemoryLimitBytes => self.memory_limit_bytes = value,
        }
    }
}

/// A server that runs elsewhere.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Remote {
    pub transport: RemoteTransport,
    /// An absolute `http` or `https` address.
    pub url: String,
    /// Header fields for the upstream: names in clear, values sealed.
    #[serde(default)]
    pub headers: BTreeMap<String, Sealed>,
}

/// What a remote server speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum RemoteTransport {
    /// HTTP+SSE of revision 2024-11-05.
    Sse,
    StreamableHttp,
}

/// What no instance can have is refused, whichever command asks for it: many small edits must not add up to an event
/// that no longer fits into a message, either.
///
/// # Errors
/// Too many or too large settings, replicas that the platform does not run, or ones that ask for more than they may use.
pub(crate) fn require_possible(access: &Access) -> Result<(), Refusal> {
    let secrets = access.secrets();
    if secrets.len() > SECRETS_MAX {
        return Err(Refusal::TooMany { what: "variables or header fields".to_owned(), max: SECRETS_MAX });
    }
    if secrets.values().map(|sealed| sealed.0.len()).sum::<usize>() > SEALED_BYTES_MAX {
        return Err(Refusal::TooLarge { max: SEALED_BYTES_MAX });
    }
    let Some(hosted) = access.hosted() else { return Ok(()) };
    if hosted.mounts.len() > MOUNTS_MAX {
        return Err(Refusal::TooMany { what: "mounts".to_owned(), max: MOUNTS_MAX });
    }
    if !(1..=REPLICAS_MAX).contains(&hosted.replicas) {
        return Err(Refusal::Replicas { max: REPLICAS_MAX });
    }
    let Resources { cpu_request_millis, cpu_limit_millis, memory_request_bytes, memory_limit_bytes } =
        hosted.resources;
    let cpu = cpu_request_millis.zip(cpu_limit_millis).is_some_and(|(request, limit)| request > limit);
    let memory = memory_request_bytes.zip(memory_limit_bytes).is_some_and(|(request, limit)| request > limit);
    if cpu || memory { Err(Refusal::RequestAboveLimit) } else { Ok(()) }
}
