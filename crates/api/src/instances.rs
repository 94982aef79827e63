//! Instances: create, list, show, edit, rename, scale, change access, start, stop, restart, delete.

mod document;

use std::sync::Arc;

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use domain::InstanceId;
use domain::instance::access::REPLICAS_MAX;
use domain::instance::{self, Access, Command};
use http::StatusCode;
use http::header::{ETAG, LOCATION};
use mcp::address::require_allowed;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use url::{Host, Url};
use views::InstanceRow;

use crate::app::App;
use crate::command::{Caller, Wish};
use crate::error::Error;
use crate::extract::{Json, MergePatch, Path, Query};
use crate::paging::{Cursor, Limit, Window};
use crate::router::API;
use crate::settings::{CheckedEdit, CreateInstance, EditInstance, NewInstance, ReplaceAccess};
use crate::violation::Violations;
pub(crate) use document::InstanceDocument;

/// `POST /instances`
pub(crate) async fn create_instance(
    State(app): State<App>,
    caller: Caller,
    Json(request): Json<CreateInstance>,
) -> Result<Response, Error> {
    let id = InstanceId(caller.derive_id("instance"));
    let wish = app.wish(&caller, "instance.create", &[], &request).await?;
    let NewInstance { name, profile, access } = request.check()?;
    require_allowed_upstream(&app, access.proxied_url())?;
    let sealed = access.seal(id.0, app.store.vault()).await;
    let access = app.sealed_for_new((&caller, &wish), id.0, sealed, || Error::InstanceGone).await?;
    let command = Command::Create { name, access, profile, template: None };
    carry_out_creation(&app, &caller, id, command, wish).await
}

/// Carries out a creation, and answers with what was created.
pub(crate) async fn carry_out_creation(
    app: &App,
    caller: &Caller,
    id: InstanceId,
    command: Command,
    wish: Wish,
) -> Result<Response, Error> {
    app.carry_out(caller, &domain::Command::Instance { id, command }, wish).await?;
    let row = app.directory.instance(id).ok_or(Error::InstanceGone)?;
    Ok(show_created(app, &row))
}

pub(crate) fn show_created(app: &App, row: &InstanceRow) -> Response {
    let location = format!("{API}/instances/{}", row.id);
    (StatusCode::CREATED, [(LOCATION, location)], show(app, row)).into_response()
}

/// `PATCH /instances/{instance}`
pub(crate) async fn edit_instance(
    State(app): State<App>,
    Path(reference): Path<String>,
    caller: Caller,
    MergePatch(request): MergePatch<EditInstance>,
) -> Result<Response, Error> {
    let wish = app.wish(&caller, "instance.edit", &[&reference], &request).await?;
    let checked = request.check()?;
    let id = InstanceId(wish.target(|| Ok(app.directory.instance_id(&reference)?.0))?);
    let command = match checked {
        CheckedEdit::Rename(name) => Command::Rename { name },
        CheckedEdit::Edit(edit) => {
            let is_proxied = |row: &Arc<InstanceRow>| matches!(row.access, Access::Proxy(_));
            if app.directory.instance(id).as_ref().is_some_and(is_proxied) {
                require_allowed_upstream(&app, edit.url().as_ref())?;
            }
            let sealed = edit.seal(id.0, app.store.vault()).await;
            Command::Edit(Box::new(app.sealed_for((&caller, &wish), id.0, sealed, deleted).await?))
        }
    };
    app.carry_out(&caller, &domain::Command::Instance { id, command }, wish).await?;
    show_changed(&app, id)
}

/// `PUT /instances/{instance}/access`
pub(crate) async fn replace_access(
    State(app): State<App>,
    Path(reference): Path<String>,
    caller: Caller,
    Json(request): Json<ReplaceAccess>,
) -> Result<Response, Error> {
    let wish = app.wish(&caller, "instance.change_access", &[&reference], &request).await?;
    let access = request.check()?;
    require_allowed_upstream(&app, access.proxied_url())?;
    let id = InstanceId(wish.target(|| Ok(app.directory.instance_id(&reference)?.0))?);
    let sealed = access.seal(id.0, app.store.vault()).await;
    let access = app.sealed_for((&caller, &wish), id.0, sealed, deleted).await?;
    let command = Command::ChangeAccess { access };
    app.carry_out(&caller, &domain::Command::Instance { id, command }, wish).await?;
    show_changed(&app, id)
}

/// Refuses an address that the gateways would not lead to, if a proxied instance is given one that is no name. What a
/// name leads to, they look at with every connection.
fn require_allowed_upstream(app: &App, url: Option<&Url>) -> Result<(), Error> {
    let address = match url.and_then(Url::host) {
        Some(Host::Ipv4(address)) => address.into(),
        Some(Host::Ipv6(address)) => address.into(),
        Some(Host::Domain(_)) | None => return Ok(()),
    };
    require_allowed(address, app.config.private_upstreams).map_err(Error::UpstreamRefused)
}

/// What the decider would say.
fn deleted() -> Error {
    Error::Refused(instance::Refusal::Deleted.into())
}

/// The body of `POST /instances/{instance}/scale`.
#[derive(Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Scale {
    /// How many replicas are wanted.
    #[schemars(range(min = 1, max = REPLICAS_MAX))]
    replicas: u16,
}

/// `POST /instances/{instance}/scale`
pub(crate) async fn scale_instance(
    State(app): State<App>,
    Path(reference): Path<String>,
    caller: Caller,
    Json(request): Json<Scale>,
) -> Result<Response, Error> {
    let mut violations = Violations::default();
    if !(1..=REPLICAS_MAX).contains(&request.replicas) {
        let detail = format!("the platform runs 1 to {REPLICAS_MAX} replicas of an instance");
        violations.add_at(&["replicas"], detail);
    }
    violations.into_result()?;
    let wish = app.wish(&caller, "instance.scale", &[&reference], &request).await?;
    let id = InstanceId(wish.target(|| Ok(app.directory.instance_id(&reference)?.0))?);
    let command = Command::Scale { replicas: request.replicas };
    app.carry_out(&caller, &domain::Command::Instance { id, command }, wish).await?;
    show_changed(&app, id)
}

pub(crate) fn show_changed(app: &App, id: InstanceId) -> Result<Response, Error> {
    let row = app.directory.instance(id).ok_or(Error::InstanceGone)?;
    Ok(show(app, &row))
}

/// The query of `GET /instances`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ListInstances {
    /// Only instances whose name contains this.
    name: Option<String>,
    /// How many of them, at most.
    #[schemars(with = "Option<Limit>")]
    limit: Option<String>,
    /// The `next_cursor` of an earlier answer to the same request.
    #[schemars(with = "Option<Cursor>")]
    cursor: Option<String>,
}

/// `GET /instances`, by name.
pub(crate) async fn list_instances(
    State(app): State<App>,
    Query(query): Query<ListInstances>,
) -> Result<Response, Error> {
    let window = Window::of_query(query.limit.as_deref(), query.cursor.as_deref())?;
    let rows = app.directory.instances();
    let is_meant =
        |row: &&Arc<InstanceRow>| query.name.as_ref().is_none_or(|part| row.name.as_str().contains(part));
    let page = window.page(
        rows.iter().filter(is_meant),
        |row| row.name.clone(),
        |row| InstanceDocument::new(row, &app.config.gateway_url),
    );
    Ok(axum::Json(page).into_response())
}

/// `GET /instances/{instance}`
pub(crate) async fn show_instance(
    State(app): State<App>,
    Path(reference): Path<String>,
) -> Result<Response, Error> {
    let row = app.directory.find_instance(&reference)?;
    Ok(show(&app, &row))
}

/// `POST /instances/{instance}/start`
pub(crate) async fn start_instance(
    State(app): State<App>,
    Path(reference): Path<String>,
    caller: Caller,
) -> Result<Response, Error> {
    change(&app, &reference, &caller, Command::Start).await
}

/// `POST /instances/{instance}/stop`
pub(crate) async fn stop_instance(
    State(app): State<App>,
    Path(reference): Path<String>,
    caller: Caller,
) -> Result<Response, Error> {
    change(&app, &reference, &caller, Command::Stop).await
}

/// `POST /instances/{instance}/restart`
pub(crate) async fn restart_instance(
    State(app): State<App>,
    Path(reference): Path<String>,
    caller: Caller,
) -> Result<Response, Error> {
    change(&app, &reference, &caller, Command::Restart).await
}

async fn change(app: &App, reference: &str, caller: &Caller, command: Command) -> Result<Response, Error> {
    let (id, _) = send(app, reference, caller, command).await?;
    show_changed(app, id)
}

/// What is left to say of an instance that was deleted.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct DeletedDocument {
    id: InstanceId,
    deleted: bool,
    sequence: u64,
}

/// `DELETE /instances/{instance}`
pub(crate) async fn delete_instance(
    State(app): State<App>,
    Path(reference): Path<String>,
    caller: Caller,
) -> Result<Response, Error> {
    let (id, sequence) = send(&app, &reference, &caller, Command::Delete).await?;
    Ok(axum::Json(DeletedDocument { id, deleted: true, sequence }).into_response())
}

/// Carries out a command without a body. Gives the instance that it was for, and the sequence of its last event.
async fn send(
    app: &App,
    reference: &str,
    caller: &Caller,
    command: Command,
) -> Result<(InstanceId, u64), Error> {
    let wish = app.wish(caller, command.name(), &[reference], &()).await?;
    let id = InstanceId(wish.target(|| Ok(app.directory.instance_id(reference)?.0))?);
    let sequence = app.carry_out(caller, &domain::Command::Instance { id, command }, wish).await?;
    Ok((id, sequence))
}

fn show(app: &App, row: &InstanceRow) -> Response {
    let document = InstanceDocument::new(row, &app.config.gateway_url);
    ([(ETAG, format!("\"{}\"", row.revision))], axum::Json(document)).into_response()
}
