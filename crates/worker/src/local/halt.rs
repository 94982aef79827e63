//! Why a replica cannot go on, and what is told of it: always in the platform's own words.

use std::process::ExitStatus;
use std::time::Duration;

use domain::instance::{Fact, FailureReason};

use super::How;
use super::bridge::ChildExit;
use crate::handshake::NoAnswer;
use crate::hold::ATTEMPTS_MAX;
use crate::report::Unwanted;

/// Why a replica cannot go on.
pub(super) enum Halt {
    /// The log does not want it.
    Unwanted(Unwanted),
    Failed {
        reason: FailureReason,
        detail: String,
        /// How long it had been ready, if it ever was.
        ready_for: Option<Duration>,
    },
}

impl Halt {
    pub(super) fn failed(reason: FailureReason, detail: impl Into<String>) -> Halt {
        Halt::Failed { reason, detail: detail.into(), ready_for: None }
    }

    /// The hosted server's process ended while it was asked to shake hands.
    pub(super) fn server_ended(exit: ChildExit) -> Halt {
        let how = match (exit.code, exit.signal) {
            (Some(code), _) => format!("ended with exit code {code}"),
            (None, Some(signal)) => format!("was ended by signal {signal}"),
            (None, None) => "ended".to_owned(),
        };
        let detail = format!("the server {how} before it answered the handshake");
        Halt::failed(FailureReason::Exited, detail)
    }

    /// The bridge ended: `when` is a clause for a person.
    pub(super) fn bridge_ended(ended: std::io::Result<ExitStatus>, when: &str) -> Halt {
        let detail = match ended {
            Ok(status) => format!("the bridge of the server ended {when}: {status}"),
            Err(error) => format!("the bridge of the server cannot be watched: {error}"),
        };
        Halt::failed(FailureReason::Exited, detail)
    }

    pub(super) fn after_ready_for(mut self, duration: Duration) -> Halt {
        if let Halt::Failed { ready_for, .. } = &mut self {
            *ready_for = Some(duration);
        }
        self
    }
}

impl From<Unwanted> for Halt {
    fn from(unwanted: Unwanted) -> Self {
        Halt::Unwanted(unwanted)
    }
}

impl From<NoAnswer> for Halt {
    fn from(error: NoAnswer) -> Self {
        Halt::failed(error.reason, error.detail)
    }
}

/// The last fact about a replica that was told to end (`None`) or could not go on.
/// `is_last` if no other is tried should this one never have been ready.
pub(super) fn last_fact(halt: Option<Halt>, is_last: bool) -> (Fact, How) {
    match halt {
        None => (Fact::Stopped, How::Told),
        Some(Halt::Unwanted(unwanted)) => {
            tracing::info!(reason = %unwanted, "replica is not wanted");
            (Fact::Stopped, How::Unwanted)
        }
        Some(Halt::Failed { reason, detail, ready_for }) => {
            tracing::warn!(reason = reason.as_str(), detail, "replica failed");
            let how = match reason {
                FailureReason::Unsupported => How::Unsupported,
                FailureReason::ProgramNotFound
                | FailureReason::SpawnFailed
                | FailureReason::Exited
                | FailureReason::HandshakeTimeout
                | FailureReason::ProtocolError
                | FailureReason::Lost
                | FailureReason::ImageUnavailable
                | FailureReason::OutOfMemory
                | FailureReason::CrashLoop
                | FailureReason::Unschedulable
                | FailureReason::ConfigMissing
                | FailureReason::QuotaExceeded
                | FailureReason::Evicted
                | FailureReason::Rejected => How::Failed { ready_for },
            };
            let detail = match how {
                How::Failed { ready_for: None } if is_last => {
                    format!(
                        "{detail}; {ATTEMPTS_MAX} attempts have failed: it is tried again once it is edited, started or restarted"
                    )
                }
                _ => detail,
            };
            (Fact::Failed { reason, detail }, how)
        }
    }
}
