//! What a failed question is called, and what the answers of all places come to. Pure.
//!
//! Details are the platform's own words: what a server says may hold a secret, and events are for ever.

use domain::instance::{Dimension, Health, HealthStatus, Problem, ProblemClass};
use mcp::client::{Error, NoConnection};

/// What is wrong at one place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Wrong {
    /// Whether a connection could be made.
    pub(crate) connected: bool,
    pub(crate) class: ProblemClass,
    pub(crate) detail: String,
}

impl Wrong {
    pub(crate) fn unconnected(class: ProblemClass, detail: impl Into<String>) -> Wrong {
        Wrong { connected: false, class, detail: detail.into() }
    }

    pub(crate) fn answered(class: ProblemClass, detail: impl Into<String>) -> Wrong {
        Wrong { connected: true, class, detail: detail.into() }
    }
}

impl From<Error> for Wrong {
    fn from(error: Error) -> Self {
        use ProblemClass as C;
        let (class, detail) = match &error {
            Error::Timeout { what, limit } => {
                (C::AnswerTimeout, format!("no answer to {what} within {} s", limit.as_secs()))
            }
            Error::Unreachable(_) => match error.no_connection() {
                Some(NoConnection::Tls) => (C::TlsFailed, "the TLS handshake failed".to_owned()),
                Some(NoConnection::NotMade) => {
                    (C::ConnectionTimeout, "a second connection did not come about".to_owned())
                }
                Some(NoConnection::Broken) | None => {
                    (C::ConnectionBroken, "the connection broke before the answer".to_owned())
                }
            },
            Error::Status { code, .. } => (of_status(*code), format!("the answer has HTTP status {code}")),
            Error::Protocol(_) => (C::ProtocolError, "the answer is not MCP".to_owned()),
            Error::Rpc { code, .. } => (C::ServerError, format!("the answer is JSON-RPC error {code}")),
        };
        Wrong::answered(class, detail)
    }
}

fn of_status(code: u16) -> ProblemClass {
    match code {
        401 | 403 | 407 => ProblemClass::AuthenticationFailed,
        404 | 405 | 410 => ProblemClass::EndpointNotFound,
        429 => ProblemClass::TooManyRequests,
        500..=599 => ProblemClass::ServerError,
        _ => ProblemClass::ProtocolError,
    }
}

/// What the answers of an instance's places come to. `answers` has an entry for each.
pub(crate) fn health(container: Dimension, answers: &[Result<(), Wrong>]) -> Health {
    let bad: Vec<&Wrong> = answers.iter().filter_map(|answer| answer.as_ref().err()).collect();
    let ready = |is_ready: bool| if is_ready { Dimension::Ready } else { Dimension::NotReady };
    let Some(worst) = bad.iter().min_by_key(|wrong| (wrong.connected, wrong.class)) else {
        let (service, mcp, status) = match answers {
            [] => (Dimension::Unknown, Dimension::Unknown, HealthStatus::Unhealthy),
            _ => (Dimension::Ready, Dimension::Ready, HealthStatus::Healthy),
        };
        return Health { status, container, service, mcp, unsteady: false, problem: None };
    };
    let answered = answers.len() - bad.len();
    let detail = match answers.len() {
        1 => worst.detail.clone(),
        all => format!("{} of {all} replicas: {}", bad.len(), worst.detail),
    };
    let connected = answered > 0 || bad.iter().any(|wrong| wrong.connected);
    let is_locked = bad.iter().all(|wrong| wrong.class == ProblemClass::AuthenticationFailed);
    Health {
        status: match answered {
            0 if is_locked && container == Dimension::NotApplicable => HealthStatus::Restricted,
            0 => HealthStatus::Unhealthy,
            _ => HealthStatus::Degraded,
        },
        container,
        service: ready(connected),
        mcp: if connected { ready(answered > 0) } else { Dimension::Unknown },
        unsteady: false,
        problem: Some(Problem { class: worst.class, detail }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status(code: u16) -> Result<(), Wrong> {
        Err(Error::Status { code, body: "Bearer secret".to_owned() }.into())
    }

    fn refused() -> Result<(), Wrong> {
        Err(Wrong::unconnected(ProblemClass::PortNotListening, "the connection was refused"))
    }

    #[test]
    fn three_dimensions_say_how_far_a_question_came() {
        let seen = |answers: &[Result<(), Wrong>]| {
            let health = health(Dimension::Ready, answers);
            (health.status, health.service, health.mcp, health.problem.map(|problem| problem.class))
        };
        use Dimension::{NotReady, Ready, Unknown};
        use HealthStatus::{Degraded, Healthy, Unhealthy};
        assert_eq!(seen(&[Ok(())]), (Healthy, Ready, Ready, None));
        let class = ProblemClass::PortNotListening;
        assert_eq!(seen(&[refused()]), (Unhealthy, NotReady, Unknown, Some(class)));
        assert_eq!(seen(&[refused(), Ok(())]), (Degraded, Ready, Ready, Some(class)));
        assert_eq!(seen(&[status(500)]), (Unhealthy, Ready, NotReady, Some(ProblemClass::ServerError)));
        assert_eq!(seen(&[]), (Unhealthy, Unknown, Unknown, None));
    }

    #[test]
    fn a_server_that_demands_credentials_is_not_dead_and_its_words_are_not_repeated() {
        let health = health(Dimension::NotApplicable, &[status(401)]);
        assert_eq!(health.status, HealthStatus::Restricted);
        let problem = health.problem.unwrap();
        assert_eq!(problem.class, ProblemClass::AuthenticationFailed);
        assert_eq!(problem.detail, "the answer has HTTP status 401");
    }
}
