//! The container log: what a hosted server wrote beside the protocol.

use ::access_log::LineQuery;
use ::access_log::line_query::{DEFAULT_LINES_PER_QUERY, MAX_LINES_PER_QUERY};
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use domain::instance::Access;
use jiff::Timestamp;
use schemars::JsonSchema;
use serde::Deserialize;

use crate::app::App;
use crate::error::Error;
use crate::extract::{Path, Query};
use crate::moment::{Moment, moment};
use crate::paging::{self, Page};
use crate::violation::Violations;

/// The query of `GET /instances/{instance}/logs`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ListLines {
    /// How many of the newest lines.
    #[schemars(with = "Option<u32>", range(min = 1, max = MAX_LINES_PER_QUERY))]
    tail: Option<String>,
    /// Only lines from this moment on.
    #[schemars(with = "Option<Moment>")]
    since: Option<String>,
}

/// `GET /instances/{instance}/logs`: the newest lines, oldest of them first. An id also finds the lines of an instance
/// that was deleted.
pub(crate) async fn list_lines(
    State(app): State<App>,
    Path(reference): Path<String>,
    Query(query): Query<ListLines>,
) -> Result<Response, Error> {
    let mut violations = Violations::default();
    let last = paging::bounded(
        "tail",
        query.tail.as_deref(),
        DEFAULT_LINES_PER_QUERY,
        MAX_LINES_PER_QUERY,
        &mut violations,
    );
    let since = moment("since", query.since.as_deref(), Timestamp::now(), &mut violations);
    violations.into_result()?;
    let instance = app.directory.instance_id(&reference)?;
    if let Some(row) = app.directory.instance(instance) {
        require_hosted(&row.access)?;
    }
    let items = app.access_log.lines(&LineQuery { since, last, ..LineQuery::of(instance.0) }).await?;
    Ok(axum::Json(Page { items, next_cursor: None }).into_response())
}

fn require_hosted(access: &Access) -> Result<(), Error> {
    match access {
        Access::Hosted(_) => Ok(()),
        Access::Proxy(_) | Access::Direct(_) => Err(Error::NotHosted),
    }
}
