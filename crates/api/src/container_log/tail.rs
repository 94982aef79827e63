//! The container log as it is written.

use ::access_log::ContainerLine;
use axum::extract::State;
use axum::response::Response;
use http::HeaderMap;
use jiff::Timestamp;
use schemars::JsonSchema;
use serde::Deserialize;

use super::select::{SelectLines, hosted};
use crate::app::App;
use crate::error::Error;
use crate::extract::{Path, Query};
use crate::follow::{Follow, SelectStart};
use crate::frames::Frames;
use crate::violation::Violations;

/// The query of `GET /instances/{instance}/logs/tail`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct TailLines {
    #[serde(flatten)]
    select: SelectLines,
    #[serde(flatten)]
    start: SelectStart,
}

/// `GET /instances/{instance}/logs/tail`
pub(crate) async fn tail_lines(
    State(app): State<App>,
    Path(reference): Path<String>,
    headers: HeaderMap,
    Query(query): Query<TailLines>,
) -> Result<Response, Error> {
    let mut violations = Violations::default();
    let mut filter = query.select.check(&mut violations);
    let (start, since) = query.start.check(&headers, Timestamp::now(), &mut violations);
    violations.into_result()?;
    filter.instance_id = hosted(&app.directory, &reference)?.0;
    filter.since = since;
    let frames = Frames::new(&app, "following the output")?;
    let follow = Follow::<ContainerLine>::start(&app, filter, start).await?;
    Ok(frames.after(follow.opening()).answer(follow, Follow::step))
}
