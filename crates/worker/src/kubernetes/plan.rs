//! What has to be done on the cluster so that it holds what it should: a pure function.
//!
//! Made anew from everything that is seen, never from what has just changed. Whatever was begun and not finished, by
//! whomever, is seen as it is and carried on.

mod covers;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use domain::InstanceId;
use domain::instance::Hosted;
use views::InstanceRow;

use super::config::Pods;
use super::kind::Kind;
use super::manifest::{self, Impossible, Object, Wish};
use super::naming;
use super::seen::{ObjectKey, Seen, SeenObject};
use covers::covers;

/// One thing to do.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Action {
    /// Make the secret of a generation; its Deployment follows once it is there.
    MakeSecret { instance: InstanceId, generation: u64 },
    /// Make an object what it should be.
    Apply { instance: InstanceId, object: Object },
    /// Remove an object of an instance that does not need it. The uid says which: one of the same name may follow.
    Delete { instance: InstanceId, kind: Kind, name: String, uid: String },
    /// Remove whatever there is of an instance without a row, once the log confirms that it was deleted.
    Bury { instance: InstanceId },
}

impl Action {
    /// What is done, for the worker's own log.
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Action::MakeSecret { .. } => "make secret",
            Action::Apply { object, .. } => object.kind.apply_name(),
            Action::Delete { .. } => "delete",
            Action::Bury { .. } => "bury",
        }
    }

    pub(crate) fn instance(&self) -> InstanceId {
        match self {
            Action::MakeSecret { instance, .. }
            | Action::Apply { instance, .. }
            | Action::Delete { instance, .. }
            | Action::Bury { instance } => *instance,
        }
    }
}

/// What to do, and what cannot be done.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Plan {
    pub(crate) actions: Vec<Action>,
    pub(crate) impossible: BTreeMap<InstanceId, Impossible>,
}

/// Compares what is wanted with what is seen.
pub(crate) fn plan(pods: &Pods, rows: &BTreeMap<InstanceId, &InstanceRow>, seen: &Seen) -> Plan {
    let mut plan = Plan::default();
    for row in rows.values() {
        match row.access.hosted() {
            Some(hosted) => want(pods, row, hosted, seen, &mut plan),
            None => plan.actions.extend(removal(seen, row.id)),
        }
    }
    let instances = seen.objects.keys().map(|(instance, ..)| *instance);
    let orphans: BTreeSet<InstanceId> = instances.filter(|instance| !rows.contains_key(instance)).collect();
    plan.actions.extend(orphans.into_iter().map(|instance| Action::Bury { instance }));
    plan
}

/// The removal of everything that is seen of an instance.
pub(crate) fn removal(seen: &Seen, instance: InstanceId) -> Vec<Action> {
    seen.objects_of(instance).filter_map(|(key, object)| delete(key, object)).collect()
}

fn want(pods: &Pods, row: &InstanceRow, hosted: &Hosted, seen: &Seen, plan: &mut Plan) {
    let deployment = seen.objects.get(&(row.id, Kind::Deployment, naming::object_name(row.id)));
    // What never ran needs nothing to stand still.
    if row.wanted || deployment.is_some() {
        let replicas = if row.wanted { hosted.replicas } else { 0 };
        let wish = Wish { id: row.id, name: row.name.as_str(), generation: row.generation, replicas, hosted };
        let owner =
            deployment.filter(|deployment| !deployment.leaving).map(|deployment| deployment.uid.as_str());
        match manifest::objects(pods, &wish, owner) {
            Ok(objects) => apply(row, objects, seen, plan),
            Err(impossible) => {
                plan.impossible.insert(row.id, impossible);
                // An older generation may still run; this one is what people want to hear about.
            }
        }
    }
    let leftover = |(key, object): (&ObjectKey, &Arc<SeenObject>)| {
        let generation = object.generation.filter(|_| key.1 == Kind::Secret)?;
        let is_needed = row.wanted && generation >= row.generation
            || seen.pods_of(row.id).any(|(_, pod)| pod.generation == generation);
        if is_needed { None } else { delete(key, object) }
    };
    plan.actions.extend(seen.objects_of(row.id).filter_map(leftover));
}

fn apply(row: &InstanceRow, objects: Vec<Object>, seen: &Seen, plan: &mut Plan) {
    let secret = (row.id, Kind::Secret, naming::secret_name(row.id, row.generation));
    let has_secret = seen.objects.get(&secret).is_some_and(|secret| !secret.leaving);
    if row.wanted && !has_secret {
        plan.actions.push(Action::MakeSecret { instance: row.id, generation: row.generation });
    }
    for object in objects {
        // Pods whose secret is not there would fail, and people would be told.
        if object.kind == Kind::Deployment && row.wanted && !has_secret {
            continue;
        }
        let found = seen.objects.get(&(row.id, object.kind, object.name.clone()));
        if !found.is_some_and(|found| covers(&found.body, &object.body)) {
            plan.actions.push(Action::Apply { instance: row.id, object });
        }
    }
}

fn delete((instance, kind, name): &ObjectKey, object: &SeenObject) -> Option<Action> {
    let (name, uid) = (name.clone(), object.uid.clone());
    (!object.leaving).then_some(Action::Delete { instance: *instance, kind: *kind, name, uid })
}

#[cfg(test)]
mod tests;
