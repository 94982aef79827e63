//! Server-side apply: who has set which field, and what follows from that.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value};

/// The paths of fields, as people write them: `.data.k`, `.spec.ports[0].port`.
type Paths = BTreeSet<String>;

/// Which fields each manager has applied, kept in an annotation of the fake's own instead of the real `fieldsV1`.
pub(crate) type Owners = BTreeMap<String, Paths>;

/// Puts what a manager applies into an object.
///
/// # Errors
/// Others have set fields to other values: who, and which.
pub(crate) fn apply(
    object: &mut Value,
    owners: &mut Owners,
    manager: &str,
    applied: &Value,
    force: bool,
) -> Result<(), Vec<(String, String)>> {
    let mut paths = Paths::new();
    leaves(applied, String::new(), &mut paths);
    let conflicts = conflicts(object, owners, manager, applied, &paths);
    if !conflicts.is_empty() && !force {
        return Err(conflicts);
    }
    let before = owners.remove(manager).unwrap_or_default();
    for (_, path) in &conflicts {
        owners.values_mut().for_each(|owned| {
            owned.remove(path);
        });
    }
    // What it set and does not set any more goes, unless somebody else wants it.
    for path in before.difference(&paths) {
        if !owners.values().any(|owned| owned.contains(path)) {
            remove(object, path);
        }
    }
    merge(object, applied);
    owners.retain(|_, owned| !owned.is_empty());
    owners.insert(manager.to_owned(), paths);
    Ok(())
}

fn conflicts(
    object: &Value,
    owners: &Owners,
    manager: &str,
    applied: &Value,
    paths: &Paths,
) -> Vec<(String, String)> {
    let mut conflicts = vec![];
    for path in paths {
        let other = owners.iter().find(|(other, owned)| *other != manager && owned.contains(path));
        if let Some((other, _)) = other
            && at(object, path) != at(applied, path)
        {
            conflicts.push((other.clone(), path.clone()));
        }
    }
    conflicts
}

/// The fields that an object sets. Lists are of one piece here, which is enough for one manager of each list; what
/// names an object is nobody's field.
fn leaves(value: &Value, path: String, paths: &mut Paths) {
    match value {
        Value::Object(fields) if !fields.is_empty() => {
            for (name, value) in fields {
                let path = format!("{path}.{name}");
                if !matches!(
                    path.as_str(),
                    ".apiVersion" | ".kind" | ".metadata.name" | ".metadata.namespace"
                ) {
                    leaves(value, path, paths);
                }
            }
        }
        _ => {
            paths.insert(path);
        }
    }
}

fn merge(object: &mut Value, applied: &Value) {
    match (object, applied) {
        (Value::Object(object), Value::Object(applied)) => {
            for (name, value) in applied {
                merge(object.entry(name.clone()).or_insert(Value::Null), value);
            }
        }
        (object, applied) => *object = applied.clone(),
    }
}

fn at<'a>(value: &'a Value, path: &str) -> Option<&'a Value> {
    split(value, path).map(|(fields, name)| fields.get(&name)).unwrap_or_default()
}

fn remove(value: &mut Value, path: &str) {
    // Labels have dots in their names, so a path is walked by what is there.
    fn go(fields: &mut Map<String, Value>, path: &str) {
        if fields.remove(path).is_some() {
            return;
        }
        for (name, value) in fields.iter_mut() {
            if let (Some(rest), Value::Object(inner)) = (path.strip_prefix(&format!("{name}.")), value) {
                go(inner, rest);
            }
        }
    }
    if let Value::Object(fields) = value {
        go(fields, path.trim_start_matches('.'));
    }
}

fn split<'a>(value: &'a Value, path: &str) -> Option<(&'a Map<String, Value>, String)> {
    fn go<'a>(fields: &'a Map<String, Value>, path: &str) -> Option<(&'a Map<String, Value>, String)> {
        if fields.contains_key(path) {
            return Some((fields, path.to_owned()));
        }
        fields
            .iter()
            .find_map(|(name, value)| go(value.as_object()?, path.strip_prefix(&format!("{name}."))?))
    }
    go(value.as_object()?, path.trim_start_matches('.'))
}
