//! The two records: one event of a call through the gateway, and one line a hosted server wrote.
//!
//! They travel as MessagePack on TRACES and LOGS and end as rows in ClickHouse. What a call carried is masked before it
//! leaves the gateway (`gateway/src/masking.rs`): credentials, the values of fields that are named like secrets, session
//! ids. A container line is as the server wrote it.

mod place;

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

pub use place::{InvalidPlace, Place, Placed, placed};

/// One event of a call: a row of the access log.
///
/// Text that does not apply is empty, an id that does not apply is nil, a number that does not apply is 0. On the wire and
/// in answers such a field is left out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct TraceRecord {
    /// Where it lies in its stream, which names it for ever; unknown before it has got there.
    #[serde(default, skip_serializing_if = "Place::is_unknown")]
    pub place: Place,
    /// When it happened, by the gateway's clock. Kept in nanoseconds.
    pub time: Timestamp,
    pub level: Level,
    pub event: TraceEvent,
    /// The client's own trace id, or 32 hex digits made by the gateway.
    #[serde(default, skip_serializing_if = "is_default")]
    pub trace_id: String,
    /// 16 hex digits, one per call: its request and response share it.
    #[serde(default, skip_serializing_if = "is_default")]
    pub span_id: String,
    /// The span that the client named as the caller's, if it did (W3C Trace Context).
    #[serde(default, skip_serializing_if = "is_default")]
    pub parent_span_id: String,
    #[serde(default, skip_serializing_if = "is_default")]
    pub instance_id: Uuid,
    #[serde(default, skip_serializing_if = "is_default")]
    pub instance_name: String,
    /// The replica of the instance that the call went to, unless it went to a server elsewhere.
    #[serde(default, skip_serializing_if = "is_default")]
    pub replica_id: Uuid,
    #[serde(default, skip_serializing_if = "is_default")]
    pub token_id: Uuid,
    #[serde(default, skip_serializing_if = "is_default")]
    pub token_label: String,
    /// The header field that the credential came in, in lower case and with its scheme, such as `authorization: bearer`.
    #[serde(default, skip_serializing_if = "is_default")]
    pub token_header: String,
    /// Which gateway replica saw it.
    #[serde(default, skip_serializing_if = "is_default")]
    pub gateway_id: String,
    /// A short keyed digest of the MCP session id, never the id.
    #[serde(default, skip_serializing_if = "is_default")]
    pub session_id: String,
    /// The MCP revision, such as `2025-11-25`.
    #[serde(default, skip_serializing_if = "is_default")]
    pub protocol_version: String,
    #[serde(default, skip_serializing_if = "is_default")]
    pub http_method: String,
    #[serde(default, skip_serializing_if = "is_default")]
    pub path: String,
    /// The JSON-RPC method, such as `tools/call`.
    #[serde(default, skip_serializing_if = "is_default")]
    pub rpc_method: String,
    /// The JSON-RPC id as it was written.
    #[serde(default, skip_serializing_if = "is_default")]
    pub rpc_id: String,
    /// Name of the tool, prompt or resource.
    #[serde(default, skip_serializing_if = "is_default")]
    pub tool: String,
    /// HTTP status; 0 on a request.
    #[serde(default, skip_serializing_if = "is_default")]
    pub status: u16,
    /// The code of the JSON-RPC error that was the answer.
    #[serde(default, skip_serializing_if = "is_default")]
    pub rpc_error_code: i32,
    /// Whether the result said that the tool had failed (`isError`).
    #[serde(default, skip_serializing_if = "is_default")]
    pub is_error: bool,
    /// From request to this event, in nanoseconds; 0 on a request.
    #[serde(default, skip_serializing_if = "is_default")]
    pub latency_ns: u64,
    /// From request to the first byte of the answer's body, in nanoseconds.
    #[serde(default, skip_serializing_if = "is_default")]
    pub first_byte_ns: u64,
    #[serde(default, skip_serializing_if = "is_default")]
    pub request_bytes: u64,
    #[serde(default, skip_serializing_if = "is_default")]
    pub response_bytes: u64,
    #[serde(default, skip_serializing_if = "is_default")]
    pub client_address: String,
    #[serde(default, skip_serializing_if = "is_default")]
    pub user_agent: String,
    #[serde(default, skip_serializing_if = "is_default")]
    pub content_type: String,
    /// What kind of thing went wrong: a word to count by.
    #[serde(default, skip_serializing_if = "is_default")]
    pub error_class: String,
    /// What went wrong, in words.
    #[serde(default, skip_serializing_if = "is_default")]
    pub error: String,
    /// The header fields of the request, masked, on its first event.
    #[serde(default, skip_serializing_if = "is_default")]
    pub headers: Fields,
    /// The header fields of the answer, masked, on its first event.
    #[serde(default, skip_serializing_if = "is_default")]
    pub response_headers: Fields,
    /// The cookies of the request, their values masked.
    #[serde(default, skip_serializing_if = "is_default")]
    pub cookies: Fields,
    /// The fields of a form, masked.
    #[serde(default, skip_serializing_if = "is_default")]
    pub form: Fields,
    /// What this event carried, masked: the request's body or the answer's, for instances that keep bodies.
    #[serde(default, skip_serializing_if = "is_default")]
    pub body: String,
    /// Whether the body went on beyond what is kept of it.
    #[serde(default, skip_serializing_if = "is_default")]
    pub is_body_cut: bool,
}

/// Names and values, each name once, in lower case.
pub type Fields = BTreeMap<String, String>;

impl TraceRecord {
    /// An event of which nothing else is known yet, and that nothing is wrong with.
    pub fn new(time: Timestamp, event: TraceEvent) -> Self {
        Self {
            place: Place::default(),
            time,
            level: Level::Info,
            event,
            trace_id: String::new(),
            span_id: String::new(),
            parent_span_id: String::new(),
            instance_id: Uuid::nil(),
            instance_name: String::new(),
            replica_id: Uuid::nil(),
            token_id: Uuid::nil(),
            token_label: String::new(),
            token_header: String::new(),
            gateway_id: String::new(),
            session_id: String::new(),
            protocol_version: String::new(),
            http_method: String::new(),
            path: String::new(),
            rpc_method: String::new(),
            rpc_id: String::new(),
            tool: String::new(),
            status: 0,
            rpc_error_code: 0,
            is_error: false,
            latency_ns: 0,
            first_byte_ns: 0,
            request_bytes: 0,
            response_bytes: 0,
            client_address: String::new(),
            user_agent: String::new(),
            content_type: String::new(),
            error_class: String::new(),
            error: String::new(),
            headers: Fields::new(),
            response_headers: Fields::new(),
            cookies: Fields::new(),
            form: Fields::new(),
            body: String::new(),
            is_body_cut: false,
        }
    }
}

/// One line of a hosted server's output: a row of the container log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ContainerLine {
    /// Where it lies in its stream, which names it for ever; unknown before it has got there.
    #[serde(default, skip_serializing_if = "Place::is_unknown")]
    pub place: Place,
    /// When the line was read, by the bridge's clock. Kept in nanoseconds.
    pub time: Timestamp,
    pub instance_id: Uuid,
    pub replica_id: Uuid,
    pub stream: Stream,
    /// The level that the line names, if its form is a known one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub level: Option<Level>,
    /// The part of the server that the line names as its writer.
    #[serde(default, skip_serializing_if = "is_default")]
    pub module: String,
    pub text: String,
}

impl ContainerLine {
    /// A line that says nothing of itself.
    pub fn new(time: Timestamp, instance_id: Uuid, replica_id: Uuid, stream: Stream, text: String) -> Self {
        Self {
            place: Place::default(),
            time,
            instance_id,
            replica_id,
            stream,
            level: None,
            module: String::new(),
            text,
        }
    }
}

impl Placed for TraceRecord {
    fn place(&self) -> Place {
        self.place
    }

    fn set_place(&mut self, place: Place) {
        self.place = place;
    }
}

impl Placed for ContainerLine {
    fn place(&self) -> Place {
        self.place
    }

    fn set_place(&mut self, place: Place) {
        self.place = place;
    }
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
    RateLimited,
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
    pub const ALL: [TraceEvent; 7] = [
        TraceEvent::Request,
        TraceEvent::Response,
        TraceEvent::SseStart,
        TraceEvent::SseEnd,
        TraceEvent::Error,
        TraceEvent::AuthFailed,
        TraceEvent::RateLimited,
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
            TraceEvent::RateLimited => "rate_limited",
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
            allowed: "request, response, sse_start, sse_end, error, auth_failed, rate_limited",
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

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
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
