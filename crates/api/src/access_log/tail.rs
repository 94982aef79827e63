//! The access log as it is written.

use ::access_log::TraceRecord;
use axum::extract::State;
use axum::response::Response;
use http::HeaderMap;
use jiff::Timestamp;
use schemars::JsonSchema;
use serde::Deserialize;

use super::select::SelectTraces;
use crate::app::App;
use crate::error::Error;
use crate::extract::Query;
use crate::follow::{Follow, SelectStart};
use crate::frames::Frames;
use crate::violation::Violations;

/// The query of `GET /access-logs/tail`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct TailAccessLog {
    #[serde(flatten)]
    select: SelectTraces,
    #[serde(flatten)]
    start: SelectStart,
}

/// `GET /access-logs/tail`
pub(crate) async fn tail_access_log(
    State(app): State<App>,
    headers: HeaderMap,
    Query(query): Query<TailAccessLog>,
) -> Result<Response, Error> {
    let mut violations = Violations::default();
    let filter = query.select.check(&mut violations);
    let (start, since) = query.start.check(&headers, Timestamp::now(), &mut violations);
    violations.into_result()?;
    let mut filter = query.select.at(&app.directory, filter)?;
    filter.since = since;
    let frames = Frames::new(&app, "following the access log")?;
    let follow = Follow::<TraceRecord>::start(&app, filter, start).await?;
    Ok(frames.after(follow.opening()).answer(follow, Follow::step))
}
