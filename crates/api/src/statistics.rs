//! What a dashboard shows: how many instances there are in which state, how much was called, how well, and by whom.

use std::collections::BTreeMap;

use ::access_log::usage::statistics::{
    Bucket, Calls, OfError, OfId, OfTool, STEP_SECONDS_MIN, Statistics, StatisticsQuery,
};
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use domain::instance::HealthStatus;
use domain::{InstanceId, TokenId};
use jiff::{SignedDuration, Timestamp};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::app::App;
use crate::directory::Directory;
use crate::error::Error;
use crate::extract::{Path, Query};
use crate::moment::{Moment, moment};
use crate::violation::{Place, Violations};

/// From when on, unless somebody says.
const SPAN: SignedDuration = SignedDuration::from_hours(24);

/// No more can be looked at: the rollups go back no further.
const SPAN_MAX: SignedDuration = SignedDuration::from_hours(400 * 24);

/// How long a bucket may be without anybody saying: the shortest that makes no more than [`BUCKETS_WANTED`].
const STEPS: [u32; 8] = [60, 300, 900, 3_600, 10_800, 21_600, 86_400, 604_800];

/// A bucket for everything.
const STEP_SECONDS_MAX: u32 = 400 * 86_400;

const BUCKETS_WANTED: i64 = 120;

/// The query of `GET /statistics` and `GET /instances/{instance}/statistics`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct SelectStatistics {
    /// From this moment on; the last 24 hours if nothing is said.
    #[schemars(with = "Option<Moment>")]
    since: Option<String>,
    /// Before this moment; up to now if nothing is said.
    #[schemars(with = "Option<Moment>")]
    until: Option<String>,
    /// How many seconds a bucket has: whole minutes. If nothing is said, so many that there are about a hundred.
    #[schemars(with = "Option<u32>", range(min = STEP_SECONDS_MIN, max = STEP_SECONDS_MAX), extend("multipleOf" = STEP_SECONDS_MIN))]
    step: Option<String>,
}

/// Statistics as clients see them.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct StatisticsDocument {
    since: Timestamp,
    until: Timestamp,
    step_seconds: u32,
    /// How many instances there are now, by their phase; of one instance, its own.
    instances: BTreeMap<String, u64>,
    /// How many of those that are probed are in which health; `unknown` while it is.
    health: BTreeMap<String, u64>,
    total: Calls,
    /// From the first to the last, also those without a call.
    buckets: Vec<Bucket>,
    /// The most called tools, prompts and resources.
    top_tools: Vec<OfTool>,
    /// The tokens with the most calls.
    top_tokens: Vec<Named>,
    /// The most called instances.
    top_instances: Vec<Named>,
    /// The most frequent kinds of errors, to the hour.
    top_errors: Vec<OfError>,
}

/// Calls of a token or an instance.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Named {
    /// Its name or label now; none of what is gone.
    name: Option<String>,
    #[serde(flatten)]
    calls: OfId,
}

/// `GET /statistics`
pub(crate) async fn show_statistics(
    State(app): State<App>,
    Query(query): Query<SelectStatistics>,
) -> Result<Response, Error> {
    let query = query.check(None)?;
    answer(&app, &query).await
}

/// `GET /instances/{instance}/statistics`: an id also finds what an instance did that was deleted.
pub(crate) async fn show_instance_statistics(
    State(app): State<App>,
    Path(reference): Path<String>,
    Query(query): Query<SelectStatistics>,
) -> Result<Response, Error> {
    let instance = app.directory.instance_id(&reference)?;
    answer(&app, &query.check(Some(instance.0))?).await
}

async fn answer(app: &App, query: &StatisticsQuery) -> Result<Response, Error> {
    let found = app.access_log.statistics(query).await?;
    Ok(axum::Json(document(&app.directory, query, found)).into_response())
}

fn document(directory: &Directory, query: &StatisticsQuery, found: Statistics) -> StatisticsDocument {
    let (mut instances, mut health) = (BTreeMap::new(), BTreeMap::new());
    for row in directory.instances() {
        if query.instance_id.is_none_or(|id| id == row.id.0) {
            let phase = serde_json::to_value(row.phase).expect("a phase is a word");
            *instances.entry(phase.as_str().unwrap_or_default().to_owned()).or_default() += 1;
            if let Some(condition) = row.condition() {
                let status = condition.status.map_or("unknown", HealthStatus::as_str);
                *health.entry(status.to_owned()).or_default() += 1;
            }
        }
    }
    let instance = |id: Uuid| directory.instance(InstanceId(id)).map(|row| row.name.to_string());
    let token = |id: Uuid| directory.token(TokenId(id)).map(|row| row.label.to_string());
    StatisticsDocument {
        since: query.since,
        until: query.until,
        step_seconds: query.step_seconds,
        instances,
        health,
        total: found.total,
        buckets: found.buckets,
        top_tools: found.tools,
        top_tokens: found.tokens.into_iter().map(|calls| Named { name: token(calls.id), calls }).collect(),
        top_instances: found
            .instances
            .into_iter()
            .map(|calls| Named { name: instance(calls.id), calls })
            .collect(),
        top_errors: found.errors,
    }
}

impl SelectStatistics {
    fn check(&self, instance_id: Option<Uuid>) -> Result<StatisticsQuery, Error> {
        let (mut violations, now) = (Violations::default(), Timestamp::now());
        let until = moment("until", self.until.as_deref(), now, &mut violations).unwrap_or(now);
        let since = moment("since", self.since.as_deref(), now, &mut violations);
        let since = since.or_else(|| until.checked_sub(SPAN).ok()).unwrap_or(Timestamp::UNIX_EPOCH);
        let step = self.step.as_deref().and_then(|step| whole_minutes(step, &mut violations));
        violations.into_result()?;
        let mut beyond = Violations::default();
        let length = until.duration_since(since);
        if !length.is_positive() || length > SPAN_MAX {
            let detail = "it has to lie after `since`, by 400 days at most";
            beyond.add_beyond_form(Place::Parameter("until".to_owned()), detail);
        }
        let seconds = length.as_secs();
        let fits = |step: &u32| seconds / i64::from(*step) <= BUCKETS_WANTED;
        let step_seconds = step.or_else(|| STEPS.into_iter().find(fits)).unwrap_or(STEPS[STEPS.len() - 1]);
        if seconds / i64::from(step_seconds) >= BUCKETS_MAX {
            let detail = format!("there would be more than {BUCKETS_MAX} buckets");
            beyond.add_beyond_form(Place::Parameter("step".to_owned()), detail);
        }
        beyond.into_result()?;
        Ok(StatisticsQuery { instance_id, since, until, step_seconds })
    }
}

/// One less than there may be, for a bucket that only a part of a minute makes.
const BUCKETS_MAX: i64 = ::access_log::usage::statistics::BUCKETS_MAX.cast_signed() - 1;

fn whole_minutes(text: &str, violations: &mut Violations) -> Option<u32> {
    let allowed = STEP_SECONDS_MIN..=STEP_SECONDS_MAX;
    let step = text.parse().ok();
    let step = step.filter(|step: &u32| allowed.contains(step) && step.is_multiple_of(STEP_SECONDS_MIN));
    if step.is_none() {
        let detail =
            format!("a multiple of {STEP_SECONDS_MIN} seconds up to {STEP_SECONDS_MAX} was expected");
        violations.add(Place::Parameter("step".to_owned()), detail);
    }
    step
}
