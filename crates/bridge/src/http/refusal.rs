//! Every answer that refuses a request: its status, its JSON-RPC code and its words, in one place.
//!
//! Clients read the code and the status: 404 makes them initialise again, and a 400 that is no error of 2026-07-28 tells
//! newer clients that this server has sessions.

mod fault;

use ::http::header::{ALLOW, CONTENT_TYPE, HeaderValue, RETRY_AFTER, WWW_AUTHENTICATE};
use ::http::{Response, StatusCode};
use mcp::message::{self, ParseError, code};
use mcp::protocol::{Era, Revision};
use serde_json::value::RawValue;

use super::body::Body;
use crate::link::NotIntroduced;
use crate::links::NoLink;
use crate::serve::chain;
use crate::session::TooLong;
use crate::sessions::OpenError;
use crate::wire::Ending;
pub(crate) use fault::Fault;

/// Seconds after which a client may try again when what it needs is in use.
const RETRY_AFTER_SECONDS: HeaderValue = HeaderValue::from_static("5");

/// Why a request is refused. Its text is the message of the JSON-RPC error.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Refusal {
    #[error("there is nothing here: MCP is served at /mcp, its older HTTP+SSE at /sse")]
    NoSuchPath,
    #[error("use POST, GET or DELETE")]
    NoSuchMethod,
    #[error("the credential of this server is missing or wrong: send it as Authorization: Bearer")]
    NoCredential,
    #[error("the Host header must name this machine")]
    ForeignHost,
    #[error("requests from pages of that Origin are not taken")]
    ForeignOrigin,
    #[error("the Accept header must allow {}", .0.join(" and "))]
    NotAcceptable(&'static [&'static str]),
    #[error("the Content-Type must be application/json")]
    NotJson,
    #[error("the body is larger than {bytes_max} bytes")]
    TooLarge { bytes_max: usize },
    #[error("too many large requests are being received")]
    TooManyBodies,
    #[error("the body broke off")]
    BodyIncomplete,
    #[error("the body took too long to arrive")]
    BodyTooSlow,
    #[error("{}", chain(.0))]
    NotAMessage(ParseError),
    #[error("the MCP-Protocol-Version is not supported here; use one of {}", with_sessions())]
    UnknownRevision,
    #[error(
        "only sessions of revision {} take batches, and initialize is never in one",
        Revision::V2025_03_26
    )]
    BatchNotAllowed,
    #[error("no session: send initialize first, then its Mcp-Session-Id with every request")]
    NoSession { id: Option<Box<RawValue>> },
    #[error("no session: open a stream with GET /sse, and send messages where its endpoint event says")]
    NoStream,
    /// With the only method that the address takes.
    #[error("a stream of HTTP+SSE is opened with GET, and its messages are sent with POST")]
    NoSuchMethodOfStream(&'static str),
    #[error("the session does not exist or is over: initialize a new one")]
    UnknownSession,
    #[error("the session is initialised already: leave Mcp-Session-Id out to open another")]
    InitializedAlready,
    #[error("a request with the same id waits for its answer")]
    IdInUse,
    #[error("the session has too many calls in flight")]
    TooManyCalls,
    #[error(
        "the session holds too many bytes: read its answers, and wait until the server has read its requests"
    )]
    TooManyBytes,
    #[error("the session has too many GET streams")]
    TooManyStreams,
    #[error("the stream cannot be resumed: the event named by Last-Event-ID is not kept")]
    NotResumable,
    #[error("{}", chain(.0))]
    NotOpened(OpenError),
    #[error(transparent)]
    ClientTooLong(TooLong),
    #[error("{0} before it was initialised")]
    InitializeFailed(Ending),
    #[error("the server did not answer initialize within {seconds} s")]
    InitializeTimeout { seconds: u64 },
    #[error("{}", chain(.0))]
    NoLink(NoLink),
    #[error("{fault}")]
    Stateless { id: Option<Box<RawValue>>, fault: Fault },
    #[error("{} knows no sessions: use POST", Revision::LATEST_STATELESS)]
    OnlyPost,
}

impl Refusal {
    pub(super) fn into_response(self) -> Response<Body> {
        let (id, data) = match &self {
            Self::NoSession { id } => (id.as_deref(), None),
            Self::Stateless { id, fault } => (id.as_deref(), fault.data()),
            _ => (None, None),
        };
        let body = message::error(id, self.code(), &self.to_string(), data.as_deref());
        let mut response = Response::new(Body::full(body));
        *response.status_mut() = self.status();
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        if let Self::NoSuchMethodOfStream(allowed) = self {
            headers.insert(ALLOW, HeaderValue::from_static(allowed));
        }
        if let Self::NoSuchMethod = self {
            headers.insert(ALLOW, HeaderValue::from_static("GET, POST, DELETE"));
        }
        if let Self::OnlyPost = self {
            headers.insert(ALLOW, HeaderValue::from_static("POST"));
        }
        if let Self::NoCredential = self {
            headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        if self.passes() {
            headers.insert(RETRY_AFTER, RETRY_AFTER_SECONDS);
        }
        response
    }

    /// Whether to try again later is of use.
    fn passes(&self) -> bool {
        match self {
            Self::NotOpened(OpenError::Full(_)) | Self::TooManyCalls | Self::TooManyBytes => true,
            Self::TooManyBodies => true,
            Self::NoLink(NoLink::Full(_) | NoLink::Restarting { .. }) => true,
            Self::Stateless { fault, .. } => fault.passes(),
            _ => false,
        }
    }

    fn status(&self) -> StatusCode {
        match self {
            Self::NoSuchPath | Self::UnknownSession => StatusCode::NOT_FOUND,
            Self::NoSuchMethod | Self::NoSuchMethodOfStream(_) | Self::OnlyPost => {
                StatusCode::METHOD_NOT_ALLOWED
            }
            Self::NoCredential => StatusCode::UNAUTHORIZED,
            Self::ForeignHost | Self::ForeignOrigin => StatusCode::FORBIDDEN,
            Self::NotAcceptable(_) => StatusCode::NOT_ACCEPTABLE,
            Self::NotJson => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::TooLarge { .. } => StatusCode::PAYLOAD_TOO_LARGE,
            Self::BodyTooSlow => StatusCode::REQUEST_TIMEOUT,
            Self::BodyIncomplete
            | Self::NotAMessage(_)
            | Self::UnknownRevision
            | Self::BatchNotAllowed
            | Self::NoSession { .. }
            | Self::NoStream
            | Self::InitializedAlready
            | Self::IdInUse
            | Self::NotResumable
            | Self::ClientTooLong(_) => StatusCode::BAD_REQUEST,
            Self::TooManyCalls | Self::TooManyBytes => StatusCode::TOO_MANY_REQUESTS,
            Self::TooManyStreams => StatusCode::CONFLICT,
            Self::NotOpened(OpenError::Full(_)) | Self::TooManyBodies => StatusCode::SERVICE_UNAVAILABLE,
            Self::NotOpened(OpenError::Spawn(_)) | Self::InitializeFailed(_) => StatusCode::BAD_GATEWAY,
            Self::NoLink(NoLink::Full(_) | NoLink::Restarting { .. }) => StatusCode::SERVICE_UNAVAILABLE,
            Self::NoLink(NoLink::NotIntroduced(NotIntroduced::Timeout)) | Self::InitializeTimeout { .. } => {
                StatusCode::GATEWAY_TIMEOUT
            }
            Self::NoLink(NoLink::Spawn(_) | NoLink::NotIntroduced(_)) => StatusCode::BAD_GATEWAY,
            Self::Stateless { fault, .. } => fault.status(),
        }
    }

    fn code(&self) -> i64 {
        match self {
            Self::NotAMessage(error) => error.code(),
            Self::UnknownSession => code::SESSION_NOT_FOUND,
            Self::TooLarge { .. } | Self::BatchNotAllowed | Self::InitializedAlready | Self::IdInUse => {
                code::INVALID_REQUEST
            }
            Self::ClientTooLong(_) => code::INVALID_PARAMS,
            Self::Stateless { fault, .. } => fault.code(),
            Self::NoSuchPath
            | Self::NoSuchMethod
            | Self::NoSuchMethodOfStream(_)
            | Self::OnlyPost
            | Self::NoLink(_)
            | Self::NoCredential
            | Self::ForeignHost
            | Self::ForeignOrigin
            | Self::NotAcceptable(_)
            | Self::NotJson
            | Self::TooManyBodies
            | Self::BodyIncomplete
            | Self::BodyTooSlow
            | Self::UnknownRevision
            | Self::NoSession { .. }
            | Self::NoStream
            | Self::TooManyCalls
            | Self::TooManyBytes
            | Self::TooManyStreams
            | Self::NotResumable
            | Self::NotOpened(_)
            | Self::InitializeFailed(_)
            | Self::InitializeTimeout { .. } => code::SERVER_ERROR,
        }
    }
}

/// The revisions that are served here, for a reader.
fn with_sessions() -> String {
    let served = Revision::ALL.into_iter().filter(|revision| revision.era() == Era::Sessions);
    served.map(Revision::as_str).collect::<Vec<_>>().join(", ")
}
