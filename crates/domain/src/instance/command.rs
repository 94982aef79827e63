//! What can be wished of an instance, and what `worker` can report about it.

use serde::{Deserialize, Serialize};

use super::{Access, Authorization, Edit, FailureReason, Health, Profile, ServerInfo};
use crate::{Name, ReplicaId, Sealed, TemplateId};

/// A command for one instance.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "command", rename_all = "snake_case")]
pub enum Command {
    Create {
        name: Name,
        access: Access,
        #[serde(default)]
        profile: Profile,
        /// The template that the settings were taken from.
        #[serde(default)]
        template: Option<TemplateId>,
    },
    Rename {
        name: Name,
    },
    /// Boxed, because it is far larger than the others.
    Edit(Box<Edit>),
    /// Another way to reach it: hosted, proxied or listed. The settings of the old way are gone.
    ChangeAccess {
        access: Access,
    },
    /// Whose access tokens are accepted beside the instance's own tokens.
    ChangeAuthorization {
        authorization: Option<Authorization>,
    },
    Scale {
        replicas: u16,
    },
    Start,
    Stop,
    Restart,
    Delete,
    /// A fact about a replica that was started for `generation`.
    Report {
        replica: ReplicaId,
        generation: u64,
        fact: Fact,
    },
    /// What probes have seen of `generation`, flapping damped.
    ReportHealth {
        generation: u64,
        health: Health,
    },
}

impl Command {
    /// Creates an instance of which nothing is noted down, from no template.
    pub fn create(name: Name, access: Access) -> Self {
        Command::Create { name, access, profile: Profile::default(), template: None }
    }

    /// The command's name as operators see it.
    pub fn name(&self) -> &'static str {
        match self {
            Command::Create { .. } => "instance.create",
            Command::Rename { .. } => "instance.rename",
            Command::Edit(_) => "instance.edit",
            Command::ChangeAccess { .. } => "instance.change_access",
            Command::ChangeAuthorization { .. } => "instance.change_authorization",
            Command::Scale { .. } => "instance.scale",
            Command::Start => "instance.start",
            Command::Stop => "instance.stop",
            Command::Restart => "instance.restart",
            Command::Delete => "instance.delete",
            Command::Report { .. } => "instance.report",
            Command::ReportHealth { .. } => "instance.report_health",
        }
    }
}

/// What became of a replica.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "fact", rename_all = "snake_case")]
pub enum Fact {
    /// Its process is being started.
    Starting,
    /// Its process runs; the MCP handshake is under way.
    Handshaking,
    /// It has answered an MCP handshake and can be reached at `endpoint` by whoever knows `credential`.
    Ready { endpoint: String, credential: Option<Sealed>, server: ServerInfo },
    /// It ended without having been told to, or never came up. `detail` is the platform's own words, never output
    /// of the server, which may hold secrets.
    Failed { reason: FailureReason, detail: String },
    /// It ended because it had to.
    Stopped,
}
