//! What 2026-07-28 names for a request that is not right: the code, the status and the words of each.

use ::http::{HeaderName, StatusCode};
use mcp::message::code;
use mcp::protocol::{Era, Revision};
use serde_json::value::{RawValue, to_raw_value};

use crate::placement::CLIENT_BYTES_MAX;
use crate::translate::NotResumed;

/// Why a request of the era without sessions is refused.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Fault {
    #[error("params._meta must hold {}", .0.join(" and "))]
    NoMeta(Vec<&'static str>),
    #[error("the header field {0} is missing, or there is more than one")]
    NoHeader(HeaderName),
    #[error("the header field {0} does not say what the body says")]
    HeaderMismatch(HeaderName),
    #[error("the revision {requested} is not supported here")]
    UnsupportedRevision { requested: String },
    #[error("there is no method {0} here")]
    MethodNotFound(String),
    #[error("the client's capabilities may have {CLIENT_BYTES_MAX} bytes")]
    CapabilitiesTooLong,
    #[error(transparent)]
    NotResumed(#[from] NotResumed),
    #[error("clients of {} send one request or notification in a body", Revision::LATEST_STATELESS)]
    NotARequest,
    #[error("too many calls are in flight")]
    TooManyCalls,
    #[error("{0}")]
    NoServer(String),
}

impl Fault {
    pub(super) fn status(&self) -> StatusCode {
        match self {
            Self::NoMeta(_)
            | Self::NoHeader(_)
            | Self::HeaderMismatch(_)
            | Self::UnsupportedRevision { .. }
            | Self::NotResumed(NotResumed::Unknown)
            | Self::CapabilitiesTooLong
            | Self::NotARequest => StatusCode::BAD_REQUEST,
            Self::MethodNotFound(_) => StatusCode::NOT_FOUND,
            Self::TooManyCalls | Self::NotResumed(NotResumed::Clogged) => StatusCode::TOO_MANY_REQUESTS,
            Self::NoServer(_) => StatusCode::SERVICE_UNAVAILABLE,
        }
    }

    pub(super) fn code(&self) -> i64 {
        match self {
            Self::NoMeta(_) | Self::CapabilitiesTooLong | Self::NotResumed(NotResumed::Unknown) => {
                code::INVALID_PARAMS
            }
            Self::MethodNotFound(_) => code::METHOD_NOT_FOUND,
            Self::NoHeader(_) | Self::HeaderMismatch(_) => code::HEADER_MISMATCH,
            Self::UnsupportedRevision { .. } => code::UNSUPPORTED_REVISION,
            Self::NotARequest => code::INVALID_REQUEST,
            Self::TooManyCalls | Self::NoServer(_) | Self::NotResumed(NotResumed::Clogged) => {
                code::INTERNAL_ERROR
            }
        }
    }

    pub(super) fn data(&self) -> Option<Box<RawValue>> {
        let Self::UnsupportedRevision { requested } = self else { return None };
        let supported = Revision::ALL.into_iter().filter(|revision| revision.era() == Era::Stateless);
        let supported: Vec<_> = supported.map(Revision::as_str).collect();
        let data = serde_json::json!({ "supported": supported, "requested": requested });
        to_raw_value(&data).ok()
    }

    /// Whether to try again later is of use.
    pub(super) fn passes(&self) -> bool {
        matches!(self, Self::TooManyCalls | Self::NoServer(_) | Self::NotResumed(NotResumed::Clogged))
    }
}
