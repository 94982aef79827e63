//! What can go wrong with a call, by what the caller does next.

use std::time::Duration;

use serde_json::value::RawValue;

/// Why a call has no result.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// There is no connection to the server, or it broke.
    #[error("the server cannot be reached")]
    Unreachable(#[source] reqwest::Error),
    /// The answer did not come in time.
    #[error("the server did not answer {what} within {} s", limit.as_secs())]
    Timeout {
        /// The method that was called.
        what: String,
        /// The time that was waited.
        limit: Duration,
    },
    /// The server answered with a status that is no success.
    #[error("the server answered with status {code}: {body}")]
    Status {
        /// The HTTP status.
        code: u16,
        /// The beginning of the body, on one line.
        body: String,
    },
    /// The server's answer is not what the protocol says.
    #[error("the server broke the protocol: {0}")]
    Protocol(String),
    /// The server refused the call.
    #[error("the server answered with error {code}: {message}")]
    Rpc {
        /// The JSON-RPC error code.
        code: i64,
        /// The server's explanation.
        message: String,
        /// More about it, as the server wrote it.
        data: Option<Box<RawValue>>,
    },
}

/// Why there is no connection, as far as the operating system and TLS tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoConnection {
    /// It could not be secured.
    Tls,
    /// It did not come about, or not in time.
    NotMade,
    /// It was there, and broke.
    Broken,
}

impl Error {
    /// The JSON-RPC error code, also of an error that came with a status that is no success.
    pub fn rpc_code(&self) -> Option<i64> {
        match self {
            Self::Rpc { code, .. } => Some(*code),
            Self::Status { body, .. } => {
                serde_json::from_str::<serde_json::Value>(body).ok()?.pointer("/error/code")?.as_i64()
            }
            Self::Unreachable(_) | Self::Timeout { .. } | Self::Protocol(_) => None,
        }
    }

    /// Why there is no connection, if that is what is wrong.
    pub fn no_connection(&self) -> Option<NoConnection> {
        let Self::Unreachable(error) = self else { return None };
        let mut cause = Some(error as &(dyn std::error::Error + 'static));
        while let Some(error) = cause {
            // An error of IO hides what it was made of from `source`.
            let inner = error.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref);
            let inner = inner.is_some_and(|inner| inner.is::<rustls::Error>());
            if inner || error.is::<rustls::Error>() {
                return Some(NoConnection::Tls);
            }
            cause = error.source();
        }
        Some(if error.is_connect() { NoConnection::NotMade } else { NoConnection::Broken })
    }

    pub(super) fn of_transport(error: reqwest::Error, what: &str, limit: Duration) -> Self {
        // Waiting for the connection has a limit of its own, which says nothing about the server's speed.
        if error.is_timeout() && !error.is_connect() {
            Self::Timeout { what: what.into(), limit }
        } else {
            Self::Unreachable(error.without_url())
        }
    }
}
