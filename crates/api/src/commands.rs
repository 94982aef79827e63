//! Commands that nobody waited for: the answer that one is accepted, and what has become of it.

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use domain::{CommandId, instance, retention_plan, template, token};
use http::header::{LOCATION, RETRY_AFTER};
use http::{HeaderName, HeaderValue, StatusCode};
use schemars::JsonSchema;
use serde::Serialize;
use store::{CommandState, Outcome};

use crate::app::App;
use crate::error::Error;
use crate::extract::Path;
use crate::problem::{Problem, RETRY_AFTER_SECONDS};
use crate::router::API;

const PREFERENCE_APPLIED: HeaderName = HeaderName::from_static("preference-applied");

/// A command that is on the bus and will be decided.
#[derive(Debug)]
pub(crate) struct Accepted {
    id: CommandId,
    /// Whether the client wanted to hear of it before it is decided.
    preferred: bool,
}

/// A command, as far as it has come.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct CommandDocument {
    id: CommandId,
    state: Stage,
    /// The log shows what it led to up to this event; none unless it is done.
    sequence: Option<u64>,
    /// Where what it was for is shown; none unless that is known and can be shown.
    resource: Option<String>,
    /// Why it was refused, or why it failed.
    problem: Option<Problem>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(rename = "CommandStage")]
enum Stage {
    /// It will be decided.
    Pending,
    /// It has taken effect, or was true already.
    Done,
    /// It contradicts the state of things, and has changed nothing.
    Refused,
    /// The log of what it is for cannot be read, and an operator has to look. It has changed nothing.
    Failed,
}

impl Accepted {
    pub(crate) fn new(id: CommandId, preferred: bool) -> Self {
        Accepted { id, preferred }
    }
}

impl IntoResponse for Accepted {
    fn into_response(self) -> Response {
        let document = CommandDocument::new(self.id, Stage::Pending);
        let location = (LOCATION, format!("{API}/commands/{}", self.id));
        let retry_after = (RETRY_AFTER, HeaderValue::from(RETRY_AFTER_SECONDS));
        let mut response =
            (StatusCode::ACCEPTED, [location], [retry_after], axum::Json(document)).into_response();
        if self.preferred {
            response.headers_mut().insert(PREFERENCE_APPLIED, HeaderValue::from_static("respond-async"));
        }
        response
    }
}

/// `GET /commands/{command}`: what became of a command of the last 24 hours, whoever sent it.
pub(crate) async fn show_command(
    State(app): State<App>,
    Path(reference): Path<String>,
) -> Result<Response, Error> {
    let not_found = || Error::CommandNotFound(reference.clone());
    let id: CommandId = reference.parse().map_err(|_| not_found())?;
    let document = match app.store.command_state(id).await?.ok_or_else(not_found)? {
        CommandState::Pending { aggregate, aggregate_id } => CommandDocument {
            resource: resource(&app, aggregate, &aggregate_id),
            ..CommandDocument::new(id, Stage::Pending)
        },
        CommandState::Decided(Outcome::Done { sequence }) => CommandDocument {
            sequence: Some(sequence),
            resource: resource_of_event(&app, sequence).await?,
            ..CommandDocument::new(id, Stage::Done)
        },
        CommandState::Decided(Outcome::Refused { refusal }) => {
            CommandDocument::with_problem(id, Stage::Refused, &Error::Refused(refusal))
        }
        CommandState::Decided(Outcome::Failed { .. }) => {
            CommandDocument::with_problem(id, Stage::Failed, &Error::LogUnreadable)
        }
    };
    Ok(axum::Json(document).into_response())
}

impl CommandDocument {
    fn new(id: CommandId, state: Stage) -> Self {
        CommandDocument { id, state, sequence: None, resource: None, problem: None }
    }

    fn with_problem(id: CommandId, state: Stage, error: &Error) -> Self {
        CommandDocument { problem: Some(error.problem()), ..Self::new(id, state) }
    }
}

/// Where the aggregate of an event is shown.
async fn resource_of_event(app: &App, sequence: u64) -> Result<Option<String>, Error> {
    let Some(stored) = app.store.event(sequence).await? else { return Ok(None) };
    match stored.recorded() {
        Ok(recorded) => Ok(resource(app, recorded.event.aggregate(), &recorded.event.aggregate_id())),
        Err(error) => {
            let error = &error as &dyn std::error::Error;
            tracing::warn!(error, sequence, "not known what a command was for");
            Ok(None)
        }
    }
}

/// Where an aggregate is shown, if it is.
fn resource(app: &App, aggregate: &str, id: &str) -> Option<String> {
    match aggregate {
        instance::NAME => Some(format!("{API}/instances/{id}")),
        retention_plan::NAME => Some(format!("{API}/instances/{id}/retention")),
        template::NAME => Some(format!("{API}/templates/{id}")),
        token::NAME => {
            let token = app.directory.token(id.parse().ok()?)?;
            Some(format!("{API}/instances/{}/tokens/{id}", token.instance))
        }
        _ => None,
    }
}
