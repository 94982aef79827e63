//! Every answer that the gateway gives in its own name: the only place that names a status, a code and a text.
//!
//! Texts are stable and tell the client what to do; what happened inside is for the log. A POST is answered with a
//! JSON-RPC error, because that is what an MCP client reads there, anything else with a line of text.

use bytes::Bytes;
use http::{HeaderValue, Method, Response, StatusCode, header};
use http_body_util::Full;
use serde_json::json;

use crate::challenge::{self, Asked};
use crate::trace_context::{TraceContext, X_TRACE_ID};

/// When a client may ask again after a 429 or 503 that does not say more, in seconds; nothing where the call may have been
/// made: who repeats it by itself would make it twice.
const RETRY_AFTER: u32 = 1;
/// The methods of Streamable HTTP.
const ALLOWED_METHODS: &str = "POST, GET, DELETE";
/// The JSON-RPC code of all these errors: the first of those left to implementations (JSON-RPC 2.0 section 5.1).
/// What tells them apart is `data.code`.
pub(crate) const JSON_RPC_CODE: i32 = -32000;

/// Why the gateway did not pass a request on, or its answer back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Refusal {
    /// What a page elsewhere can make a browser send (2025-11-25, Transports, Security Warning).
    #[error("the Host header must name this gateway: --gateway-url says under which name it is known")]
    ForeignHost,
    #[error("requests from pages of that Origin are not taken")]
    ForeignOrigin,
    #[error("a token is needed: send it in the header field that its access configuration names")]
    CredentialMissing,
    #[error(
        "the header field with the token must occur once, and hold `Bearer <token>`, `Basic <credentials>`, or in \
         `Api-Key` and `X-API-Key` the token alone"
    )]
    CredentialMalformed,
    #[error(
        "a token must not be sent in the query string: send it in the header field that its access configuration names"
    )]
    CredentialInQuery,
    /// Unknown, revoked, for another instance, or for an instance that does not exist: one answer for all, so that
    /// nobody can find out which instances exist.
    #[error("the token is not valid for this address")]
    TokenInvalid,
    /// Only who has the token hears that it is one.
    #[error("the token is of another kind: send it in the header field that its access configuration names")]
    TokenOfOtherKind,
    #[error("the token has expired: ask for another")]
    TokenExpired,
    #[error("the access token does not allow enough")]
    ScopeInsufficient,
    #[error("the keys of the access token's issuer are not there yet")]
    IssuerNotReady,
    #[error("there were too many attempts from this address with credentials that are not valid")]
    TooManyFailures { retry_after: u32 },
    #[error("the token makes more requests than it may")]
    TokenTooFast { retry_after: u32 },
    #[error("the instance gets more requests than it may")]
    InstanceTooFast { retry_after: u32 },
    #[error("the token has too many requests and streams open: end some first")]
    TooManyOpen,
    #[error("the token has too many sessions: end some first, with DELETE")]
    TooManySessions,
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
    /// 405 makes clients of both transports try the older one (2025-11-25, Transports, Backwards Compatibility).
    #[error("the instance speaks HTTP+SSE: its stream begins with a GET of its address that ends in /sse")]
    StreamableHttpUnsupported,
    #[error("the instance does not speak HTTP+SSE: its address ends in /mcp")]
    HttpSseUnsupported,
    #[error("a stream of HTTP+SSE begins with GET, and its messages are sent with POST where it says")]
    MethodOfHttpSse,
    #[error(
        "the session is missing: messages are sent to the address that the stream's endpoint event has named"
    )]
    SessionMissing,
    #[error("the upstream named no address of its own for the stream's messages")]
    UpstreamEndpoint,
    #[error("the instance is stopped")]
    InstanceStopped,
    #[error("the instance is not ready yet")]
    InstanceNotReady,
    #[error("the instance's upstream is not configured correctly")]
    UpstreamMisconfigured,
    #[error("the upstream has an address to which this gateway does not lead")]
    UpstreamAddressRefused,
    #[error("the upstream cannot be reached")]
    UpstreamUnreachable,
    #[error("the upstream has failed several times in a row and is left alone for a while")]
    UpstreamFailing { retry_after: u32 },
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
    #[error("the gateway has too much to do: ask again a little later")]
    Overloaded { retry_after: u32 },
    /// Of an instance that answers no call before its record is safe.
    #[error(
        "the access log does not take the record of this call, and the instance answers none without: the call may have \
         been made"
    )]
    LogUnavailable,
    #[error("the gateway is shutting down")]
    ShuttingDown,
}

impl Refusal {
    /// The status of the answer.
    pub(crate) fn status(self) -> StatusCode {
        self.facts().0
    }

    /// The stable name that programs may compare.
    pub(crate) fn code(self) -> &'static str {
        self.facts().1
    }

    fn facts(self) -> (StatusCode, &'static str) {
        use StatusCode as S;
        match self {
            Self::ForeignHost => (S::FORBIDDEN, "foreign_host"),
            Self::ForeignOrigin => (S::FORBIDDEN, "foreign_origin"),
            Self::CredentialMissing => (S::UNAUTHORIZED, "credential_missing"),
            Self::CredentialMalformed => (S::UNAUTHORIZED, "credential_malformed"),
            Self::CredentialInQuery => (S::UNAUTHORIZED, "credential_in_query"),
            Self::TokenInvalid => (S::UNAUTHORIZED, "token_invalid"),
            Self::TokenOfOtherKind => (S::UNAUTHORIZED, "token_of_other_kind"),
            Self::TokenExpired => (S::UNAUTHORIZED, "token_expired"),
            Self::ScopeInsufficient => (S::FORBIDDEN, "scope_insufficient"),
            Self::IssuerNotReady => (S::SERVICE_UNAVAILABLE, "issuer_not_ready"),
            Self::TooManyFailures { .. } => (S::TOO_MANY_REQUESTS, "too_many_failures"),
            Self::TokenTooFast { .. } => (S::TOO_MANY_REQUESTS, "token_too_fast"),
            Self::InstanceTooFast { .. } => (S::TOO_MANY_REQUESTS, "instance_too_fast"),
            Self::TooManyOpen => (S::TOO_MANY_REQUESTS, "too_many_open"),
            Self::TooManySessions => (S::TOO_MANY_REQUESTS, "too_many_sessions"),
            Self::TokenNotReady => (S::SERVICE_UNAVAILABLE, "token_not_ready"),
            Self::SessionUnknown => (S::NOT_FOUND, "session_unknown"),
            Self::MethodNotAllowed => (S::METHOD_NOT_ALLOWED, "method_not_allowed"),
            Self::BodyTooLarge => (S::PAYLOAD_TOO_LARGE, "body_too_large"),
            Self::BodyIncomplete => (S::BAD_REQUEST, "body_incomplete"),
            Self::DirectInstance => (S::NOT_FOUND, "direct_instance"),
            Self::StreamableHttpUnsupported => (S::METHOD_NOT_ALLOWED, "streamable_http_unsupported"),
            Self::HttpSseUnsupported => (S::NOT_FOUND, "http_sse_unsupported"),
            Self::MethodOfHttpSse => (S::METHOD_NOT_ALLOWED, "method_not_allowed"),
            Self::SessionMissing => (S::BAD_REQUEST, "session_missing"),
            Self::UpstreamEndpoint => (S::BAD_GATEWAY, "upstream_endpoint"),
            Self::InstanceStopped => (S::SERVICE_UNAVAILABLE, "instance_stopped"),
            Self::InstanceNotReady => (S::SERVICE_UNAVAILABLE, "instance_not_ready"),
            Self::UpstreamMisconfigured => (S::BAD_GATEWAY, "upstream_misconfigured"),
            Self::UpstreamAddressRefused => (S::BAD_GATEWAY, "upstream_address_refused"),
            Self::UpstreamUnreachable => (S::BAD_GATEWAY, "upstream_unreachable"),
            Self::UpstreamFailing { .. } => (S::SERVICE_UNAVAILABLE, "upstream_failing"),
            Self::UpstreamConnectTimeout => (S::GATEWAY_TIMEOUT, "upstream_connect_timeout"),
            Self::UpstreamAnswerTimeout => (S::GATEWAY_TIMEOUT, "upstream_answer_timeout"),
            Self::UpstreamBroke => (S::BAD_GATEWAY, "upstream_broke"),
            Self::UpstreamDenied => (S::BAD_GATEWAY, "upstream_denied"),
            Self::UpstreamRedirected => (S::BAD_GATEWAY, "upstream_redirected"),
            Self::Overloaded { .. } => (S::SERVICE_UNAVAILABLE, "overloaded"),
            Self::LogUnavailable => (S::SERVICE_UNAVAILABLE, "log_unavailable"),
            Self::ShuttingDown => (S::SERVICE_UNAVAILABLE, "shutting_down"),
        }
    }

    /// When a client may ask again, in seconds.
    fn retry_after(self) -> Option<u32> {
        match self {
            Self::TooManyFailures { retry_after }
            | Self::TokenTooFast { retry_after }
            | Self::InstanceTooFast { retry_after }
            | Self::UpstreamFailing { retry_after }
            | Self::Overloaded { retry_after } => Some(retry_after),
            _ if self.asks_to_come_again() => Some(RETRY_AFTER),
            _ => None,
        }
    }

    fn asks_to_come_again(self) -> bool {
        matches!(self.status(), StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE)
            && self != Self::LogUnavailable
    }

    /// Whether it is about who asks.
    pub(crate) fn is_about_credentials(self) -> bool {
        self.status() == StatusCode::UNAUTHORIZED
            || matches!(self, Self::TooManyFailures { .. } | Self::ScopeInsufficient)
    }

    /// What a 405 has to name (RFC 9110 section 15.5.6).
    fn allowed_methods(self) -> Option<&'static str> {
        match self {
            Self::MethodNotAllowed => Some(ALLOWED_METHODS),
            Self::StreamableHttpUnsupported => Some("GET"),
            Self::MethodOfHttpSse => Some("GET, POST"),
            _ => None,
        }
    }

    /// The answer to a request with this method.
    pub(crate) fn response(
        self,
        method: &Method,
        trace: &TraceContext,
        asked: &Asked,
    ) -> Response<Full<Bytes>> {
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
        if self.status() == StatusCode::UNAUTHORIZED || self == Self::ScopeInsufficient {
            for challenge in challenge::of(self, asked) {
                headers.append(header::WWW_AUTHENTICATE, challenge);
            }
        }
        if let Some(seconds) = self.retry_after() {
            headers.insert(header::RETRY_AFTER, seconds.into());
        }
        if let Some(methods) = self.allowed_methods() {
            headers.insert(header::ALLOW, HeaderValue::from_static(methods));
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
