//! The views as operators see them: how far they are, what is in their way, and rebuilding one.

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use jiff::Timestamp;
use schemars::JsonSchema;
use serde::Serialize;
use store::subject::VIEWS;
use store::{Folding, LastError, ViewState, ViewStatus};

use crate::app::App;
use crate::error::Error;
use crate::extract::Path;
use crate::paging::Page;

/// `GET /views`
pub(crate) async fn list_views(State(app): State<App>) -> Result<Response, Error> {
    let mut items = vec![];
    for view in VIEWS {
        items.push(ViewDocument::new(app.store.view_status(view).await?));
    }
    Ok(axum::Json(Page { items, next_cursor: None }).into_response())
}

/// `GET /views/{view}`
pub(crate) async fn show_view(State(app): State<App>, Path(view): Path<String>) -> Result<Response, Error> {
    let status = app.store.view_status(find(view)?).await?;
    Ok(axum::Json(ViewDocument::new(status)).into_response())
}

/// `POST /views/{view}/rebuild`
pub(crate) async fn rebuild_view(
    State(app): State<App>,
    Path(view): Path<String>,
) -> Result<Response, Error> {
    let view = find(view)?;
    let rebuild = app.store.rebuild_view(view).await?;
    let status = if rebuild.began { StatusCode::ACCEPTED } else { StatusCode::OK };
    let document = RebuildDocument { view, generation: rebuild.generation, began: rebuild.began };
    Ok((status, axum::Json(document)).into_response())
}

fn find(name: String) -> Result<&'static str, Error> {
    VIEWS.into_iter().find(|view| *view == name).ok_or(Error::ViewNotFound(name))
}

/// A view.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct ViewDocument {
    name: &'static str,
    state: Attendance,
    /// The generation of rows that is served; none before the first.
    generation: Option<u64>,
    /// The version of the form of the rows that are served.
    version: Option<u16>,
    /// The sequence up to which what is served holds every event.
    position: u64,
    /// The sequence of the last event that there is.
    last_sequence: u64,
    /// How many events the view is behind.
    lag: u64,
    /// How many rows are served, as far as its projector has said.
    rows: Option<u64>,
    /// How many events its projector has folded per second since it began.
    events_per_second: Option<f64>,
    /// The projector that folds it.
    projector: Option<String>,
    /// The generation that is being made.
    rebuild: Option<ProgressDocument>,
    last_error: Option<ErrorDocument>,
    /// When its projector last said how the view is.
    reported_at: Option<Timestamp>,
}

/// What is being done with a view.
#[derive(Clone, Copy, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(rename = "ViewState")]
enum Attendance {
    /// Every event shows as it comes.
    Current,
    /// What there was before its projector started is being folded.
    CatchingUp,
    /// There is an event that its projector cannot read. It goes on once a projector runs that can.
    Stopped,
    /// Something was in the way; its projector tries again.
    Interrupted,
    /// No projector has said anything for a while.
    Unattended,
}

/// How far a rebuild has come.
#[derive(Debug, Serialize, JsonSchema)]
struct ProgressDocument {
    generation: u64,
    position: u64,
    /// The sequence of the event that it has to reach.
    target: u64,
    rows: u64,
    events_per_second: f64,
    /// How long it will take at this rate; none when nothing is known of it.
    seconds_left: Option<f64>,
}

/// What was last in the way of a view, also when it is over.
#[derive(Debug, Serialize, JsonSchema)]
struct ErrorDocument {
    at: Timestamp,
    /// The event that could not be read, if that was it.
    sequence: Option<u64>,
    /// The subject of that event.
    subject: Option<String>,
    detail: String,
}

/// A rebuild that was asked for.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct RebuildDocument {
    view: &'static str,
    /// The generation that will be served; a later one if that is rebuilt too.
    generation: u64,
    /// Whether this request began the rebuild; it was under way before otherwise.
    began: bool,
}

impl ViewDocument {
    fn new(status: ViewStatus) -> Self {
        let ViewStatus { view, generation, version, position, last_sequence, wanted, .. } = status;
        let report = status.report;
        let state = match report.as_ref().map(|report| report.state) {
            None => Attendance::Unattended,
            Some(_) if status.unattended => Attendance::Unattended,
            Some(ViewState::CatchingUp) => Attendance::CatchingUp,
            Some(ViewState::Current) => Attendance::Current,
            Some(ViewState::Stopped) => Attendance::Stopped,
            Some(ViewState::Interrupted) => Attendance::Interrupted,
        };
        let newer = |folding: &Folding| generation.is_none_or(|served| folding.generation > served);
        let rebuild = report.as_ref().and_then(|report| report.rebuild).filter(newer);
        let rebuild = rebuild.map(|folding| ProgressDocument::of(folding, last_sequence));
        let serving = report.as_ref().and_then(|report| report.serving);
        ViewDocument {
            name: view,
            state,
            generation,
            version,
            position,
            last_sequence,
            lag: last_sequence.saturating_sub(position),
            rows: serving.map(|folding| folding.rows),
            events_per_second: serving.map(|folding| folding.events_per_second),
            projector: status.holder,
            rebuild: rebuild
                .or_else(|| wanted.map(|wanted| ProgressDocument::waiting(wanted, last_sequence))),
            reported_at: report.as_ref().map(|report| report.at),
            last_error: report.and_then(|report| report.last_error).map(ErrorDocument::of),
        }
    }
}

impl ProgressDocument {
    fn of(folding: Folding, target: u64) -> Self {
        let Folding { generation, position, rows, events_per_second, .. } = folding;
        let left = target.saturating_sub(position) as f64;
        let seconds_left = (events_per_second > 0.0).then(|| left / events_per_second);
        ProgressDocument { generation, position, target, rows, events_per_second, seconds_left }
    }

    /// Nobody has begun with it.
    fn waiting(generation: u64, target: u64) -> Self {
        let (position, rows, events_per_second, seconds_left) = (0, 0, 0.0, None);
        ProgressDocument { generation, position, target, rows, events_per_second, seconds_left }
    }
}

impl ErrorDocument {
    fn of(error: LastError) -> Self {
        let LastError { at, sequence, subject, detail } = error;
        ErrorDocument { at, sequence, subject, detail }
    }
}
