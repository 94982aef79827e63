//! Retention plans: for how many days the log rows of an instance are kept.

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use domain::InstanceId;
use domain::retention_plan::{Command, DAYS_MAX, Days};
use http::header::ETAG;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use views::RetentionPlanRow;

use crate::app::App;
use crate::command::{Caller, Wish};
use crate::error::Error;
use crate::extract::{Json, Path};
use crate::violation::Violations;

/// The body of `PUT /instances/{instance}/retention`.
#[derive(Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct SetRetention {
    /// For how many days rows of the access log are kept that come from now on.
    #[schemars(range(min = 1, max = DAYS_MAX))]
    access_log_days: u16,
    /// For how many days lines of the container log are kept that come from now on.
    #[schemars(range(min = 1, max = DAYS_MAX))]
    container_log_days: u16,
}

/// For how many days the log rows of an instance are kept.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct RetentionDocument {
    instance: InstanceId,
    access_log_days: u16,
    container_log_days: u16,
    /// Whether nobody has said so: this is what holds for every instance.
    is_default: bool,
    revision: u64,
}

/// `GET /instances/{instance}/retention`
pub(crate) async fn show_retention(
    State(app): State<App>,
    Path(reference): Path<String>,
) -> Result<Response, Error> {
    let id = app.directory.instance_id(&reference)?;
    // The plan of an instance that was deleted goes on: it still has rows.
    if app.directory.instance(id).is_none() && app.directory.plan(id).is_none() {
        return Err(Error::InstanceNotFound(reference));
    }
    Ok(show(&app, id))
}

/// `PUT /instances/{instance}/retention`
pub(crate) async fn set_retention(
    State(app): State<App>,
    Path(reference): Path<String>,
    caller: Caller,
    Json(request): Json<SetRetention>,
) -> Result<Response, Error> {
    let SetRetention { access_log_days, container_log_days } = request;
    let mut violations = Violations::default();
    for (place, days) in [("access_log_days", access_log_days), ("container_log_days", container_log_days)] {
        if !(1..=DAYS_MAX).contains(&days) {
            violations.add_at(&[place], format!("rows are kept for 1 to {DAYS_MAX} days"));
        }
    }
    violations.into_result()?;
    let wish = app.wish(&caller, "retention_plan.set", &[&reference], &request).await?;
    let days = Days { access_log: access_log_days, container_log: container_log_days };
    send(&app, &reference, &caller, Command::Set { days }, wish).await
}

/// `DELETE /instances/{instance}/retention`: the default holds again.
pub(crate) async fn reset_retention(
    State(app): State<App>,
    Path(reference): Path<String>,
    caller: Caller,
) -> Result<Response, Error> {
    let wish = app.wish(&caller, "retention_plan.reset", &[&reference], &()).await?;
    send(&app, &reference, &caller, Command::Reset, wish).await
}

async fn send(
    app: &App,
    reference: &str,
    caller: &Caller,
    command: Command,
    wish: Wish,
) -> Result<Response, Error> {
    let id = InstanceId(wish.target(|| Ok(app.directory.instance_id(reference)?.0))?);
    app.carry_out(caller, &domain::Command::RetentionPlan { id, command }, wish).await?;
    Ok(show(app, id))
}

fn show(app: &App, id: InstanceId) -> Response {
    let document = RetentionDocument::new(id, app.directory.plan(id).as_deref());
    ([(ETAG, format!("\"{}\"", document.revision))], axum::Json(document)).into_response()
}

impl RetentionDocument {
    /// `plan` is none where nobody has ever said anything.
    pub(crate) fn new(instance: InstanceId, plan: Option<&RetentionPlanRow>) -> Self {
        let said = plan.and_then(|plan| plan.days);
        let days = said.unwrap_or_default();
        RetentionDocument {
            instance,
            access_log_days: days.access_log,
            container_log_days: days.container_log,
            is_default: said.is_none(),
            revision: plan.map_or(0, |plan| plan.revision),
        }
    }
}
