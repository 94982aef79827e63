//! How an instance is reached: hosted by the platform, proxied to a server elsewhere, or only listed.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::Sealed;

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
        match self {
            Access::Hosted(_) => true,
            Access::Proxy(_) | Access::Direct(_) => false,
        }
    }
}

/// A server that the platform runs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Hosted {
    pub transport: HostedTransport,
    pub command: CommandLine,
    /// Environment variables: names in clear, values sealed, because any of them may be a credential.
    #[serde(default)]
    pub env: BTreeMap<String, Sealed>,
}

/// What a hosted server speaks itself. Clients meet Streamable HTTP whatever this is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum HostedTransport {
    Stdio,
}

/// A program and its arguments. No shell is involved.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct CommandLine {
    pub program: String,
    #[serde(default)]
    pub args: Vec<String>,
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
