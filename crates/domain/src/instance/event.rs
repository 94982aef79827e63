//! What happens to an instance. These forms are a contract: they lie in logs for ever.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Access, Advice, Authorization, Health, Profile};
use crate::{Name, ReplicaId, Sealed, TemplateId};

/// An event of one instance.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "name", content = "data")]
pub enum Event {
    #[serde(rename = "instance.created")]
    Created(Created),
    #[serde(rename = "instance.renamed")]
    Renamed(Renamed),
    #[serde(rename = "instance.edited")]
    Edited(Edited),
    #[serde(rename = "instance.access_changed")]
    AccessChanged(AccessChanged),
    #[serde(rename = "instance.authorization_changed")]
    AuthorizationChanged(AuthorizationChanged),
    #[serde(rename = "instance.scaled")]
    Scaled(Scaled),
    #[serde(rename = "instance.started")]
    Started(Started),
    #[serde(rename = "instance.stopped")]
    Stopped(Stopped),
    #[serde(rename = "instance.restarted")]
    Restarted(Restarted),
    #[serde(rename = "instance.deleted")]
    Deleted(Deleted),
    #[serde(rename = "instance.replica_starting")]
    ReplicaStarting(ReplicaStarting),
    #[serde(rename = "instance.replica_handshaking")]
    ReplicaHandshaking(ReplicaHandshaking),
    #[serde(rename = "instance.replica_ready")]
    ReplicaReady(ReplicaReady),
    #[serde(rename = "instance.replica_failed")]
    ReplicaFailed(ReplicaFailed),
    #[serde(rename = "instance.replica_stopped")]
    ReplicaStopped(ReplicaStopped),
    #[serde(rename = "instance.health_changed")]
    HealthChanged(HealthChanged),
}

impl Event {
    /// The wire name.
    pub fn name(&self) -> &'static str {
        match self {
            Event::Created(_) => "instance.created",
            Event::Renamed(_) => "instance.renamed",
            Event::Edited(_) => "instance.edited",
            Event::AccessChanged(_) => "instance.access_changed",
            Event::AuthorizationChanged(_) => "instance.authorization_changed",
            Event::Scaled(_) => "instance.scaled",
            Event::Started(_) => "instance.started",
            Event::Stopped(_) => "instance.stopped",
            Event::Restarted(_) => "instance.restarted",
            Event::Deleted(_) => "instance.deleted",
            Event::ReplicaStarting(_) => "instance.replica_starting",
            Event::ReplicaHandshaking(_) => "instance.replica_handshaking",
            Event::ReplicaReady(_) => "instance.replica_ready",
            Event::ReplicaFailed(_) => "instance.replica_failed",
            Event::ReplicaStopped(_) => "instance.replica_stopped",
            Event::HealthChanged(_) => "instance.health_changed",
        }
    }

    /// Whether somebody wished it, as opposed to a fact that was reported.
    pub fn is_wish(&self) -> bool {
        match self {
            Event::Created(_)
            | Event::Renamed(_)
            | Event::Edited(_)
            | Event::AccessChanged(_)
            | Event::AuthorizationChanged(_)
            | Event::Scaled(_)
            | Event::Started(_)
            | Event::Stopped(_)
            | Event::Restarted(_)
            | Event::Deleted(_) => true,
            Event::ReplicaStarting(_)
            | Event::ReplicaHandshaking(_)
            | Event::ReplicaReady(_)
            | Event::ReplicaFailed(_)
            | Event::ReplicaStopped(_)
            | Event::HealthChanged(_) => false,
        }
    }
}

/// `instance.created`: the instance exists and is wanted to run, in generation 1.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Created {
    pub name: Name,
    pub access: Access,
    pub profile: Profile,
    /// The template that the settings were taken from.
    pub template: Option<TemplateId>,
}

impl Created {
    /// An instance of which nothing is noted down, from no template.
    pub fn new(name: Name, access: Access) -> Self {
        Created { name, access, profile: Profile::default(), template: None }
    }
}

/// `instance.renamed`: people and clients call it something else; the old name is free.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Renamed {
    pub from: Name,
    pub to: Name,
}

/// `instance.edited`: the settings as they are from now on, all of them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Edited {
    pub access: Access,
    pub profile: Profile,
    /// A new one, if what runs has to be replaced.
    pub generation: u64,
}

/// `instance.authorization_changed`: access tokens of this issuer are accepted from now on, and of no other; none
/// where there is none.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct AuthorizationChanged {
    pub authorization: Option<Authorization>,
}

/// `instance.access_changed`: it is reached in another way from now on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct AccessChanged {
    pub access: Access,
    /// A new one, if what runs has to be replaced.
    pub generation: u64,
}

/// `instance.scaled`: so many replicas are wanted at the same time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Scaled {
    pub replicas: u16,
}

/// `instance.started`: a stopped instance is wanted to run again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Started {
    pub generation: u64,
}

/// `instance.stopped`: the instance is wanted to stand still; its replicas end.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Stopped {}

/// `instance.restarted`: the replicas of earlier generations end, one of this generation takes over.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Restarted {
    pub generation: u64,
}

/// `instance.deleted`: the instance is gone for good, and so are the keys of its secrets.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Deleted {}

/// `instance.replica_starting`: a replica's process is being started.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ReplicaStarting {
    pub replica: ReplicaId,
    pub generation: u64,
}

/// `instance.replica_handshaking`: a replica's process runs and has been asked to initialise.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ReplicaHandshaking {
    pub replica: ReplicaId,
}

/// `instance.replica_ready`: a replica has answered an MCP handshake.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ReplicaReady {
    pub replica: ReplicaId,
    /// The address at which the gateway reaches the replica's MCP endpoint.
    pub endpoint: String,
    /// What the gateway presents there (`Authorization: Bearer`), sealed under the instance's key: a replica that
    /// listens beside others must not answer those who go around the gateway.
    pub credential: Option<Sealed>,
    pub server: ServerInfo,
}

/// What a server said of itself in the handshake.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ServerInfo {
    pub name: String,
    pub version: String,
    /// The MCP revision that was agreed on.
    pub protocol_version: String,
    /// The revisions that it is known to speak, oldest first: the newest with sessions, and the newest without them.
    /// Nothing was written here before the platform asked.
    #[serde(default)]
    pub revisions: Vec<String>,
}

/// `instance.replica_failed`: a replica ended without having been told to, or never came up.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ReplicaFailed {
    pub replica: ReplicaId,
    pub reason: FailureReason,
    pub detail: String,
}

/// Why a replica failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum FailureReason {
    /// The program does not exist or may not be executed.
    ProgramNotFound,
    /// The process could not be started for another reason.
    SpawnFailed,
    /// The process ended.
    Exited,
    /// No answer to the handshake in time.
    HandshakeTimeout,
    /// The handshake was answered with something that is not MCP.
    ProtocolError,
    /// The worker that ran it went away.
    Lost,
    /// The runtime cannot run what is asked for.
    Unsupported,
    /// The image cannot be pulled.
    ImageUnavailable,
    /// It used more memory than its limit.
    OutOfMemory,
    /// It ends again and again, soon after each start.
    CrashLoop,
    /// No node of the cluster can take it.
    Unschedulable,
    /// A config map, a secret or a setting that it needs is not there.
    ConfigMissing,
    /// It would exceed a quota of the cluster.
    QuotaExceeded,
    /// The cluster took its place away.
    Evicted,
    /// The cluster refused what it is made of.
    Rejected,
}

impl FailureReason {
    /// The reason's name as it stands on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            FailureReason::ProgramNotFound => "program_not_found",
            FailureReason::SpawnFailed => "spawn_failed",
            FailureReason::Exited => "exited",
            FailureReason::HandshakeTimeout => "handshake_timeout",
            FailureReason::ProtocolError => "protocol_error",
            FailureReason::Lost => "lost",
            FailureReason::Unsupported => "unsupported",
            FailureReason::ImageUnavailable => "image_unavailable",
            FailureReason::OutOfMemory => "out_of_memory",
            FailureReason::CrashLoop => "crash_loop",
            FailureReason::Unschedulable => "unschedulable",
            FailureReason::ConfigMissing => "config_missing",
            FailureReason::QuotaExceeded => "quota_exceeded",
            FailureReason::Evicted => "evicted",
            FailureReason::Rejected => "rejected",
        }
    }
}

impl FailureReason {
    /// What it means and what to look at, for a person.
    pub fn advice(self) -> Advice {
        let (meaning, check) = match self {
            FailureReason::ProgramNotFound => (
                "The program does not exist where the server runs, or may not be executed.",
                "The spelling of the command, and whether the program is installed there.",
            ),
            FailureReason::SpawnFailed => (
                "The server could not be started.",
                "The detail; the space, the files and the processes that the machine has left.",
            ),
            FailureReason::Exited => (
                "The server's process ended without having been told to.",
                "The last lines of its log (`mcpcan logs`): a missing variable or argument, a crash, a lack of memory.",
            ),
            FailureReason::HandshakeTimeout => (
                "The server started, and did not answer the MCP handshake in time.",
                "Whether it speaks MCP over stdio, what it waits for, and whether it is still being installed.",
            ),
            FailureReason::ProtocolError => (
                "The server answered the handshake with something that is not MCP.",
                "Whether the command starts an MCP server, and that it prints nothing but MCP on its output.",
            ),
            FailureReason::Lost => (
                "The worker that ran the server went away.",
                "Whether a worker runs (`mcpcan status`): it starts the server again.",
            ),
            FailureReason::Unsupported => (
                "The place where it is to run cannot run what is asked for.",
                "The settings that the detail names; another environment.",
            ),
            FailureReason::ImageUnavailable => (
                "The container image cannot be pulled.",
                "The image's name and tag, whether the registry can be reached, and the secret to log in with.",
            ),
            FailureReason::OutOfMemory => (
                "The server used more memory than it may, and was ended.",
                "The memory limit of the instance, and what the server keeps in memory.",
            ),
            FailureReason::CrashLoop => (
                "The server ends again and again, soon after each start.",
                "The last lines of its log (`mcpcan logs`): a missing variable or argument, a crash.",
            ),
            FailureReason::Unschedulable => (
                "No node of the cluster can take the server.",
                "What it asks for (CPU, memory, node labels, claims) against what the nodes have left.",
            ),
            FailureReason::ConfigMissing => (
                "A config map, a secret or a setting that the server needs is not there.",
                "The names that the detail has, in the namespace of the instances.",
            ),
            FailureReason::QuotaExceeded => (
                "The server would exceed a quota of its namespace.",
                "The quota, what others use of it, and how many replicas are wanted.",
            ),
            FailureReason::Evicted => (
                "The cluster took the server's place away; it starts another one.",
                "Whether the node had too little memory or disk, and what the server uses of them.",
            ),
            FailureReason::Rejected => (
                "The cluster refused what the instance is made of.",
                "The rights of the worker on the cluster, and the setting that the detail names.",
            ),
        };
        Advice { meaning, check }
    }
}

/// `instance.replica_stopped`: a replica ended because it had to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ReplicaStopped {
    pub replica: ReplicaId,
}

/// `instance.health_changed`: probes see it otherwise than before. What they had seen says nothing any more once the
/// instance is stopped, gets another generation, or loses its last ready replica.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct HealthChanged {
    pub health: Health,
}
