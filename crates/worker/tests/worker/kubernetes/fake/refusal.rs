//! What the API server says when it does not do what it is asked: status, reason, words and details as recorded.

use serde_json::{Value, json};

use super::resource::Resource;

/// A refusal.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Refusal {
    pub(crate) code: u16,
    pub(crate) body: Value,
}

fn refusal(code: u16, reason: &str, message: String, details: Option<Value>) -> Refusal {
    let mut body = json!({
        "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
        "message": message, "reason": reason, "code": code,
    });
    if let Some(details) = details {
        body["details"] = details;
    }
    Refusal { code, body }
}

fn details(resource: Resource, name: &str, kind: &str) -> Value {
    let mut details = json!({"name": name, "kind": kind});
    if !resource.group.is_empty() {
        details["group"] = resource.group.into();
    }
    details
}

pub(crate) fn not_found(resource: Resource, name: &str) -> Refusal {
    let message = format!("{} \"{name}\" not found", resource.qualified());
    refusal(404, "NotFound", message, Some(details(resource, name, resource.plural)))
}

pub(crate) fn exists(resource: Resource, name: &str) -> Refusal {
    let message = format!("{} \"{name}\" already exists", resource.qualified());
    refusal(409, "AlreadyExists", message, Some(details(resource, name, resource.plural)))
}

pub(crate) fn modified(resource: Resource, name: &str) -> Refusal {
    let message = format!(
        "Operation cannot be fulfilled on {} \"{name}\": the object has been modified; please apply your changes to \
         the latest version and try again",
        resource.qualified()
    );
    refusal(409, "Conflict", message, Some(details(resource, name, resource.plural)))
}

pub(crate) fn uid_differs(resource: Resource, name: &str) -> Refusal {
    let message = format!(
        "Operation cannot be fulfilled on {} \"{name}\": Precondition failed: UID in precondition does not match",
        resource.qualified()
    );
    refusal(409, "Conflict", message, Some(details(resource, name, resource.plural)))
}

pub(crate) fn manager_conflict(conflicts: &[(String, String)]) -> Refusal {
    let (manager, field) = &conflicts[0];
    let count = conflicts.len();
    let message = match count {
        1 => format!("Apply failed with 1 conflict: conflict with \"{manager}\": {field}"),
        _ => format!("Apply failed with {count} conflicts: conflict with \"{manager}\": {field}"),
    };
    let causes = conflicts.iter().map(|(manager, field)| {
        json!({"reason": "FieldManagerConflict", "message": format!("conflict with \"{manager}\""), "field": field})
    });
    refusal(409, "Conflict", message, Some(json!({"causes": causes.collect::<Vec<_>>()})))
}

pub(crate) fn invalid(resource: Resource, name: &str, field: &str, why: &str) -> Refusal {
    let message = format!("{} \"{name}\" is invalid: {field}: {why}", resource.qualified_kind());
    let mut details = details(resource, name, resource.kind);
    details["causes"] = json!([{"reason": "FieldValueInvalid", "message": why, "field": field}]);
    refusal(422, "Invalid", message, Some(details))
}

pub(crate) fn bad_request(message: String) -> Refusal {
    refusal(400, "BadRequest", message, None)
}

pub(crate) fn unauthorized() -> Refusal {
    refusal(401, "Unauthorized", "Unauthorized".to_owned(), None)
}

pub(crate) fn forbidden(resource: Resource, verb: &str, namespace: &str, user: &str) -> Refusal {
    let message = format!(
        "{} is forbidden: User \"{user}\" cannot {verb} resource \"{}\" in API group \"{}\" in the namespace \
         \"{namespace}\"",
        resource.qualified(),
        resource.plural,
        resource.group
    );
    let details = json!({"group": resource.group, "kind": resource.plural});
    refusal(403, "Forbidden", message, Some(details))
}

/// In the stream of a watch.
pub(crate) fn expired(asked: u64, oldest: u64) -> Value {
    let message = format!("too old resource version: {asked} ({oldest})");
    refusal(410, "Expired", message, None).body
}

pub(crate) fn unknown(what: &str) -> Refusal {
    refusal(501, "NotImplemented", format!("the fake cluster does not know {what}"), None)
}
