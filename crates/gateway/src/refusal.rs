//! Every answer that the gateway gives in its own name: the only place that names a status, a code and a text.
//!
//! Texts are stable and tell the client what to do; what happened inside is for the log. A POST is answered with a
//! JSON-RPC error, because that is what an MCP client reads there, anything else with a line of text.

use bytes::Bytes;
use http::{HeaderValue, Method, Response, StatusCode, header};
use http_body_util::Full;
use serde_json::json;

use crate::trace_context::{TraceContext, X_TRACE_ID};

/// When a client may ask again after a 503, in seconds.
const RETRY_AFTER_SECONDS: &str = "1";
/// The methods of Streamable HTTP.
const ALLOWED_METHODS: &str = "POST, GET, DELETE";
/// The JSON-RPC code of all these errors: the first of those left to implementations (JSON-RPC 2.0 section 5.1).
/// What tells them apart is `data.code`.
const JSON_RPC_CODE: i32 = -32000;

/// Why the gateway did not pass a request on, or its answer back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Refusal {
    #[error("a token is needed: send it as `Authorization: Bearer <token>`")]
    CredentialMissing,
    #[error("`Authorization` must occur once and hold `Bearer <token>`")]
    CredentialMalformed,
    #[error("a token must not be sent in the query string: send it as `Authorization: Bearer <token>`")]
    CredentialInQuery,
    /// Unknown, revoked, for another instance, or for an instance that does not exist: one answer for all, so that
    /// nobody can find out which instances exist.
    #[error("the token is not valid for this address")]
    TokenInvalid,
    #[error("the token has expired: ask for another")]
    TokenExpired,
    #[error("the token's header fields are not open yet")]
    TokenNotReady,
    /// Ended, of a replica that is gone, of another token, or never begun (2025-11-25, Transports, Session Management).
    #[error("there is no such session: begin another with `initialize`")]
    SessionUnknown,
    #[error("only POST, GET and DELETE are known here")]
    MethodNotAllowed,
    #[error("the request body is larger than this gateway accepts")]
    BodyTooLarge,
    #[error("the request body ended before it was complete")]
    BodyIncomplete,
    #[error(
        "the instance is for direct access: its clients go to the server's own address, which the access \
         configuration names"
    )]
    DirectInstance,
    #[error("the instance speaks HTTP+SSE, which this gateway does not proxy")]
    TransportUnsupported,
    #[error("the instance is stopped")]
    InstanceStopped,
    #[error("the instance is not ready yet")]
    InstanceNotReady,
    #[error("the instance's upstream is not configured correctly")]
    UpstreamMisconfigured,
    #[error("the upstream cannot be reached")]
    UpstreamUnreachable,
    #[error("the upstream did not accept the connection in time")]
    UpstreamConnectTimeout,
    #[error("the upstream did not answer in time")]
    UpstreamAnswerTimeout,
    #[error("the upstream ended the connection without an answer")]
    UpstreamBroke,
    /// A 401 of the upstream is about the platform's credentials; passed on, it would start a login at the gateway.
    #[error("the upstream refused the platform's credentials")]
    UpstreamDenied,
    #[error("the upstream redirected the request, which is not followed")]
    UpstreamRedirected,
    #[error("the gateway is shutting down")]
    ShuttingDown,
}

impl Refusal {
    /// The status of the answer.
    pub(crate) fn status(self) -> StatusCode {
        match self {
            Self::CredentialMissing
            | Self::CredentialMalformed
            | Self::CredentialInQuery
            | Self::TokenInvalid
            | Self::TokenExpired => StatusCode::UNAUTHORIZED,
            Self::MethodNotAllowed => StatusCode::METHOD_NOT_ALLOWED,
            Self::BodyTooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::BodyIncomplete => StatusCode::BAD_REQUEST,
            Self::DirectInstance | Self::SessionUnknown => StatusCode::NOT_FOUND,
            Self::TransportUnsupported => StatusCode::NOT_IMPLEMENTED,
            Self::InstanceStopped | Self::InstanceNotReady | Self::TokenNotReady | Self::ShuttingDown => {
                StatusCode::SERVICE_UNAVAILABLE
            }
            Self::UpstreamMisconfigured
            | Self::UpstreamUnreachable
            | Self::UpstreamBroke
            | Self::UpstreamDenied
            | Self::UpstreamRedirected => StatusCode::BAD_GATEWAY,
            Self::UpstreamConnectTimeout | Self::UpstreamAnswerTimeout => StatusCode::GATEWAY_TIMEOUT,
        }
    }

    /// The stable name that programs may compare.
    pub(crate) fn code(self) -> &'static str {
        match self {
            Self::CredentialMissing => "credential_missing",
            Self::CredentialMalformed => "credential_malformed",
            Self::CredentialInQuery => "credential_in_query",
            Self::TokenInvalid => "token_invalid",
            Self::TokenExpired => "token_expired",
            Self::TokenNotReady => "token_not_ready",
            Self::SessionUnknown => "session_unknown",
            Self::MethodNotAllowed => "method_not_allowed",
            Self::BodyTooLarge => "body_too_large",
            Self::BodyIncomplete => "body_incomplete",
            Self::DirectInstance => "direct_instance",
            Self::TransportUnsupported => "transport_unsupported",
            Self::InstanceStopped => "instance_stopped",
            Self::InstanceNotReady => "instance_not_ready",
            Self::UpstreamMisconfigured => "upstream_misconfigured",
            Self::UpstreamUnreachable => "upstream_unreachable",
            Self::UpstreamConnectTimeout => "upstream_connect_timeout",
            Self::UpstreamAnswerTimeout => "upstream_answer_timeout",
            Self::UpstreamBroke => "upstream_broke",
            Self::UpstreamDenied => "upstream_denied",
            Self::UpstreamRedirected => "upstream_redirected",
            Self::ShuttingDown => "shutting_down",
        }
    }

    /// The challenge of a 401 (RFC 6750 section 3): without an error code where no credential was sent.
    fn challenge(self) -> Option<&'static str> {
        match self {
            Self::CredentialMissing => Some(r#"Bearer realm="mcpcan""#),
            Self::CredentialMalformed | Self::CredentialInQuery => {
                Some(r#"Bearer realm="mcpcan", error="invalid_request""#)
            }
            Self::TokenInvalid => Some(r#"Bearer realm="mcpcan", error="invalid_token""#),
            Self::TokenExpired => Some(
                r#"Bearer realm="mcpcan", error="invalid_token", error_description="the token has expired""#,
            ),
            Self::TokenNotReady
            | Self::SessionUnknown
            | Self::MethodNotAllowed
            | Self::BodyTooLarge
            | Self::BodyIncomplete
            | Self::DirectInstance
            | Self::TransportUnsupported
            | Self::InstanceStopped
            | Self::InstanceNotReady
            | Self::UpstreamMisconfigured
            | Self::UpstreamUnreachable
            | Self::UpstreamConnectTimeout
            | Self::UpstreamAnswerTimeout
            | Self::UpstreamBroke
            | Self::UpstreamDenied
            | Self::UpstreamRedirected
            | Self::ShuttingDown => None,
        }
    }

    /// The answer to a request with this method.
    pub(crate) fn response(self, method: &Method, trace: &TraceContext) -> Response<Full<Bytes>> {
        let (content_type, body) = if method == Method::POST {
            ("application/json", self.json_rpc_error(trace).into())
        } else {
            ("text/plain; charset=utf-8", Bytes::from(format!("{}: {self}\n", self.code())))
        };
        let mut response = Response::new(Full::new(body));
        *response.status_mut() = self.status();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        headers.insert(X_TRACE_ID, trace.header_value());
        if let Some(challenge) = self.challenge() {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static(challenge));
        }
        if self.status() == StatusCode::SERVICE_UNAVAILABLE {
            headers.insert(header::RETRY_AFTER, HeaderValue::from_static(RETRY_AFTER_SECONDS));
        }
        if self == Self::MethodNotAllowed {
            headers.insert(header::ALLOW, HeaderValue::from_static(ALLOWED_METHODS));
        }
        response
    }

    /// The request's id is not repeated: its body has usually not been read.
    fn json_rpc_error(self, trace: &TraceContext) -> String {
        json!({
            "jsonrpc": "2.0",
            "id": null,
            "error": {
                "code": JSON_RPC_CODE,
                "message": self.to_string(),
                "data": { "code": self.code(), "trace_id": trace.trace_id },
            },
        })
        .to_string()
    }
}
