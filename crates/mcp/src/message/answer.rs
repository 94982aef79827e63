//! Makes the messages that mcpcan itself says: errors with the codes that JSON-RPC and MCP name, and the client's calls.

use serde::Serialize;
use serde_json::value::RawValue;

/// The error codes of JSON-RPC 2.0 (section 5.1) and of MCP that mcpcan itself uses.
pub mod code {
    /// The bytes are not JSON.
    pub const PARSE_ERROR: i64 = -32700;
    /// The JSON is not a valid message, or not valid here.
    pub const INVALID_REQUEST: i64 = -32600;
    /// The method does not exist.
    pub const METHOD_NOT_FOUND: i64 = -32601;
    /// The parameters are not valid; in 2026-07-28 also what a request must say of itself is missing, or a resource.
    pub const INVALID_PARAMS: i64 = -32602;
    /// What went wrong is not the caller's doing.
    pub const INTERNAL_ERROR: i64 = -32603;
    /// A resource does not exist. Only until 2025-11-25; later it is [`INVALID_PARAMS`].
    pub const RESOURCE_NOT_FOUND: i64 = -32002;
    /// The user has to go to an address first. Only in 2025-11-25.
    pub const URL_ELICITATION_REQUIRED: i64 = -32042;
    /// A header field does not say what the body says (2026-07-28, Streamable HTTP, Server Validation).
    pub const HEADER_MISMATCH: i64 = -32020;
    /// The request needs a capability of the client that it does not declare (2026-07-28, Overview).
    pub const MISSING_CLIENT_CAPABILITY: i64 = -32021;
    /// The revision is not spoken here (2026-07-28, Versioning).
    pub const UNSUPPORTED_REVISION: i64 = -32022;
    /// A transport refused the message, or the connection to the server was lost.
    pub const SERVER_ERROR: i64 = -32000;
    /// The session does not exist, or has ended. As the official SDKs say it.
    pub const SESSION_NOT_FOUND: i64 = -32001;
}

#[derive(Serialize)]
struct Call<'a> {
    jsonrpc: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<&'a RawValue>,
    method: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    params: Option<&'a RawValue>,
}

#[derive(Serialize)]
struct Failure<'a> {
    jsonrpc: &'static str,
    id: &'a RawValue,
    error: FailureBody<'a>,
}

#[derive(Serialize)]
struct FailureBody<'a> {
    code: i64,
    message: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    data: Option<&'a RawValue>,
}

#[derive(Serialize)]
struct Success<'a> {
    jsonrpc: &'static str,
    id: &'a RawValue,
    result: &'a RawValue,
}

/// A request with this id.
pub fn request(id: &RawValue, method: &str, params: Option<&RawValue>) -> Vec<u8> {
    written(&Call { jsonrpc: "2.0", id: Some(id), method, params })
}

/// A notification.
pub fn notification(method: &str, params: Option<&RawValue>) -> Vec<u8> {
    written(&Call { jsonrpc: "2.0", id: None, method, params })
}

/// A response with a result.
pub fn result(id: &RawValue, result: &RawValue) -> Vec<u8> {
    written(&Success { jsonrpc: "2.0", id, result })
}

/// A response with an error; `id` is `None` when the request's could not be read.
pub fn error(id: Option<&RawValue>, code: i64, message: &str, data: Option<&RawValue>) -> Vec<u8> {
    let id = id.unwrap_or(RawValue::NULL);
    written(&Failure { jsonrpc: "2.0", id, error: FailureBody { code, message, data } })
}

fn written(message: &impl Serialize) -> Vec<u8> {
    serde_json::to_vec(message).expect("strings and raw JSON always serialise")
}
