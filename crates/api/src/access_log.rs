//! The access log: who called what, newest first.

use std::fmt::Display;
use std::str::FromStr;

use ::access_log::trace_filter::MAX_FILTER_BYTES;
use ::access_log::trace_query::{DEFAULT_ROWS_PER_SEARCH, MAX_ROWS_PER_SEARCH};
use ::access_log::{Cursor, Level, TraceEvent, TraceFilter, TraceQuery, TraceRecord};
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use domain::TokenId;
use jiff::Timestamp;
use schemars::JsonSchema;
use serde::Deserialize;

use crate::app::App;
use crate::error::Error;
use crate::extract::Query;
use crate::moment::{Moment, moment};
use crate::paging::{self, Page};
use crate::violation::{Place, Violations};

/// The query of `GET /access-logs`. What is not given lets everything through.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct SearchAccessLog {
    /// By id, which also finds the rows of an instance that was deleted, or by name.
    instance: Option<String>,
    /// The trace id.
    #[schemars(length(max = MAX_FILTER_BYTES))]
    trace: Option<String>,
    /// By id or by label.
    #[schemars(length(max = MAX_FILTER_BYTES))]
    token: Option<String>,
    /// This level or a graver one.
    #[schemars(with = "Option<Level>")]
    level: Option<String>,
    /// What happened.
    #[schemars(with = "Option<TraceEvent>")]
    event: Option<String>,
    /// The JSON-RPC method; `rpc_method`, as rows have it, is understood too.
    #[serde(alias = "rpc_method")]
    #[schemars(length(max = MAX_FILTER_BYTES))]
    method: Option<String>,
    /// The name of a tool, prompt or resource.
    #[schemars(length(max = MAX_FILTER_BYTES))]
    tool: Option<String>,
    /// The HTTP status.
    #[schemars(with = "Option<u16>")]
    status: Option<String>,
    /// From this moment on.
    #[schemars(with = "Option<Moment>")]
    since: Option<String>,
    /// Before this moment.
    #[schemars(with = "Option<Moment>")]
    until: Option<String>,
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

/// Only a full page may have a next one.
fn next_cursor(items: &[TraceRecord], limit: u32) -> Option<String> {
    let last = items.last().filter(|_| items.len() >= usize::try_from(limit).unwrap_or(usize::MAX))?;
    Cursor::after(last).ok().map(|cursor| cursor.to_string())
}

impl SearchAccessLog {
    fn check(self, app: &App, now: Timestamp) -> Result<TraceQuery, Error> {
        let mut violations = Violations::default();
        let token_id = self.token.as_ref().and_then(|token| token.parse::<TokenId>().ok());
        let token_label = self.token.filter(|_| token_id.is_none());
        let limit = paging::bounded(
            "limit",
            self.limit.as_deref(),
            DEFAULT_ROWS_PER_SEARCH,
            MAX_ROWS_PER_SEARCH,
            &mut violations,
        );
        let mut filter = TraceFilter {
            trace_id: text("trace", self.trace, &mut violations),
            token_id: token_id.map(|id| id.0),
            token_label: text("token", token_label, &mut violations),
            level: word("level", self.level.as_deref(), &mut violations),
            event: word("event", self.event.as_deref(), &mut violations),
            rpc_method: text("method", self.method, &mut violations),
            tool: text("tool", self.tool, &mut violations),
            status: word("status", self.status.as_deref(), &mut violations),
            since: moment("since", self.since.as_deref(), now, &mut violations),
            until: moment("until", self.until.as_deref(), now, &mut violations),
            ..TraceFilter::default()
        };
        let after = cursor(self.cursor.as_deref(), &mut violations);
        violations.into_result()?;
        if let Some(instance) = self.instance {
            filter.instance_id = Some(app.directory.instance_id(&instance)?.0);
        }
        Ok(TraceQuery { filter, after, limit })
    }
}

/// A filter on a text.
fn text(parameter: &str, text: Option<String>, violations: &mut Violations) -> Option<String> {
    if text.as_ref().is_some_and(|text| text.len() > MAX_FILTER_BYTES) {
        let place = Place::Parameter(parameter.to_owned());
        violations.add(place, format!("a filter has at most {MAX_FILTER_BYTES} bytes"));
    }
    text
}

/// A filter with few values, whose type says what is wrong with others.
fn word<T: FromStr<Err: Display>>(
    parameter: &str,
    text: Option<&str>,
    violations: &mut Violations,
) -> Option<T> {
    match text?.parse() {
        Ok(word) => Some(word),
        Err(error) => {
            violations.add(Place::Parameter(parameter.to_owned()), error.to_string());
            None
        }
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
