//! What other crates call a failure, as failures of a request.

use store::{NotReached, OpenError, PastError, SendError, Unavailable};

use super::Error;
use crate::commands::Accepted;
use crate::violation::{Place, Violation};

impl From<PastError> for Error {
    fn from(error: PastError) -> Self {
        match error {
            PastError::Unavailable(error) => Error::StoreUnavailable(error),
            PastError::Unreadable(error) => {
                tracing::error!(error = &error as &dyn std::error::Error, "event cannot be read");
                Error::LogUnreadable
            }
        }
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
            SendError::Undecided(id) => Error::Undecided(Accepted::new(id, false)),
            SendError::Unavailable(error) => Error::StoreUnavailable(error),
        }
    }
}

impl From<OpenError> for Error {
    fn from(error: OpenError) -> Self {
        match error {
            OpenError::Unavailable(error) => Error::StoreUnavailable(error),
            OpenError::Shredded { .. } | OpenError::Damaged { .. } => Error::SecretUnreadable(error),
            OpenError::Missing { .. } => Error::SecretWithoutKey(error),
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
            | A::Cluster(_)
            | A::Corrupt { .. } => Error::AccessLogUnreadable(error),
        }
    }
}
