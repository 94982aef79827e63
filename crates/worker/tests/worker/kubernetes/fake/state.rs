//! The objects of the cluster and what happened to them, in one order.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};
use uuid::Uuid;

use super::now;
use super::refusal::{self, Refusal};
use super::resource::{DEPLOYMENTS, PODS, Resource};

/// Namespace and name.
type Name = (String, String);

/// Everything that the API server stores.
#[derive(Default)]
pub(crate) struct State {
    objects: BTreeMap<(Resource, Name), Value>,
    version: u64,
    /// What happened, oldest first; what watches tell.
    history: Vec<Happened>,
    /// Watches from before this version are told that it is too old.
    pub(crate) oldest: u64,
    /// What may not be done: verb and plural.
    pub(crate) forbidden: BTreeSet<(String, String)>,
    /// No more pods than this in a namespace.
    pub(crate) pods_max: Option<usize>,
}

/// One change of an object.
#[derive(Clone, Debug)]
pub(crate) struct Happened {
    pub(crate) version: u64,
    pub(crate) resource: Resource,
    pub(crate) namespace: String,
    pub(crate) what: &'static str,
    pub(crate) object: Value,
}

impl State {
    pub(crate) fn version(&self) -> u64 {
        self.version
    }

    pub(crate) fn since(&self, version: u64) -> impl Iterator<Item = &Happened> {
        self.history.iter().filter(move |happened| happened.version > version)
    }

    /// Forgets what happened, as a server does after a while.
    pub(crate) fn compact(&mut self) {
        self.version += 1;
        self.oldest = self.version;
        self.history.clear();
    }

    pub(crate) fn get(&self, resource: Resource, namespace: &str, name: &str) -> Option<&Value> {
        self.objects.get(&(resource, (namespace.to_owned(), name.to_owned())))
    }

    /// The objects of a namespace with these labels, by name.
    pub(crate) fn list(
        &self,
        resource: Resource,
        namespace: &str,
        labels: &[(String, String)],
    ) -> Vec<&Value> {
        let objects =
            self.objects.iter().filter(|((other, (space, _)), _)| *other == resource && space == namespace);
        objects.map(|(_, object)| object).filter(|object| has_labels(object, labels)).collect()
    }

    pub(crate) fn all(&self, resource: Resource) -> Vec<Value> {
        let objects = self.objects.iter().filter(|((other, _), _)| *other == resource);
        objects.map(|(_, object)| object.clone()).collect()
    }

    /// Adds an object that is not there.
    pub(crate) fn create(
        &mut self,
        resource: Resource,
        namespace: &str,
        mut object: Value,
    ) -> Result<Value, Refusal> {
        let name = object["metadata"]["name"].as_str().unwrap_or_default().to_owned();
        if self.get(resource, namespace, &name).is_some() {
            return Err(refusal::exists(resource, &name));
        }
        object["kind"] = resource.kind.into();
        object["apiVersion"] = resource.api_version().into();
        let metadata = &mut object["metadata"];
        metadata["namespace"] = namespace.into();
        metadata["uid"] = Uuid::new_v4().to_string().into();
        metadata["creationTimestamp"] = now();
        if resource == DEPLOYMENTS || resource == PODS {
            metadata["generation"] = json!(1);
        }
        Ok(self.put(resource, namespace, &name, "ADDED", object))
    }

    /// Replaces an object, unless nothing changes.
    pub(crate) fn replace(&mut self, resource: Resource, mut object: Value) -> Value {
        let namespace = object["metadata"]["namespace"].as_str().unwrap_or_default().to_owned();
        let name = object["metadata"]["name"].as_str().unwrap_or_default().to_owned();
        let Some(before) = self.get(resource, &namespace, &name) else { return object };
        object["metadata"]["resourceVersion"] = before["metadata"]["resourceVersion"].clone();
        if *before == object {
            return object;
        }
        if resource == DEPLOYMENTS && before["spec"] != object["spec"] {
            let generation = before["metadata"]["generation"].as_u64().unwrap_or_default() + 1;
            object["metadata"]["generation"] = generation.into();
        }
        self.put(resource, &namespace, &name, "MODIFIED", object)
    }

    /// Changes an object where it is, if it is there.
    pub(crate) fn edit(
        &mut self,
        resource: Resource,
        namespace: &str,
        name: &str,
        edit: impl FnOnce(&mut Value),
    ) {
        if let Some(object) = self.get(resource, namespace, name) {
            let mut object = object.clone();
            edit(&mut object);
            self.replace(resource, object);
        }
    }

    /// Removes an object for good.
    pub(crate) fn remove(&mut self, resource: Resource, namespace: &str, name: &str) {
        let key = (resource, (namespace.to_owned(), name.to_owned()));
        if let Some(mut object) = self.objects.remove(&key) {
            self.version += 1;
            object["metadata"]["resourceVersion"] = self.version.to_string().into();
            self.happened(resource, namespace, "DELETED", object);
        }
    }

    fn put(
        &mut self,
        resource: Resource,
        namespace: &str,
        name: &str,
        what: &'static str,
        mut object: Value,
    ) -> Value {
        self.version += 1;
        object["metadata"]["resourceVersion"] = self.version.to_string().into();
        self.objects.insert((resource, (namespace.to_owned(), name.to_owned())), object.clone());
        self.happened(resource, namespace, what, object.clone());
        object
    }

    fn happened(&mut self, resource: Resource, namespace: &str, what: &'static str, object: Value) {
        let (version, namespace) = (self.version, namespace.to_owned());
        self.history.push(Happened { version, resource, namespace, what, object });
    }
}

pub(crate) fn has_labels(object: &Value, labels: &[(String, String)]) -> bool {
    labels.iter().all(|(name, value)| object["metadata"]["labels"][name] == value.as_str())
}
