//! Every way in which a request can fail, and the one place that gives it a status and a code.
//!
//! `Display` is what the client reads. Causes are logged here, once, and never returned: they may name things inside
//! the platform.

use axum::response::{IntoResponse, Response};
use domain::{Refusal, TokenId, instance, instance_name, token};
use http::header::{RETRY_AFTER, WWW_AUTHENTICATE};
use http::{HeaderValue, StatusCode};
use serde_json::json;
use store::{NotReached, OpenError, SendError, Unavailable};

use crate::command::KEY_BYTES_MAX;
use crate::events::TAILS_MAX;
use crate::extract::{BODY_BYTES_MAX, BODY_READ_TIMEOUT};
use crate::problem::Problem;
use crate::violation::{Place, Violation};

/// After how many seconds it is worth trying again, where trying again may help.
const RETRY_AFTER_SECONDS: u64 = 1;

/// Why a request has no success to show.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error("the admin key is needed: `Authorization: Bearer <admin key>`")]
    Unauthorized,
    #[error("nothing is served at this path")]
    UnknownRoute,
    #[error("the method is not known at this path; `Allow` names those that are")]
    MethodNotAllowed,
    #[error("the path is not UTF-8 once its percent encoding is undone")]
    InvalidPath,
    #[error("the query cannot be read: {0}")]
    InvalidQuery(String),
    #[error("a JSON body is needed, announced by `Content-Type: application/json`")]
    NotJson,
    #[error("the body is longer than {BODY_BYTES_MAX} bytes")]
    BodyTooLarge,
    #[error("the body did not arrive within {} seconds", BODY_READ_TIMEOUT.as_secs())]
    BodyTimeout,
    #[error("the body broke off before its end")]
    BodyIncomplete,
    #[error("the body is not JSON: line {line}, column {column}")]
    MalformedJson { line: usize, column: usize },
    #[error("the request breaks a rule")]
    Invalid(Vec<Violation>),
    #[error("an idempotency key is one header field of 1 to {KEY_BYTES_MAX} visible ASCII characters")]
    InvalidKey,
    #[error("the idempotency key was used before with another request; a new command needs a new key")]
    KeyReused,

    #[error("there is no instance `{0}`")]
    InstanceNotFound(String),
    #[error("the command took effect, but the instance has been deleted since")]
    InstanceGone,
    #[error("the instance has no token `{0}`")]
    TokenNotFound(String),
    #[error("several tokens have the label `{label}`: name one by its id, {}", in_words(ids))]
    AmbiguousLabel { label: String, ids: Vec<TokenId> },
    #[error("the token was revoked, and its credential went with it")]
    TokenRevoked,
    #[error(
        "the instance has no active token: issue one with `mcpcan token issue {0}` or \
         `POST /api/v1/instances/{0}/tokens`"
    )]
    NoActiveToken(String),
    #[error("clients of a direct instance go to its server themselves: it has no tokens")]
    DirectHasNoTokens,
    #[error("the platform does not run this instance, so it has none of its output")]
    NotHosted,
    #[error("{0}")]
    Refused(Refusal),

    #[error("the command is accepted but not decided yet; send it again with the same idempotency key")]
    Undecided,
    #[error(
        "the command took effect, but it cannot be shown yet; send it again with the same idempotency key"
    )]
    NotVisible(#[source] NotReached),
    #[error("the log of what the command is for cannot be read; an operator has to look")]
    LogUnreadable,
    #[error("there are {TAILS_MAX} event streams open already")]
    TooManyTails,
    #[error("the event store does not answer")]
    StoreUnavailable(#[source] Unavailable),
    #[error("a secret cannot be opened with this platform's master key; an operator has to look")]
    SecretUnreadable(#[source] OpenError),
    #[error("the access log does not answer")]
    AccessLogUnavailable(#[source] ::access_log::Error),
    #[error("what the access log holds cannot be read; an operator has to look")]
    AccessLogUnreadable(#[source] ::access_log::Error),
    #[error("the operating system gives no random bytes")]
    NoRandomness(#[source] getrandom::Error),
    #[error("the request met a defect of the platform; its operator finds it in the log")]
    Panicked,
}

impl Error {
    /// The problem document. Each failure has its status and code here and nowhere else.
    pub(crate) fn problem(&self) -> Problem {
        use StatusCode as S;
        let problem = match self {
            Error::Unauthorized => Problem::new(S::UNAUTHORIZED, "unauthorized", "Admin key needed")
                .header(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer realm=\"mcpcan\"")),
            Error::UnknownRoute => Problem::new(S::NOT_FOUND, "unknown_route", "Unknown path"),
            Error::MethodNotAllowed => {
                Problem::new(S::METHOD_NOT_ALLOWED, "method_not_allowed", "Method not allowed")
            }
            Error::InvalidPath => Problem::new(S::BAD_REQUEST, "invalid_path", "Invalid path"),
            Error::InvalidQuery(_) => Problem::new(S::BAD_REQUEST, "invalid_query", "Invalid query"),
            Error::NotJson => Problem::new(S::UNSUPPORTED_MEDIA_TYPE, "not_json", "JSON needed"),
            Error::BodyTooLarge => Problem::new(S::PAYLOAD_TOO_LARGE, "body_too_large", "Body too large"),
            Error::BodyTimeout => Problem::new(S::REQUEST_TIMEOUT, "body_timeout", "Body too slow"),
            Error::BodyIncomplete => Problem::new(S::BAD_REQUEST, "body_incomplete", "Incomplete body"),
            Error::MalformedJson { .. } => Problem::new(S::BAD_REQUEST, "malformed_json", "Malformed JSON"),
            Error::Invalid(errors) => Problem::new(S::BAD_REQUEST, "invalid_request", "Invalid request")
                .with("errors", json!(errors)),
            Error::InvalidKey => {
                Problem::new(S::BAD_REQUEST, "invalid_idempotency_key", "Invalid idempotency key")
            }
            Error::KeyReused => {
                Problem::new(S::UNPROCESSABLE_ENTITY, "idempotency_key_reused", "Idempotency key reused")
            }
            Error::InstanceNotFound(_) => instance_not_found(),
            Error::InstanceGone => instance_deleted(),
            Error::TokenNotFound(_) => token_not_found(),
            Error::AmbiguousLabel { ids, .. } => {
                Problem::new(S::CONFLICT, "ambiguous_label", "Ambiguous label").with("ids", json!(ids))
            }
            Error::TokenRevoked => Problem::new(S::GONE, "token_revoked", "Token revoked"),
            Error::NoActiveToken(_) => Problem::new(S::CONFLICT, "no_active_token", "No active token"),
            Error::DirectHasNoTokens => {
                Problem::new(S::CONFLICT, "direct_has_no_tokens", "A direct instance has no tokens")
            }
            Error::NotHosted => Problem::new(S::CONFLICT, "not_hosted", "Instance not hosted"),
            Error::Refused(refusal) => refused(refusal),
            Error::Undecided => try_again(unavailable("undecided", "Command not decided yet")),
            Error::NotVisible(_) => try_again(unavailable("not_visible_yet", "Command not visible yet")),
            Error::LogUnreadable => unavailable("log_unreadable", "Log unreadable"),
            Error::TooManyTails => try_again(unavailable("too_many_tails", "Too many event streams")),
            Error::StoreUnavailable(_) => try_again(unavailable("store_unavailable", "Event store away")),
            Error::SecretUnreadable(_) => unavailable("secret_unreadable", "Secret unreadable"),
            Error::AccessLogUnavailable(_) => {
                try_again(unavailable("access_log_unavailable", "Access log away"))
            }
            Error::AccessLogUnreadable(_) => unavailable("access_log_unreadable", "Access log unreadable"),
            Error::NoRandomness(_) => unavailable("no_randomness", "No random bytes"),
            Error::Panicked => {
                Problem::new(S::INTERNAL_SERVER_ERROR, "internal_error", "Defect of the platform")
            }
        };
        problem.detail(self.to_string())
    }
}

fn refused(refusal: &Refusal) -> Problem {
    let conflict = |code, title| Problem::new(StatusCode::CONFLICT, code, title);
    match refusal {
        Refusal::InstanceName(instance_name::Refusal::Taken { holder }) => {
            conflict("name_taken", "Name taken").with("holder", json!(holder))
        }
        Refusal::Instance(refusal) => match refusal {
            instance::Refusal::Exists => conflict("instance_exists", "Instance exists"),
            instance::Refusal::NotFound => instance_not_found(),
            instance::Refusal::Deleted => instance_deleted(),
            instance::Refusal::NotHosted => conflict("not_hosted", "Instance not hosted"),
            instance::Refusal::Superseded { wanted, .. } => {
                conflict("superseded", "Generation superseded").with("wanted", *wanted)
            }
            instance::Refusal::NotRunning => conflict("not_running", "Instance not running"),
            instance::Refusal::UnknownReplica => conflict("unknown_replica", "Unknown replica"),
        },
        Refusal::Token(refusal) => match refusal {
            token::Refusal::Exists => conflict("token_exists", "Token exists"),
            token::Refusal::NotFound => token_not_found(),
            token::Refusal::Revoked => Problem::new(StatusCode::GONE, "token_revoked", "Token revoked"),
            token::Refusal::InstanceNotFound => instance_not_found(),
        },
    }
}

fn instance_not_found() -> Problem {
    Problem::new(StatusCode::NOT_FOUND, "instance_not_found", "Instance not found")
}

fn instance_deleted() -> Problem {
    Problem::new(StatusCode::GONE, "instance_deleted", "Instance deleted")
}

fn in_words(ids: &[TokenId]) -> String {
    ids.iter().map(ToString::to_string).collect::<Vec<_>>().join(" or ")
}

fn token_not_found() -> Problem {
    Problem::new(StatusCode::NOT_FOUND, "token_not_found", "Token not found")
}

fn unavailable(code: &'static str, title: &'static str) -> Problem {
    Problem::new(StatusCode::SERVICE_UNAVAILABLE, code, title)
}

fn try_again(problem: Problem) -> Problem {
    problem.header(RETRY_AFTER, HeaderValue::from(RETRY_AFTER_SECONDS))
}

impl IntoResponse for Error {
    fn into_response(self) -> Response {
        let problem = self.problem();
        if problem.status().is_server_error() {
            tracing::warn!(error = &self as &dyn std::error::Error, code = problem.code(), "request failed");
        }
        problem.into_response()
    }
}

impl From<Unavailable> for Error {
    fn from(error: Unavailable) -> Self {
        Error::StoreUnavailable(error)
    }
}

impl From<SendError> for Error {
    fn from(error: SendError) -> Self {
        match error {
            SendError::KeyReused => Error::KeyReused,
            SendError::Undecided(_) => Error::Undecided,
            SendError::Unavailable(error) => Error::StoreUnavailable(error),
        }
    }
}

impl From<OpenError> for Error {
    fn from(error: OpenError) -> Self {
        match error {
            OpenError::Unavailable(error) => Error::StoreUnavailable(error),
            OpenError::Shredded { .. } | OpenError::Damaged { .. } => Error::SecretUnreadable(error),
        }
    }
}

impl From<NotReached> for Error {
    fn from(error: NotReached) -> Self {
        Error::NotVisible(error)
    }
}

impl From<::access_log::Error> for Error {
    fn from(error: ::access_log::Error) -> Self {
        use ::access_log::Error as A;
        match error {
            A::InvalidQuery { field, reason } => {
                Error::Invalid(vec![Violation { place: Place::Parameter(field.to_owned()), detail: reason }])
            }
            A::Unavailable { .. } => Error::AccessLogUnavailable(error),
            A::Rejected { .. }
            | A::TooManyRows { .. }
            | A::EmptyDeduplicationToken
            | A::InvalidUrl { .. }
            | A::Tls { .. }
            | A::MigrationChanged { .. }
            | A::Corrupt { .. } => Error::AccessLogUnreadable(error),
        }
    }
}
