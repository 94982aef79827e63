//! What probes of an instance saw: sample by sample, and by the hour.

use ::access_log::health::SAMPLES_MAX;
use ::access_log::{HealthHour, HealthSample};
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use jiff::{SignedDuration, Timestamp};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::app::App;
use crate::error::Error;
use crate::extract::{Path, Query};
use crate::moment::{Moment, moment};
use crate::paging::bounded;
use crate::violation::Violations;

/// From when on, unless somebody says.
const SPAN: SignedDuration = SignedDuration::from_hours(24);
/// How many samples are shown, unless somebody says.
const SAMPLES_DEFAULT: u32 = 20;

/// The query of `GET /instances/{instance}/health`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct SelectHealth {
    /// From this moment on; the last 24 hours if nothing is said. Hours are whole.
    #[schemars(with = "Option<Moment>")]
    since: Option<String>,
    /// How many of the newest samples are shown.
    #[schemars(with = "Option<u32>", range(min = 1, max = SAMPLES_MAX))]
    limit: Option<String>,
}

/// How an instance was.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct HealthHistoryDocument {
    since: Timestamp,
    /// The share of its probes that found it up: healthy, restricted or degraded. None if it was not probed.
    uptime: Option<f64>,
    /// The hours in which it was probed, oldest first.
    hours: Vec<HealthHour>,
    /// The newest samples, newest first.
    samples: Vec<HealthSample>,
}

/// `GET /instances/{instance}/health`: an id also finds what was seen of an instance that was deleted.
pub(crate) async fn show_health(
    State(app): State<App>,
    Path(reference): Path<String>,
    Query(query): Query<SelectHealth>,
) -> Result<Response, Error> {
    let (mut violations, now) = (Violations::default(), Timestamp::now());
    let since = moment("since", query.since.as_deref(), now, &mut violations);
    let most = u32::try_from(SAMPLES_MAX).expect("the bound is small");
    let limit = bounded("limit", query.limit.as_deref(), SAMPLES_DEFAULT, most, &mut violations);
    violations.into_result()?;
    let since = since.or_else(|| now.checked_sub(SPAN).ok()).unwrap_or(Timestamp::UNIX_EPOCH);
    let instance = app.directory.instance_id(&reference)?.0;
    let limit = usize::try_from(limit).expect("the bound is small");
    let (hours, samples) = tokio::try_join!(
        app.access_log.health_hours(instance, since),
        app.access_log.health_samples(instance, since, limit),
    )?;
    let probed: u64 = hours.iter().map(|hour| hour.samples).sum();
    let down: u64 = hours.iter().map(|hour| hour.unhealthy).sum();
    let uptime = (probed > 0).then(|| 1.0 - down as f64 / probed as f64);
    Ok(axum::Json(HealthHistoryDocument { since, uptime, hours, samples }).into_response())
}
