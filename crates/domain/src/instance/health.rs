//! How an instance is as probes see it: what is asked of it and how often, and what the answers come to.

use std::collections::BTreeSet;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How often an instance is probed when nothing is said, in seconds.
pub const INTERVAL_SECONDS: u32 = 30;
/// The shortest and the longest time between two probes, in seconds.
pub const INTERVAL_SECONDS_MIN: u32 = 5;
pub const INTERVAL_SECONDS_MAX: u32 = 3600;
/// The most tools that can be expected of a server.
pub const TOOLS_MAX: usize = 64;
/// The longest name of an expected tool, in bytes.
pub const TOOL_BYTES_MAX: usize = 128;
/// The longest detail of a problem, in characters.
pub const DETAIL_CHARS_MAX: usize = 400;

/// How an instance is probed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct HealthCheck {
    /// The time from one probe to the next, in seconds.
    pub interval_seconds: u32,
    /// The tools that the server must offer. To see them, each probe opens a session of its own.
    pub tools: BTreeSet<String>,
}

impl Default for HealthCheck {
    fn default() -> Self {
        HealthCheck { interval_seconds: INTERVAL_SECONDS, tools: BTreeSet::new() }
    }
}

/// How an instance is, in one word and in three dimensions.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Health {
    pub status: HealthStatus,
    /// Whether what runs the server is up.
    pub container: Dimension,
    /// Whether a connection to the server can be made.
    pub service: Dimension,
    /// Whether the server answers as MCP demands.
    pub mcp: Dimension,
    /// Whether it went back and forth so often that a change is told later than usual.
    pub unsteady: bool,
    /// What is wrong, unless nothing is.
    pub problem: Option<Problem>,
}

/// How an instance is, in one word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum HealthStatus {
    /// It answers.
    Healthy,
    /// It is up, and demands credentials that the platform does not have: clients that bring theirs are served.
    Restricted,
    /// Some replicas answer, and some do not.
    Degraded,
    /// It does not answer, or not as it should.
    Unhealthy,
}

impl HealthStatus {
    /// The word as it stands on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            HealthStatus::Healthy => "healthy",
            HealthStatus::Restricted => "restricted",
            HealthStatus::Degraded => "degraded",
            HealthStatus::Unhealthy => "unhealthy",
        }
    }
}

/// How it is in one respect.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Dimension {
    Ready,
    NotReady,
    /// What comes before it is not ready, so this was not looked at.
    Unknown,
    /// There is no such thing: a server elsewhere has no container of ours.
    NotApplicable,
}

/// What is wrong.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Problem {
    pub class: ProblemClass,
    /// The platform's own words, never output of the server, which may hold secrets.
    pub detail: String,
}

/// The classes of what can be wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ProblemClass {
    /// No connection came about in time.
    ConnectionTimeout,
    /// The machine is there, and nothing listens at the port.
    PortNotListening,
    /// The host's name leads to no address.
    HostNotFound,
    /// The platform does not connect to such an address.
    AddressRefused,
    /// The connection cannot be secured.
    TlsFailed,
    /// There was a connection, and it broke.
    ConnectionBroken,
    /// There is a connection, and no answer came in time.
    AnswerTimeout,
    /// The server turned the platform's credentials away, or demands some.
    AuthenticationFailed,
    /// There is no MCP endpoint at this address.
    EndpointNotFound,
    /// The server says that it is asked too often.
    TooManyRequests,
    /// The server answered with an error of its own.
    ServerError,
    /// The answer is not MCP.
    ProtocolError,
    /// A tool is missing that was expected.
    ToolsMissing,
    /// The platform could not ask: what it needs for that cannot be opened.
    NotAsked,
}

impl ProblemClass {
    /// The word as it stands on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            ProblemClass::ConnectionTimeout => "connection_timeout",
            ProblemClass::PortNotListening => "port_not_listening",
            ProblemClass::HostNotFound => "host_not_found",
            ProblemClass::AddressRefused => "address_refused",
            ProblemClass::TlsFailed => "tls_failed",
            ProblemClass::ConnectionBroken => "connection_broken",
            ProblemClass::AnswerTimeout => "answer_timeout",
            ProblemClass::AuthenticationFailed => "authentication_failed",
            ProblemClass::EndpointNotFound => "endpoint_not_found",
            ProblemClass::TooManyRequests => "too_many_requests",
            ProblemClass::ServerError => "server_error",
            ProblemClass::ProtocolError => "protocol_error",
            ProblemClass::ToolsMissing => "tools_missing",
            ProblemClass::NotAsked => "not_asked",
        }
    }

    /// What it means and what to look at, for a person.
    pub fn advice(self) -> Advice {
        let (meaning, check) = match self {
            ProblemClass::ConnectionTimeout => (
                "No connection came about in time: the network drops it, or the machine is overloaded.",
                "Whether the address is right, whether a firewall or network policy stands in between, and the load there.",
            ),
            ProblemClass::PortNotListening => (
                "The machine answers, and nothing listens at the port.",
                "Whether the server's process runs and which port it opens: see its log, and its port setting or URL.",
            ),
            ProblemClass::HostNotFound => (
                "The name of the host leads to no address.",
                "The spelling of the URL, and whether the platform's DNS knows the name.",
            ),
            ProblemClass::AddressRefused => (
                "The platform does not connect to such an address: it is private or reserved.",
                "The URL; whoever runs the platform can allow private upstreams.",
            ),
            ProblemClass::TlsFailed => (
                "There is a connection, and it cannot be secured.",
                "The server's certificate: its names, its end, and who issued it; and whether the port speaks https.",
            ),
            ProblemClass::ConnectionBroken => (
                "The connection broke before there was an answer.",
                "The server's log at that time: it may have crashed or been ended for using too much memory.",
            ),
            ProblemClass::AnswerTimeout => (
                "There is a connection, and no answer came in time: the server hangs or has too much to do.",
                "The server's log and load, its CPU limit, and what it waits for itself.",
            ),
            ProblemClass::AuthenticationFailed => (
                "The server is up and demands credentials: those that the platform sends are missing, wrong or expired.",
                "The instance's header fields; or let clients bring their own credentials.",
            ),
            ProblemClass::EndpointNotFound => (
                "Something answers, and there is no MCP endpoint at this address.",
                "The path of the URL (often /mcp or /sse), and whether the transport is the right one.",
            ),
            ProblemClass::TooManyRequests => (
                "The server says that it is asked too often.",
                "Its limits; a longer interval of the health check.",
            ),
            ProblemClass::ServerError => {
                ("The server answered with an error of its own.", "The server's log at that time.")
            }
            ProblemClass::ProtocolError => (
                "The answer is not MCP.",
                "Whether the command or URL is that of an MCP server, and that it prints nothing but MCP on its output.",
            ),
            ProblemClass::ToolsMissing => (
                "The server answers, and does not offer a tool that it must have.",
                "The server's version and configuration, and the health check's list of tools.",
            ),
            ProblemClass::NotAsked => (
                "The platform could not ask: a secret of the instance cannot be opened.",
                "The instance's header fields: set them again; and the platform's master key.",
            ),
        };
        Advice { meaning, check }
    }
}

/// What something means, and what to look at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Advice {
    pub meaning: &'static str,
    pub check: &'static str,
}
