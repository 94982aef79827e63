//! What can be asked of an object: get, list, create, apply, replace, delete.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::apply::{Owners, apply};
use super::defaults::{check, fill_in};
use super::refusal::{self, Refusal};
use super::resource::{DEPLOYMENTS, PODS, Target};
use super::{Api, State, now};

/// The parameters of a request.
pub(crate) type Query = BTreeMap<String, String>;

type Answer = Result<(u16, Value), Refusal>;

pub(crate) fn get(api: &Api, target: &Target, name: &str) -> Answer {
    let state = api.state();
    let object = state.get(target.resource, &target.namespace, name);
    object.map(|object| (200, object.clone())).ok_or_else(|| refusal::not_found(target.resource, name))
}

pub(crate) fn list(api: &Api, target: &Target, query: &Query) -> Answer {
    let state = api.state();
    let all = state.list(target.resource, &target.namespace, &labels(query));
    // A page begins where the one before ended.
    let from: usize = query.get("continue").and_then(|from| from.parse().ok()).unwrap_or_default();
    let limit = query.get("limit").and_then(|limit| limit.parse().ok()).filter(|limit| *limit > 0);
    let to = all.len().min(from + limit.unwrap_or(usize::MAX - from));
    let mut metadata = json!({"resourceVersion": state.version().to_string()});
    if to < all.len() {
        metadata["continue"] = to.to_string().into();
        metadata["remainingItemCount"] = (all.len() - to).into();
    }
    let items = all[from.min(to)..to].iter().map(|object| {
        let mut object = (*object).clone();
        // Items of a list do not say what they are; the list does.
        if let Some(object) = object.as_object_mut() {
            object.remove("kind");
            object.remove("apiVersion");
        }
        object
    });
    let kind = format!("{}List", target.resource.kind);
    let version = target.resource.api_version();
    let items: Vec<Value> = items.collect();
    Ok((200, json!({"kind": kind, "apiVersion": version, "metadata": metadata, "items": items})))
}

/// The labels of a selector. The worker asks for equality only.
pub(crate) fn labels(query: &Query) -> Vec<(String, String)> {
    let selector = query.get("labelSelector").map(String::as_str).unwrap_or_default();
    let pairs = selector.split(',').filter_map(|pair| pair.split_once('='));
    pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}

pub(crate) fn create(api: &Api, target: &Target, mut object: Value) -> Answer {
    check(target.resource, &object)?;
    fill_in(target.resource, &mut object);
    api.change(|state| Ok((201, state.create(target.resource, &target.namespace, object)?)))
}

pub(crate) fn replace(api: &Api, target: &Target, name: &str, object: Value) -> Answer {
    check(target.resource, &object)?;
    api.change(|state| {
        let before = state.get(target.resource, &target.namespace, name);
        let before = before.ok_or_else(|| refusal::not_found(target.resource, name))?;
        let (asked, is) = (&object["metadata"]["resourceVersion"], &before["metadata"]["resourceVersion"]);
        if !asked.is_null() && asked != is {
            return Err(refusal::modified(target.resource, name));
        }
        Ok((200, state.replace(target.resource, object)))
    })
}

/// Server-side apply.
pub(crate) fn patch(api: &Api, target: &Target, name: &str, applied: &Value, query: &Query) -> Answer {
    let manager = query.get("fieldManager").cloned().unwrap_or_default();
    let force = query.get("force").is_some_and(|force| force == "true");
    api.change(|state| {
        let before = state.get(target.resource, &target.namespace, name).cloned();
        let mut object = before.clone().unwrap_or_else(|| json!({"metadata": {"name": name}}));
        let mut owners = owners(&object);
        apply(&mut object, &mut owners, &manager, applied, force)
            .map_err(|conflicts| refusal::manager_conflict(&conflicts))?;
        object["metadata"]["managedFields"] = managed_fields(&owners);
        check(target.resource, &object)?;
        fill_in(target.resource, &mut object);
        match before {
            Some(_) => Ok((200, state.replace(target.resource, object))),
            None => Ok((201, state.create(target.resource, &target.namespace, object)?)),
        }
    })
}

fn owners(object: &Value) -> Owners {
    let entries = object["metadata"]["managedFields"].as_array().cloned().unwrap_or_default();
    let owned = entries.into_iter().filter_map(|entry| {
        let paths = entry["fieldsV1"]["paths"].as_array()?.iter();
        let paths = paths.filter_map(|path| Some(path.as_str()?.to_owned())).collect();
        Some((entry["manager"].as_str()?.to_owned(), paths))
    });
    owned.collect()
}

fn managed_fields(owners: &Owners) -> Value {
    let entries = owners.iter().map(|(manager, paths)| {
        json!({"manager": manager, "operation": "Apply", "fieldsType": "FieldsV1", "fieldsV1": {"paths": paths}})
    });
    entries.collect()
}

pub(crate) fn delete(api: &Api, target: &Target, name: &str, options: &Value) -> Answer {
    api.change(|state| {
        let found = state.get(target.resource, &target.namespace, name).cloned();
        let mut object = found.ok_or_else(|| refusal::not_found(target.resource, name))?;
        let wanted = &options["preconditions"]["uid"];
        if !wanted.is_null() && *wanted != object["metadata"]["uid"] {
            return Err(refusal::uid_differs(target.resource, name));
        }
        let foreground = options["propagationPolicy"] == "Foreground";
        if target.resource == PODS || (target.resource == DEPLOYMENTS && foreground) {
            // Gone when its containers are, or what it owns is: the kubelet sees to both.
            object["metadata"]["deletionTimestamp"] = now();
            object["metadata"]["deletionGracePeriodSeconds"] =
                if target.resource == PODS { json!(1) } else { json!(0) };
            if foreground {
                object["metadata"]["finalizers"] = json!(["foregroundDeletion"]);
            }
            return Ok((200, state.replace(target.resource, object)));
        }
        state.remove(target.resource, &target.namespace, name);
        collect(state, &object);
        let resource = target.resource;
        let details = json!({"name": name, "group": resource.group, "kind": resource.plural, "uid": object["metadata"]["uid"]});
        let status = json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "details": details});
        Ok((200, status))
    })
}

/// What an object owned goes with it.
pub(crate) fn collect(state: &mut State, owner: &Value) {
    use super::resource::{POLICIES, SECRETS, SERVICES, SLICES};
    for resource in [SERVICES, POLICIES, SECRETS, SLICES] {
        for object in state.all(resource) {
            let mut owners = object["metadata"]["ownerReferences"].as_array().into_iter().flatten();
            if owners.any(|reference| reference["uid"] == owner["metadata"]["uid"]) {
                let metadata = &object["metadata"];
                let own = |field: &str| metadata[field].as_str().unwrap_or_default().to_owned();
                state.remove(resource, &own("namespace"), &own("name"));
            }
        }
    }
    for pod in state.all(PODS) {
        if pod["metadata"]["ownerReferences"][0]["uid"] == owner["metadata"]["uid"]
            && pod["metadata"]["deletionTimestamp"].is_null()
        {
            let metadata = &pod["metadata"];
            let own = |field: &str| metadata[field].as_str().unwrap_or_default().to_owned();
            state.edit(PODS, &own("namespace"), &own("name"), |pod| {
                pod["metadata"]["deletionTimestamp"] = now();
                pod["metadata"]["deletionGracePeriodSeconds"] = json!(1);
            });
        }
    }
}
