//! Problem documents (RFC 9457): the form of every answer that is not a success. What they say is in `error.rs`.

use axum::response::{IntoResponse, Response};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Map, Value};

/// The media type of a problem document (RFC 9457 section 3).
pub(crate) const MEDIA_TYPE: &str = "application/problem+json";

/// After how many seconds it is worth trying again, where trying again may help.
pub(crate) const RETRY_AFTER_SECONDS: u64 = 1;

/// A kind of failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct ProblemType {
    pub(crate) status: StatusCode,
    /// The stable name that programs go by.
    pub(crate) code: &'static str,
    pub(crate) title: &'static str,
    /// Whether the same request may succeed a moment later: the answer says when, as `Retry-After`.
    pub(crate) worth_repeating: bool,
}

/// A problem document and the header fields that go with it.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Problem {
    /// `urn:mcpcan:problem:` and the code.
    #[serde(rename = "type")]
    kind: String,
    title: &'static str,
    #[serde(serialize_with = "status_number")]
    #[schemars(with = "u16")]
    status: StatusCode,
    /// What is wrong with this one request, in words.
    detail: String,
    /// The stable name that programs go by.
    code: &'static str,
    #[serde(flatten)]
    extras: Map<String, Value>,
    #[serde(skip)]
    headers: HeaderMap,
}

impl Problem {
    pub(crate) fn new(kind: ProblemType) -> Self {
        let mut headers = HeaderMap::new();
        if kind.worth_repeating {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(RETRY_AFTER_SECONDS));
        }
        Problem {
            kind: format!("urn:mcpcan:problem:{}", kind.code),
            title: kind.title,
            status: kind.status,
            detail: String::new(),
            code: kind.code,
            extras: Map::new(),
            headers,
        }
    }

    /// What is wrong with this one request.
    pub(crate) fn detail(self, detail: String) -> Self {
        Problem { detail, ..self }
    }

    /// An extension member (RFC 9457 section 3.2).
    pub(crate) fn with(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.extras.insert(name.to_owned(), value.into());
        self
    }

    pub(crate) fn header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.insert(name, value);
        self
    }

    pub(crate) fn status(&self) -> StatusCode {
        self.status
    }

    pub(crate) fn code(&self) -> &'static str {
        self.code
    }

    pub(crate) fn to_json(&self) -> String {
        serde_json::to_string(self).expect("texts and JSON values are JSON")
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let mut response = (self.status, self.to_json()).into_response();
        response.headers_mut().extend(self.headers);
        response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(MEDIA_TYPE));
        response
    }
}

fn status_number<S: serde::Serializer>(status: &StatusCode, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_u16(status.as_u16())
}
