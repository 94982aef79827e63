//! The container log: what a hosted server wrote beside the protocol.

mod export;
mod select;
mod tail;

use ::access_log::LineQuery;
use ::access_log::line_query::{DEFAULT_LINES_PER_QUERY, MAX_LINES_PER_QUERY};
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use jiff::Timestamp;
use schemars::JsonSchema;
use serde::Deserialize;

use crate::app::App;
use crate::error::Error;
use crate::extract::{Path, Query};
use crate::moment::{Moment, moment};
use crate::paging::{self, Page};
use crate::violation::Violations;
use select::{SelectLines, hosted};

pub(crate) use export::export_lines;
pub(crate) use tail::tail_lines;

/// The query of `GET /instances/{instance}/logs`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ListLines {
    #[serde(flatten)]
    select: SelectLines,
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
    let mut filter = query.select.check(&mut violations);
    filter.since = moment("since", query.since.as_deref(), Timestamp::now(), &mut violations);
    violations.into_result()?;
    filter.instance_id = hosted(&app.directory, &reference)?.0;
    let items = app.access_log.lines(&LineQuery { filter, last }).await?;
    Ok(axum::Json(Page { items, next_cursor: None }).into_response())
}
