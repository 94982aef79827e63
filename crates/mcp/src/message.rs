//! JSON-RPC 2.0 messages, borrowed from the bytes they came in (jsonrpc.org/specification; MCP 2025-11-25, Basic).
//!
//! Only the envelope is read: `id`, `params`, `result` and `error` stay the bytes they are, so numbers of any size, key
//! order and unknown fields survive. The bridge reads every line and body with [`parse`]; the client too.

mod answer;
#[cfg(test)]
mod tests;

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::value::RawValue;

pub use answer::{code, error, notification, request, result};

/// The messages of one body or line.
#[derive(Clone, Debug)]
pub enum Body<'a> {
    /// A message by itself.
    One(Message<'a>),
    /// An array of messages (2025-03-26 only); never empty.
    Batch(Vec<Message<'a>>),
}

/// One message.
#[derive(Clone, Debug)]
pub enum Message<'a> {
    /// A call that wants an answer.
    Request(Request<'a>),
    /// A call that wants none.
    Notification(Notification<'a>),
    /// The answer to a request.
    Response(Response<'a>),
}

/// A call that wants an answer.
#[derive(Clone, Debug)]
pub struct Request<'a> {
    /// The whole message, without white space around it.
    pub raw: &'a str,
    /// The id: a string or a number, as it stands in the message.
    pub id: &'a RawValue,
    /// The method.
    pub method: Cow<'a, str>,
    /// The parameters, when there are any.
    pub params: Option<&'a RawValue>,
}

/// A call that wants no answer.
#[derive(Clone, Debug)]
pub struct Notification<'a> {
    /// The whole message, without white space around it.
    pub raw: &'a str,
    /// The method.
    pub method: Cow<'a, str>,
    /// The parameters, when there are any.
    pub params: Option<&'a RawValue>,
}

/// The answer to a request.
#[derive(Clone, Debug)]
pub struct Response<'a> {
    /// The whole message, without white space around it.
    pub raw: &'a str,
    /// The id of the request; `null` when the receiver could not read it.
    pub id: &'a RawValue,
    /// What came of the request.
    pub outcome: Outcome<'a>,
}

/// What came of a request.
#[derive(Clone, Copy, Debug)]
pub enum Outcome<'a> {
    /// `result`.
    Result(&'a RawValue),
    /// `error`.
    Error(&'a RawValue),
}

/// The members of an error object.
#[derive(Clone, Debug, Deserialize)]
pub struct ErrorObject {
    /// The code; [`code`] names those that mcpcan itself uses.
    pub code: i64,
    /// What went wrong, for people.
    #[serde(default)]
    pub message: String,
    /// More about it.
    #[serde(default)]
    pub data: Option<Box<RawValue>>,
}

/// Why bytes are not a JSON-RPC message.
#[derive(Debug, thiserror::Error)]
pub enum ParseError {
    /// The bytes are not JSON.
    #[error("the message is not JSON")]
    NotJson(#[source] serde_json::Error),
    /// The JSON is not a JSON-RPC 2.0 message.
    #[error("the message is not JSON-RPC 2.0: {0}")]
    NotJsonRpc(&'static str),
}

impl ParseError {
    /// The JSON-RPC code that answers such bytes.
    pub fn code(&self) -> i64 {
        match self {
            Self::NotJson(_) => code::PARSE_ERROR,
            Self::NotJsonRpc(_) => code::INVALID_REQUEST,
        }
    }
}

#[derive(Deserialize)]
struct Envelope<'a> {
    #[serde(borrow, default)]
    jsonrpc: Option<Cow<'a, str>>,
    #[serde(borrow, default, deserialize_with = "present")]
    id: Option<&'a RawValue>,
    #[serde(borrow, default)]
    method: Option<Cow<'a, str>>,
    #[serde(borrow, default, deserialize_with = "present")]
    params: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "present")]
    result: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "present")]
    error: Option<&'a RawValue>,
}

/// Reads a member so that `null` is told apart from a member that is missing.
fn present<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<&'de RawValue>, D::Error> {
    <&RawValue>::deserialize(deserializer).map(Some)
}

/// Reads one line or body. White space around it is allowed.
pub fn parse(bytes: &[u8]) -> Result<Body<'_>, ParseError> {
    let text = std::str::from_utf8(bytes).map_err(|error| {
        ParseError::NotJson(serde::de::Error::custom(format_args!("it is not UTF-8: {error}")))
    })?;
    let text = text.trim_matches([' ', '\t', '\r', '\n']);
    if !text.starts_with('[') {
        return message(text).map(Body::One);
    }
    let elements: Vec<&RawValue> = serde_json::from_str(text).map_err(ParseError::NotJson)?;
    if elements.is_empty() {
        return Err(ParseError::NotJsonRpc("a batch must not be empty"));
    }
    elements.into_iter().map(|raw| message(raw.get())).collect::<Result<_, _>>().map(Body::Batch)
}

/// Reads the text of one message.
fn message(raw: &str) -> Result<Message<'_>, ParseError> {
    let invalid = |what| Err(ParseError::NotJsonRpc(what));
    if !raw.starts_with('{') {
        // An array must not pass for an object with its members in order.
        serde_json::from_str::<serde::de::IgnoredAny>(raw).map_err(ParseError::NotJson)?;
        return invalid("a message must be an object");
    }
    let envelope: Envelope<'_> = match serde_json::from_str(raw) {
        Ok(envelope) => envelope,
        Err(error) if !error.is_data() => return Err(ParseError::NotJson(error)),
        Err(_) => return invalid("`jsonrpc` and `method` must be strings, and no member may occur twice"),
    };
    if envelope.jsonrpc.as_deref() != Some("2.0") {
        return invalid("`jsonrpc` must be \"2.0\"");
    }
    let (id, params) = (envelope.id, envelope.params);
    match (envelope.method, envelope.result, envelope.error) {
        (Some(method), None, None) => match id {
            Some(id) if is_id(id) => Ok(Message::Request(Request { raw, id, method, params })),
            Some(_) => invalid("the `id` of a request must be a string or a number"),
            None => Ok(Message::Notification(Notification { raw, method, params })),
        },
        (None, Some(result), None) => response(raw, id, Outcome::Result(result)),
        // Some servers write both members, with `null` in the one that does not apply.
        (None, Some(result), Some(error)) if error.get() == "null" => {
            response(raw, id, Outcome::Result(result))
        }
        (None, result, Some(error)) if result.is_none_or(|result| result.get() == "null") => {
            response(raw, id, Outcome::Error(error))
        }
        (None, None, None) => invalid("it has neither `method` nor `result` nor `error`"),
        _ => invalid("`method`, `result` and `error` exclude each other"),
    }
}

fn response<'a>(
    raw: &'a str,
    id: Option<&'a RawValue>,
    outcome: Outcome<'a>,
) -> Result<Message<'a>, ParseError> {
    match id {
        Some(id) if is_id(id) || id.get() == "null" => Ok(Message::Response(Response { raw, id, outcome })),
        None if matches!(outcome, Outcome::Error(_)) => {
            Ok(Message::Response(Response { raw, id: RawValue::NULL, outcome }))
        }
        _ => Err(ParseError::NotJsonRpc("the `id` of a response must be a string, a number or null")),
    }
}

fn is_id(id: &RawValue) -> bool {
    matches!(id.get().as_bytes().first(), Some(b'"' | b'-' | b'0'..=b'9'))
}

impl<'a> Outcome<'a> {
    /// The members of the error, when there is one that has the right form.
    pub fn error(self) -> Option<ErrorObject> {
        match self {
            Self::Result(_) => None,
            Self::Error(error) => serde_json::from_str(error.get()).ok(),
        }
    }
}

/// An id, comparable however it was written: `"a"` is `"\u0061"`, and `1` is `1.0` to a peer that reads doubles.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Id {
    /// A string.
    Text(String),
    /// A whole number.
    Integer(i128),
    /// Any other number, as written.
    Number(Box<str>),
}

/// Whole numbers up to here are the same as a double and as an integer.
const EXACT_DOUBLE_MAX: f64 = 9_007_199_254_740_992.0;

impl Id {
    /// The id as it stands in a message; `None` for `null` and for what cannot be an id.
    pub fn read(raw: &RawValue) -> Option<Self> {
        Self::read_text(raw.get())
    }

    /// The id whose JSON is this text.
    pub fn read_text(text: &str) -> Option<Self> {
        match text.as_bytes().first()? {
            b'"' => serde_json::from_str(text).ok().map(Self::Text),
            b'-' | b'0'..=b'9' => Some(match (text.parse::<i128>(), text.parse::<f64>()) {
                (Ok(integer), _) => Self::Integer(integer),
                #[expect(clippy::cast_possible_truncation, reason = "whole and within i128 by the guard")]
                (Err(_), Ok(number)) if number.fract() == 0.0 && number.abs() <= EXACT_DOUBLE_MAX => {
                    Self::Integer(number as i128)
                }
                _ => Self::Number(text.into()),
            }),
            _ => None,
        }
    }
}

/// The text of a message on one line, as stdio wants it. Outside of strings a line end is white space, and inside of
/// them JSON allows none, so nothing else changes.
pub fn line(text: &str) -> Cow<'_, str> {
    if memchr::memchr2(b'\r', b'\n', text.as_bytes()).is_none() {
        return Cow::Borrowed(text);
    }
    Cow::Owned(text.replace(['\r', '\n'], " "))
}
