//! Templates: create, list, show, edit, rename, delete, instantiate.

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use domain::instance::{self, Profile};
use domain::template::{self, Command};
use domain::{InstanceId, Name, TemplateId};
use http::StatusCode;
use http::header::{ETAG, LOCATION};
use jiff::Timestamp;
use schemars::JsonSchema;
use serde::Serialize;
use views::TemplateRow;

use crate::app::App;
use crate::command::Caller;
use crate::error::Error;
use crate::extract::{Json, MergePatch, Path, Query};
use crate::instances::{carry_out_creation, show_created};
use crate::paging::ListQuery;
use crate::router::API;
use crate::settings::{
    AccessDocument, CheckedEdit, CreateTemplate, EditTemplate, Instantiate, NewEdit, NewTemplate,
    ProfileDocument, reseal,
};

/// A template.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct TemplateDocument<'a> {
    id: TemplateId,
    name: &'a Name,
    #[serde(flatten)]
    profile: ProfileDocument<'a>,
    #[serde(flatten)]
    access: AccessDocument<'a>,
    /// The instance that the settings were taken from.
    from: Option<InstanceId>,
    created_at: Timestamp,
    updated_at: Timestamp,
    revision: u64,
    /// The document shows the log up to this event of the template.
    sequence: u64,
}

/// `POST /templates`
pub(crate) async fn create_template(
    State(app): State<App>,
    caller: Caller,
    Json(request): Json<CreateTemplate>,
) -> Result<Response, Error> {
    let id = TemplateId(caller.derive_id("template"));
    let wish = app.wish(&caller, "template.create", request.from().as_slice(), &request).await?;
    // The instance that its settings were taken from may be gone when the request comes again.
    if app.has_made(&caller, &wish, id.0).await? {
        return app.directory.template(id).map(|row| show_created_template(&row)).ok_or(Error::TemplateGone);
    }
    let command = match request.check()? {
        NewTemplate::FromScratch(new) => {
            let sealed = new.access.seal(id.0, app.store.vault()).await;
            let access = app.sealed_for_new((&caller, &wish), id.0, sealed, || Error::TemplateGone).await?;
            Command::Create { name: new.name, access, profile: new.profile, from: None }
        }
        NewTemplate::Of { name, instance } => {
            let sealed = take_from_instance(&app, id, name, &instance).await;
            app.sealed_for_new((&caller, &wish), id.0, sealed, || Error::TemplateGone).await?
        }
    };
    app.carry_out(&caller, &domain::Command::Template { id, command }, wish).await?;
    let row = app.directory.template(id).ok_or(Error::TemplateGone)?;
    Ok(show_created_template(&row))
}

async fn take_from_instance(app: &App, id: TemplateId, name: Name, instance: &str) -> Result<Command, Error> {
    let row = app.directory.find_instance(instance)?;
    let access = reseal(row.access.clone(), row.id.0, id.0, app.store.vault()).await;
    // It was deleted while its settings were read.
    let gone = || Error::InstanceNotFound(instance.to_owned());
    let access = access.map_err(|error| if error.is_shredded(row.id.0) { gone() } else { error })?;
    let profile: Profile = row.profile.clone();
    Ok(Command::Create { name, access, profile, from: Some(row.id) })
}

/// `GET /templates`, by name.
pub(crate) async fn list_templates(
    State(app): State<App>,
    Query(query): Query<ListQuery>,
) -> Result<Response, Error> {
    let window = query.window()?;
    let rows = app.directory.templates();
    let page = window.page(&rows, |row| row.name.clone(), |row| TemplateDocument::new(row));
    Ok(axum::Json(page).into_response())
}

/// `GET /templates/{template}`
pub(crate) async fn show_template(
    State(app): State<App>,
    Path(reference): Path<String>,
) -> Result<Response, Error> {
    Ok(show(&*app.directory.find_template(&reference)?))
}

/// `PATCH /templates/{template}`
pub(crate) async fn edit_template(
    State(app): State<App>,
    Path(reference): Path<String>,
    caller: Caller,
    MergePatch(request): MergePatch<EditTemplate>,
) -> Result<Response, Error> {
    let wish = app.wish(&caller, "template.edit", &[&reference], &request).await?;
    let checked = request.check()?;
    let id = TemplateId(wish.target(|| Ok(app.directory.template_id(&reference)?.0))?);
    let command = match checked {
        CheckedEdit::Rename(name) => Command::Rename { name },
        CheckedEdit::Edit(edit) => {
            let sealed = edit.seal(id.0, app.store.vault()).await;
            Command::Edit(Box::new(app.sealed_for((&caller, &wish), id.0, sealed, deleted).await?))
        }
    };
    app.carry_out(&caller, &domain::Command::Template { id, command }, wish).await?;
    let row = app.directory.template(id).ok_or(Error::TemplateGone)?;
    Ok(show(&row))
}

/// What is left to say of a template that was deleted.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct DeletedTemplate {
    id: TemplateId,
    deleted: bool,
    sequence: u64,
}

/// `DELETE /templates/{template}`
pub(crate) async fn delete_template(
    State(app): State<App>,
    Path(reference): Path<String>,
    caller: Caller,
) -> Result<Response, Error> {
    let wish = app.wish(&caller, "template.delete", &[&reference], &()).await?;
    let id = TemplateId(wish.target(|| Ok(app.directory.template_id(&reference)?.0))?);
    let command = domain::Command::Template { id, command: Command::Delete };
    let sequence = app.carry_out(&caller, &command, wish).await?;
    Ok(axum::Json(DeletedTemplate { id, deleted: true, sequence }).into_response())
}

/// `POST /templates/{template}/instantiate`
pub(crate) async fn instantiate_template(
    State(app): State<App>,
    Path(reference): Path<String>,
    caller: Caller,
    Json(request): Json<Instantiate>,
) -> Result<Response, Error> {
    let id = InstanceId(caller.derive_id("instance"));
    let wish = app.wish(&caller, "template.instantiate", &[&reference], &request).await?;
    // The template may be another when the request comes again, or gone.
    if app.has_made(&caller, &wish, id.0).await? {
        return app.directory.instance(id).map(|row| show_created(&app, &row)).ok_or(Error::InstanceGone);
    }
    let wanted = request.check()?;
    let template = app.directory.find_template(&reference)?;
    let sealed = compose(&app, id, &template, wanted).await;
    let command = app.sealed_for_new((&caller, &wish), id.0, sealed, || Error::InstanceGone).await?;
    carry_out_creation(&app, &caller, id, command, wish).await
}

/// The creation of an instance with the settings of a template, and what shall be otherwise.
async fn compose(
    app: &App,
    id: InstanceId,
    row: &TemplateRow,
    (name, edit, replicas): (Name, NewEdit, Option<u16>),
) -> Result<instance::Command, Error> {
    let refused = |refusal: instance::Refusal| Error::Refused(refusal.into());
    // What cannot be is found out before anything is sealed: no key is made for it.
    let (access, _) = edit.outline().apply(&row.access, &row.profile).map_err(refused)?;
    if replicas.is_some() && !access.is_hosted() {
        return Err(refused(instance::Refusal::NoReplicas));
    }
    let vault = app.store.vault();
    let access = reseal(row.access.clone(), row.id.0, id.0, vault).await;
    // It was deleted while its settings were read.
    let access = access.map_err(|error| if error.is_shredded(row.id.0) { deleted() } else { error })?;
    let edit = edit.seal(id.0, vault).await?;
    let (mut access, profile) = edit.apply(&access, &row.profile).map_err(refused)?;
    if let Some(replicas) = replicas {
        access.scale(replicas);
    }
    Ok(instance::Command::Create { name, access, profile, template: Some(row.id) })
}

/// What the decider would say.
fn deleted() -> Error {
    Error::Refused(template::Refusal::Deleted.into())
}

impl<'a> TemplateDocument<'a> {
    pub(crate) fn new(row: &'a TemplateRow) -> Self {
        TemplateDocument {
            id: row.id,
            name: &row.name,
            profile: ProfileDocument::new(&row.profile),
            access: AccessDocument::new(&row.access),
            from: row.from,
            created_at: row.created_at,
            updated_at: row.updated_at,
            revision: row.revision,
            sequence: row.sequence,
        }
    }
}

fn show_created_template(row: &TemplateRow) -> Response {
    let location = format!("{API}/templates/{}", row.id);
    (StatusCode::CREATED, [(LOCATION, location)], show(row)).into_response()
}

fn show(row: &TemplateRow) -> Response {
    ([(ETAG, format!("\"{}\"", row.revision))], axum::Json(TemplateDocument::new(row))).into_response()
}
