//! The two records: one event of a call through the gateway, and one line a hosted server wrote.
//!
//! They travel as MessagePack on TRACES and LOGS and end as rows in ClickHouse. Whoever makes one has already masked
//! it: no token, no header value, no MCP session id is ever put into a field.

use std::fmt;
use std::str::FromStr;

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// One event of a call: a row of the access log.
///
/// Text that does not apply is empty, an id that does not apply is nil, a number that does not apply is 0.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct TraceRecord {
    /// When it happened, by the gateway's clock. Kept in nanoseconds.
    pub time: Timestamp,
    pub level: Level,
    pub event: TraceEvent,
    /// The client's own trace id, or 32 hex digits made by the gateway.
    pub trace_id: String,
    /// 16 hex digits, one per call: its request and response share it.
    pub span_id: String,
    pub instance_id: Uuid,
    pub instance_name: String,
    pub token_id: Uuid,
    pub token_label: String,
    /// Which gateway replica saw it.
    pub gateway_id: String,
    /// A short keyed digest of the MCP session id, never the id.
    pub session_id: String,
    /// The MCP revision, such as `2025-11-25`.
    pub protocol_version: String,
    pub http_method: String,
    pub path: String,
    /// The JSON-RPC method, such as `tools/call`.
    pub rpc_method: String,
    /// The JSON-RPC id as it was written.
    pub rpc_id: String,
    /// Name of the tool, prompt or resource.
    pub tool: String,
    /// HTTP status; 0 on a request.
    pub status: u16,
    /// From request to this event, in nanoseconds; 0 on a request.
    pub latency_ns: u64,
    pub request_bytes: u64,
    pub response_bytes: u64,
    pub client_address: String,
    pub user_agent: String,
    pub content_type: String,
    /// What went wrong, in words.
    pub error: String,
}

impl TraceRecord {
    /// An event of which nothing else is known yet, and that nothing is wrong with.
    pub fn new(time: Timestamp, event: TraceEvent) -> Self {
        Self {
            time,
            level: Level::Info,
            event,
            trace_id: String::new(),
            span_id: String::new(),
            instance_id: Uuid::nil(),
            instance_name: String::new(),
            token_id: Uuid::nil(),
            token_label: String::new(),
            gateway_id: String::new(),
            session_id: String::new(),
            protocol_version: String::new(),
            http_method: String::new(),
            path: String::new(),
            rpc_method: String::new(),
            rpc_id: String::new(),
            tool: String::new(),
            status: 0,
            latency_ns: 0,
            request_bytes: 0,
            response_bytes: 0,
            client_address: String::new(),
            user_agent: String::new(),
            content_type: String::new(),
            error: String::new(),
        }
    }
}

/// One line of a hosted server's output: a row of the container log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ContainerLine {
    /// When the line was read, by the bridge's clock. Kept in nanoseconds.
    pub time: Timestamp,
    pub instance_id: Uuid,
    pub replica_id: Uuid,
    pub stream: Stream,
    pub text: String,
}

/// How much a record matters; ordered from least to most.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Level {
    Trace,
    Debug,
    Info,
    Warn,
    Error,
}

/// What happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum TraceEvent {
    Request,
    Response,
    SseStart,
    SseEnd,
    Error,
    AuthFailed,
}

/// Where a hosted server wrote a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Stream {
    Stdout,
    Stderr,
}

/// A word that names no value of an enumeration of this crate.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{given}` is not a {kind}: use one of {allowed}")]
pub struct UnknownWord {
    kind: &'static str,
    given: String,
    allowed: &'static str,
}

impl Level {
    pub const ALL: [Level; 5] = [Level::Trace, Level::Debug, Level::Info, Level::Warn, Level::Error];

    /// The word used on the wire, in the table and on the command line.
    pub const fn as_str(self) -> &'static str {
        match self {
            Level::Trace => "trace",
            Level::Debug => "debug",
            Level::Info => "info",
            Level::Warn => "warn",
            Level::Error => "error",
        }
    }
}

impl TraceEvent {
    pub const ALL: [TraceEvent; 6] = [
        TraceEvent::Request,
        TraceEvent::Response,
        TraceEvent::SseStart,
        TraceEvent::SseEnd,
        TraceEvent::Error,
        TraceEvent::AuthFailed,
    ];

    /// The word used on the wire, in the table and on the command line.
    pub const fn as_str(self) -> &'static str {
        match self {
            TraceEvent::Request => "request",
            TraceEvent::Response => "response",
            TraceEvent::SseStart => "sse_start",
            TraceEvent::SseEnd => "sse_end",
            TraceEvent::Error => "error",
            TraceEvent::AuthFailed => "auth_failed",
        }
    }
}

impl Stream {
    pub const ALL: [Stream; 2] = [Stream::Stdout, Stream::Stderr];

    /// The word used on the wire and in the table.
    pub const fn as_str(self) -> &'static str {
        match self {
            Stream::Stdout => "stdout",
            Stream::Stderr => "stderr",
        }
    }
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl fmt::Display for TraceEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl fmt::Display for Stream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for Level {
    type Err = UnknownWord;

    fn from_str(word: &str) -> Result<Self, Self::Err> {
        Level::ALL.into_iter().find(|level| level.as_str() == word).ok_or_else(|| UnknownWord {
            kind: "level",
            given: word.to_owned(),
            allowed: "trace, debug, info, warn, error",
        })
    }
}

impl FromStr for TraceEvent {
    type Err = UnknownWord;

    fn from_str(word: &str) -> Result<Self, Self::Err> {
        TraceEvent::ALL.into_iter().find(|event| event.as_str() == word).ok_or_else(|| UnknownWord {
            kind: "trace event",
            given: word.to_owned(),
            allowed: "request, response, sse_start, sse_end, error, auth_failed",
        })
    }
}

impl FromStr for Stream {
    type Err = UnknownWord;

    fn from_str(word: &str) -> Result<Self, Self::Err> {
        Stream::ALL.into_iter().find(|stream| stream.as_str() == word).ok_or_else(|| UnknownWord {
            kind: "stream",
            given: word.to_owned(),
            allowed: "stdout, stderr",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_read_back_and_equal_their_serialized_form() {
        for level in Level::ALL {
            assert_eq!(level.as_str().parse(), Ok(level));
            assert_eq!(serde_json::to_value(level).unwrap(), level.as_str());
        }
        for event in TraceEvent::ALL {
            assert_eq!(event.as_str().parse(), Ok(event));
            assert_eq!(serde_json::to_value(event).unwrap(), event.as_str());
        }
        for stream in Stream::ALL {
            assert_eq!(stream.as_str().parse(), Ok(stream));
            assert_eq!(serde_json::to_value(stream).unwrap(), stream.as_str());
        }
    }

    #[test]
    fn an_unknown_word_is_told_the_allowed_ones() {
        let refusal = "fatal".parse::<Level>().unwrap_err().to_string();
        assert_eq!(refusal, "`fatal` is not a level: use one of trace, debug, info, warn, error");
    }
}
