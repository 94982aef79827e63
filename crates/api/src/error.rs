//! Every way in which a request can fail, and the one place that gives it a problem type: a status and a code.
//!
//! `Display` is what the client reads. Causes are logged here, once, and never returned: they may name things inside
//! the platform.

mod cause;
pub(crate) mod problem_type;
mod refusal;

use axum::response::{IntoResponse, Response};
use domain::undo::NotUndone;
use domain::{Refusal, TokenId};
use http::HeaderValue;
use http::header::WWW_AUTHENTICATE;
use jiff::Timestamp;
use mcp::address::AddressRefusal;
use serde_json::json;
use store::archive::ArchiveError;
use store::subject::VIEWS;
use store::{NotReached, OpenError, Place, Unavailable};
use uuid::Uuid;

use crate::command::KEY_BYTES_MAX;
use crate::commands::Accepted;
use crate::download::DOWNLOADS_MAX;
use crate::extract::{BODY_BYTES_MAX, BODY_READ_TIMEOUT};
use crate::frames::{PATIENCE, TAILS_MAX};
use crate::problem::Problem;
use crate::state::KINDS;
use crate::violation::Violation;

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
    #[error("the request has the right form and asks for something impossible")]
    Unprocessable(Vec<Violation>),
    #[error("an idempotency key is one header field of 1 to {KEY_BYTES_MAX} visible ASCII characters")]
    InvalidKey,
    #[error("the idempotency key was used before with another request; a new command needs a new key")]
    KeyReused,

    #[error(
        "`If-Match` is `*` or a list of entity tags, quotes included, as `ETag` has them: `If-Match: \"3\"`"
    )]
    InvalidIfMatch,
    #[error("no command `{0}` is known; what becomes of a command is kept for 24 hours")]
    CommandNotFound(String),

    #[error("there is no instance `{0}`")]
    InstanceNotFound(String),
    #[error("the command took effect, but the instance has been deleted since")]
    InstanceGone,
    #[error("there is no view `{0}`; there are {views}", views = VIEWS.join(", "))]
    ViewNotFound(String),
    #[error("there is no template `{0}`")]
    TemplateNotFound(String),
    #[error("the command took effect, but the template has been deleted since")]
    TemplateGone,
    #[error("the instance has no token `{0}`")]
    TokenNotFound(String),
    #[error("several tokens have the label `{label}`: name one by its id, {}", in_words(ids))]
    AmbiguousLabel { label: String, ids: Vec<TokenId> },
    #[error("the token was revoked, and its credential went with it")]
    TokenRevoked,
    #[error("the token would have expired at {0} already: a time to come is needed")]
    ExpiryPassed(Timestamp),
    #[error("{0} has not come yet: a time that has passed is needed, or `now`")]
    MomentToCome(Timestamp),
    #[error("the token's time was over, and its credential went with it")]
    TokenExpired,
    #[error(
        "the instance has no active token: issue one with `mcpcan token issue {0}` or \
         `POST /api/v1/instances/{0}/tokens`"
    )]
    NoActiveToken(String),
    #[error("clients of a direct instance go to its server themselves: it has no tokens")]
    DirectHasNoTokens,
    #[error("instance `{0}` is not reached with this transport; leave it out for the one that it offers")]
    TransportNotOffered(String),
    #[error("{0}")]
    UpstreamRefused(AddressRefusal),
    #[error("the platform does not run this instance, so it has none of its output")]
    NotHosted,
    #[error(
        "no worker has probed the instance in time: see whether one runs (`mcpcan status`), and try again"
    )]
    NobodyProbes,
    #[error("the log has no event {0}")]
    EventNotFound(String),
    #[error("event {sequence} is not undone: {reason}{}", instead.map(|event| format!(" (event {event})")).unwrap_or_default())]
    NotUndone {
        sequence: u64,
        reason: NotUndone,
        /// The event to undo in its place.
        instead: Option<u64>,
    },
    #[error("`{0}` is no kind of aggregate whose past is shown; there are {kinds}", kinds = KINDS.join(", "))]
    UnknownAggregate(String),
    #[error("the log knows no `{0}`")]
    NeverExisted(String),
    #[error("`{reference}` did not exist yet: its first event, {}, was stored at {}", first.sequence, first.stored_at)]
    DidNotExistYet { reference: String, first: Place },
    #[error("`{reference}` did not exist any more: event {}, stored at {}, has ended it", last.sequence, last.stored_at)]
    WasGone { reference: String, last: Place },
    #[error("{0}")]
    Archive(#[source] ArchiveError),
    #[error(
        "the secrets in the file open only under the master key of where it comes from: start this system with a copy \
         of it, or export without keys"
    )]
    OtherMasterKey,
    #[error("another import is under way")]
    ImportRunning,
    #[error("the file cannot be kept while it is checked")]
    Spool(#[source] std::io::Error),
    #[error("{0}")]
    Refused(Refusal),

    /// No failure: it ends the handler, and is answered as what it is, a command that is accepted.
    #[error("the command is accepted but not decided yet; send it again with the same idempotency key")]
    Undecided(Accepted),
    #[error(
        "the command took effect, but it cannot be shown yet; send it again with the same idempotency key"
    )]
    NotVisible(#[source] NotReached),
    #[error("the log of what the command is for cannot be read; an operator has to look")]
    LogUnreadable,
    #[error("there are {TAILS_MAX} event streams open already")]
    TooManyTails,
    #[error("there are {DOWNLOADS_MAX} exports under way already")]
    TooManyExports,
    #[error(
        "nothing of the stream was taken for {} seconds; it goes on where it ended with `Last-Event-ID`",
        PATIENCE.as_secs()
    )]
    ClientTooSlow,
    #[error(
        "no row has come to place {0} yet: it was named by another platform, or before its streams were made anew"
    )]
    PlaceToCome(::access_log::Place),
    #[error(
        "{rows} rows are more than the {rows_max} of one file: choose fewer with `since`, `until` and the filters"
    )]
    ExportTooLarge { rows: u64, rows_max: u64 },
    #[error("the document is not taken: {0}")]
    DocumentRefused(::openapi::Refused),
    #[error("the event store does not answer")]
    StoreUnavailable(#[source] Unavailable),
    #[error("a secret cannot be opened with this platform's master key; an operator has to look")]
    SecretUnreadable(#[source] OpenError),
    #[error(
        "the key of a secret is not here, because the log was imported without keys: rotate the token, or set the \
         header fields and variables anew"
    )]
    SecretWithoutKey(#[source] OpenError),
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
    /// Whether it is that the key of this owner was shredded.
    pub(crate) fn is_shredded(&self, owner: Uuid) -> bool {
        matches!(self, Error::SecretUnreadable(OpenError::Shredded { owner: shredded }) if *shredded == owner)
    }

    /// The problem document. Each failure has its type here and nowhere else.
    pub(crate) fn problem(&self) -> Problem {
        use problem_type as T;
        let problem = match self {
            Error::Unauthorized => Problem::new(T::UNAUTHORIZED)
                .header(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer realm=\"mcpcan\"")),
            Error::UnknownRoute => Problem::new(T::UNKNOWN_ROUTE),
            Error::MethodNotAllowed => Problem::new(T::METHOD_NOT_ALLOWED),
            Error::InvalidPath => Problem::new(T::INVALID_PATH),
            Error::InvalidQuery(_) => Problem::new(T::INVALID_QUERY),
            Error::NotJson => Problem::new(T::NOT_JSON),
            Error::BodyTooLarge => Problem::new(T::BODY_TOO_LARGE),
            Error::BodyTimeout => Problem::new(T::BODY_TIMEOUT),
            Error::BodyIncomplete => Problem::new(T::BODY_INCOMPLETE),
            Error::MalformedJson { .. } => Problem::new(T::MALFORMED_JSON),
            Error::Invalid(errors) => Problem::new(T::INVALID_REQUEST).with("errors", json!(errors)),
            Error::Unprocessable(errors) => {
                Problem::new(T::UNPROCESSABLE_REQUEST).with("errors", json!(errors))
            }
            Error::InvalidKey => Problem::new(T::INVALID_KEY),
            Error::InvalidIfMatch => Problem::new(T::INVALID_IF_MATCH),
            Error::CommandNotFound(_) => Problem::new(T::COMMAND_NOT_FOUND),
            Error::KeyReused => Problem::new(T::KEY_REUSED),
            Error::InstanceNotFound(_) => Problem::new(T::INSTANCE_NOT_FOUND),
            Error::InstanceGone => Problem::new(T::INSTANCE_DELETED),
            Error::TemplateNotFound(_) => Problem::new(T::TEMPLATE_NOT_FOUND),
            Error::TemplateGone => Problem::new(T::TEMPLATE_DELETED),
            Error::TokenNotFound(_) => Problem::new(T::TOKEN_NOT_FOUND),
            Error::ViewNotFound(_) => Problem::new(T::VIEW_NOT_FOUND),
            Error::AmbiguousLabel { ids, .. } => Problem::new(T::AMBIGUOUS_LABEL).with("ids", json!(ids)),
            Error::TokenRevoked => Problem::new(T::TOKEN_REVOKED),
            Error::ExpiryPassed(_) => Problem::new(T::EXPIRY_PASSED),
            Error::MomentToCome(_) => Problem::new(T::MOMENT_TO_COME),
            Error::TokenExpired => Problem::new(T::TOKEN_EXPIRED),
            Error::NoActiveToken(_) => Problem::new(T::NO_ACTIVE_TOKEN),
            Error::DirectHasNoTokens => Problem::new(T::DIRECT_HAS_NO_TOKENS),
            Error::UpstreamRefused(_) => Problem::new(T::UPSTREAM_ADDRESS_REFUSED),
            Error::TransportNotOffered(_) => Problem::new(T::TRANSPORT_NOT_OFFERED),
            Error::NotHosted => Problem::new(T::NOT_HOSTED),
            Error::NobodyProbes => Problem::new(T::NOBODY_PROBES),
            Error::NotUndone { reason, instead, .. } => not_undone(*reason, *instead),
            Error::UnknownAggregate(_) => Problem::new(T::UNKNOWN_AGGREGATE),
            Error::NeverExisted(_) => Problem::new(T::NEVER_EXISTED),
            Error::DidNotExistYet { first, .. } => placed(Problem::new(T::DID_NOT_EXIST_YET), first),
            Error::WasGone { last, .. } => placed(Problem::new(T::WAS_GONE), last),
            Error::EventNotFound(_) => Problem::new(T::EVENT_NOT_FOUND),
            Error::Archive(damage) => damaged(damage),
            Error::DocumentRefused(_) => Problem::new(T::DOCUMENT_REFUSED),
            Error::OtherMasterKey => Problem::new(T::OTHER_MASTER_KEY),
            Error::ImportRunning => Problem::new(T::IMPORT_RUNNING),
            Error::Spool(_) => Problem::new(T::NO_ROOM),
            Error::Refused(refusal) => refusal::refused(refusal),
            Error::Undecided(_) => Problem::new(T::UNDECIDED),
            Error::NotVisible(_) => Problem::new(T::NOT_VISIBLE),
            Error::LogUnreadable => Problem::new(T::LOG_UNREADABLE),
            Error::TooManyTails => Problem::new(T::TOO_MANY_TAILS),
            Error::TooManyExports => Problem::new(T::TOO_MANY_EXPORTS),
            Error::ClientTooSlow => Problem::new(T::CLIENT_TOO_SLOW),
            Error::PlaceToCome(_) => Problem::new(T::PLACE_TO_COME),
            Error::ExportTooLarge { rows, rows_max } => {
                Problem::new(T::EXPORT_TOO_LARGE).with("rows", *rows).with("rows_max", *rows_max)
            }
            Error::StoreUnavailable(_) => Problem::new(T::STORE_UNAVAILABLE),
            Error::SecretUnreadable(_) | Error::SecretWithoutKey(_) => Problem::new(T::SECRET_UNREADABLE),
            Error::AccessLogUnavailable(_) => Problem::new(T::ACCESS_LOG_UNAVAILABLE),
            Error::AccessLogUnreadable(_) => Problem::new(T::ACCESS_LOG_UNREADABLE),
            Error::NoRandomness(_) => Problem::new(T::NO_RANDOMNESS),
            Error::Panicked => Problem::new(T::PANICKED),
        };
        problem.detail(self.to_string())
    }
}

fn damaged(ArchiveError { record, byte, sequence, .. }: &ArchiveError) -> Problem {
    Problem::new(problem_type::ARCHIVE_DAMAGED)
        .with("record", *record)
        .with("byte", *byte)
        .with("sequence", json!(sequence))
}

fn not_undone(reason: NotUndone, instead: Option<u64>) -> Problem {
    let problem = Problem::new(problem_type::NOT_UNDONE).with("reason", reason.as_str());
    match instead {
        Some(event) => problem.with("instead", event),
        None => problem,
    }
}

/// A problem that an event explains.
fn placed(problem: Problem, place: &Place) -> Problem {
    problem.with("sequence", place.sequence).with("stored_at", place.stored_at.to_string())
}

fn in_words(ids: &[TokenId]) -> String {
    ids.iter().map(ToString::to_string).collect::<Vec<_>>().join(" or ")
}

impl IntoResponse for Error {
    fn into_response(self) -> Response {
        if let Error::Undecided(accepted) = self {
            return accepted.into_response();
        }
        let problem = self.problem();
        if problem.status().is_server_error() {
            tracing::warn!(error = &self as &dyn std::error::Error, code = problem.code(), "request failed");
        }
        problem.into_response()
    }
}
