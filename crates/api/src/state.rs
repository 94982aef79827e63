//! What was so at an earlier moment, and what has changed between two. Told by the log, not by the views.

mod at;
mod then;

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::app::App;
use crate::error::Error;
use crate::extract::{Path, Query};
use crate::moment::Moment;
use crate::violation::Violations;
use at::{At, AtDocument};
pub(crate) use then::KINDS;
use then::{Kind, Then};

/// The query of `GET /state/{aggregate}/{id}`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ShowState {
    /// What was stored up to this moment counts. Now, if neither this nor `at_sequence` is given.
    #[schemars(with = "Option<Moment>")]
    at: Option<String>,
    /// What was stored up to this event counts.
    #[schemars(with = "Option<u64>")]
    at_sequence: Option<String>,
}

/// What was shown at a moment.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct StateDocument {
    #[serde(flatten)]
    at: AtDocument,
    /// What `GET` of it would have answered.
    state: Value,
}

/// `GET /state/{aggregate}/{id}`: what showing it would have answered then.
pub(crate) async fn show_state(
    State(app): State<App>,
    Path((aggregate, id)): Path<(String, String)>,
    Query(query): Query<ShowState>,
) -> Result<Response, Error> {
    let kind = Kind::parse(&aggregate)?;
    let (mut violations, now) = (Violations::default(), Timestamp::now());
    let wanted = at::one_of(query.at.as_deref(), query.at_sequence.as_deref(), now, &mut violations);
    violations.into_result()?;
    let at = At::resolve(&app.store, wanted).await?;
    let subject = kind.find(&app, &id, &[at]).await?;
    let state = then::tell(&app, kind, &subject, at).await?.into_document(&id)?;
    Ok(axum::Json(StateDocument { at: at.document(), state }).into_response())
}

/// The query of `GET /state/{aggregate}/{id}/diff`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct DiffState {
    /// A sequence or a moment.
    #[schemars(schema_with = "at::schema")]
    from: String,
    /// A sequence or a moment; now, if nothing is said.
    #[schemars(schema_with = "at::schema")]
    to: Option<String>,
}

/// What has changed between two moments.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct DiffDocument {
    from: AtDocument,
    to: AtDocument,
    /// Leads from what was shown before to what was shown after: a JSON Patch (RFC 6902). Where it did not exist,
    /// that is null.
    patch: Value,
    /// The same, place by place.
    changes: Vec<ChangeDocument>,
}

/// One step of a patch.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct ChangeDocument {
    /// A JSON Pointer (RFC 6901).
    path: String,
    /// Absent where nothing was there.
    #[serde(skip_serializing_if = "Option::is_none")]
    before: Option<Value>,
    /// Absent where nothing is there any more.
    #[serde(skip_serializing_if = "Option::is_none")]
    after: Option<Value>,
}

/// `GET /state/{aggregate}/{id}/diff`
pub(crate) async fn diff_state(
    State(app): State<App>,
    Path((aggregate, id)): Path<(String, String)>,
    Query(query): Query<DiffState>,
) -> Result<Response, Error> {
    let kind = Kind::parse(&aggregate)?;
    let (mut violations, now) = (Violations::default(), Timestamp::now());
    let from = at::parse("from", &query.from, now, &mut violations);
    let to = at::parse("to", query.to.as_deref().unwrap_or(at::NOW), now, &mut violations);
    violations.into_result()?;
    let (from, to) = (At::resolve(&app.store, from).await?, At::resolve(&app.store, to).await?);
    // A name means who has it in the end, or, if nobody does, who had it before.
    let subject = kind.find(&app, &id, &[to, from]).await?;
    let before = then::tell(&app, kind, &subject, from).await?;
    let after = then::tell(&app, kind, &subject, to).await?;
    if matches!((&before, &after), (Then::Never, _) | (_, Then::Never)) {
        return Err(Error::NeverExisted(id));
    }
    let (before, after) = (before.into_value(), after.into_value());
    let patch = json_patch::diff(&before, &after);
    let changes = changes(before, &patch);
    let patch = serde_json::to_value(patch).expect("a patch can be written as JSON");
    let document = DiffDocument { from: from.document(), to: to.document(), patch, changes };
    Ok(axum::Json(document).into_response())
}

/// The steps of a patch with what was there before each of them.
fn changes(mut document: Value, patch: &json_patch::Patch) -> Vec<ChangeDocument> {
    let mut changes = vec![];
    for operation in &patch.0 {
        let path = operation.path().to_string();
        let before = document.pointer(&path).cloned();
        let single = std::slice::from_ref(operation);
        json_patch::patch(&mut document, single).expect("a difference applies to what it was taken from");
        changes.push(match operation {
            // Adding to a list moves what was there.
            json_patch::PatchOperation::Add(add) => {
                ChangeDocument { path, before: None, after: Some(add.value.clone()) }
            }
            json_patch::PatchOperation::Remove(_) => ChangeDocument { path, before, after: None },
            json_patch::PatchOperation::Replace(_)
            | json_patch::PatchOperation::Move(_)
            | json_patch::PatchOperation::Copy(_)
            | json_patch::PatchOperation::Test(_) => {
                let after = document.pointer(&path).cloned();
                ChangeDocument { path, before, after }
            }
        });
    }
    changes
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn each_change_has_what_was_there_before() {
        let (before, after) = (
            json!({"a": 1, "list": ["x", "y"], "gone": null}),
            json!({"a": 2, "list": ["y"], "new": {"b": 1}}),
        );
        let found = changes(before.clone(), &json_patch::diff(&before, &after));
        let found = serde_json::to_value(found).unwrap();
        for expected in [
            json!({"path": "/a", "before": 1, "after": 2}),
            json!({"path": "/gone", "before": null}),
            json!({"path": "/new", "after": {"b": 1}}),
        ] {
            assert!(found.as_array().unwrap().contains(&expected), "{expected} in {found}");
        }
    }
}
