//! The access log: who called what, newest first.

mod export;
mod select;
mod tail;

use ::access_log::trace_filter::MAX_FILTER_BYTES;
use ::access_log::trace_query::{DEFAULT_ROWS_PER_SEARCH, MAX_ROWS_PER_SEARCH};
use ::access_log::{Cursor, LevelCounts, TraceQuery, TraceRecord};
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use jiff::Timestamp;
use schemars::JsonSchema;
use serde::Deserialize;

use crate::app::App;
use crate::error::Error;
use crate::extract::{Path, Query};
use crate::paging::{self, Page};
use crate::violation::Violations;
use select::{SelectTraces, Span};

pub(crate) use export::export_access_log;
pub(crate) use tail::tail_access_log;

/// The query of `GET /access-logs`. What is not given lets everything through.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct SearchAccessLog {
    #[serde(flatten)]
    select: SelectTraces,
    #[serde(flatten)]
    span: Span,
    /// How many of them, at most.
    #[schemars(with = "Option<u32>", range(min = 1, max = MAX_ROWS_PER_SEARCH))]
    limit: Option<String>,
    /// The `next_cursor` of an earlier answer to the same request.
    #[schemars(with = "Option<paging::Cursor>")]
    cursor: Option<String>,
}

/// `GET /access-logs`
pub(crate) async fn search_access_log(
    State(app): State<App>,
    Query(query): Query<SearchAccessLog>,
) -> Result<Response, Error> {
    let query = query.check(&app, Timestamp::now())?;
    let items = app.access_log.search(&query).await?;
    let next_cursor = next_cursor(&items, query.limit);
    Ok(axum::Json(Page { items, next_cursor }).into_response())
}

/// The query of `GET /access-logs/counts`. What is not given lets everything through.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct CountAccessLog {
    #[serde(flatten)]
    select: SelectTraces,
    #[serde(flatten)]
    span: Span,
}

/// `GET /access-logs/counts`
pub(crate) async fn count_access_log(
    State(app): State<App>,
    Query(query): Query<CountAccessLog>,
) -> Result<axum::Json<LevelCounts>, Error> {
    let mut violations = Violations::default();
    let filter = query.select.check(&mut violations);
    let filter = query.span.bound(filter, Timestamp::now(), &mut violations);
    violations.into_result()?;
    let filter = query.select.at(&app.directory, filter)?;
    Ok(axum::Json(app.access_log.count_by_level(&filter).await?))
}

/// `GET /access-logs/traces/{trace}`: its rows in the order in which they happened.
pub(crate) async fn show_trace(
    State(app): State<App>,
    Path(trace): Path<String>,
) -> Result<axum::Json<Page<TraceRecord>>, Error> {
    if trace.len() > MAX_FILTER_BYTES {
        return Err(Error::InvalidPath);
    }
    Ok(axum::Json(Page { items: app.access_log.trace(&trace).await?, next_cursor: None }))
}

/// Only a full page may have a next one.
fn next_cursor(items: &[TraceRecord], limit: u32) -> Option<String> {
    let last = items.last().filter(|_| items.len() >= usize::try_from(limit).unwrap_or(usize::MAX))?;
    Cursor::after(last).ok().map(|cursor| cursor.to_string())
}

impl SearchAccessLog {
    fn check(self, app: &App, now: Timestamp) -> Result<TraceQuery, Error> {
        let mut violations = Violations::default();
        let limit = paging::bounded(
            "limit",
            self.limit.as_deref(),
            DEFAULT_ROWS_PER_SEARCH,
            MAX_ROWS_PER_SEARCH,
            &mut violations,
        );
        let after = cursor(self.cursor.as_deref(), &mut violations);
        let filter = self.select.check(&mut violations);
        let filter = self.span.bound(filter, now, &mut violations);
        violations.into_result()?;
        Ok(TraceQuery { filter: self.select.at(&app.directory, filter)?, after, limit })
    }
}

fn cursor(text: Option<&str>, violations: &mut Violations) -> Option<Cursor> {
    let text = text?;
    let cursor = (text.len() <= paging::CURSOR_BYTES_MAX).then(|| text.parse().ok()).flatten();
    if cursor.is_none() {
        paging::refuse_cursor(violations);
    }
    cursor
}
