//! What lies on the cluster, as far as it is ours.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use domain::{InstanceId, ReplicaId};
use k8s_openapi::api::core::v1::Pod;
use k8s_openapi::api::discovery::v1::EndpointSlice;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::core::DynamicObject;
use serde_json::Value;
use uuid::Uuid;

use super::condition::{Condition, condition};
use super::kind::Kind;
use super::manifest::MCP_PORT;
use super::naming;

/// Everything of ours on the cluster at one moment.
#[derive(Clone, Debug, Default)]
pub(crate) struct Seen {
    pub(crate) objects: BTreeMap<ObjectKey, Arc<SeenObject>>,
    pub(crate) pods: BTreeMap<(InstanceId, ReplicaId), SeenPod>,
    /// Where the pods are reached that may be.
    pub(crate) endpoints: BTreeMap<ReplicaId, SocketAddr>,
}

/// Whose it is, what it is, and what it is called.
pub(crate) type ObjectKey = (InstanceId, Kind, String);

/// An object of ours.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct SeenObject {
    /// Of a secret.
    pub(crate) generation: Option<u64>,
    pub(crate) uid: String,
    /// Whether it is being deleted already.
    pub(crate) leaving: bool,
    pub(crate) body: Value,
}

/// A pod of ours.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SeenPod {
    pub(crate) generation: u64,
    pub(crate) name: String,
    pub(crate) condition: Condition,
    /// How often its server was started anew.
    pub(crate) restarts: i32,
    /// Whether its server has ever been started, so that it may have written something.
    pub(crate) has_run: bool,
}

impl Seen {
    /// The objects of an instance.
    pub(crate) fn objects_of(
        &self,
        instance: InstanceId,
    ) -> impl Iterator<Item = (&ObjectKey, &Arc<SeenObject>)> {
        let first = (instance, Kind::Secret, String::new());
        self.objects.range(first..).take_while(move |(key, _)| key.0 == instance)
    }

    /// The pods of an instance.
    pub(crate) fn pods_of(&self, instance: InstanceId) -> impl Iterator<Item = (ReplicaId, &SeenPod)> {
        let pods = self.pods.range((instance, ReplicaId(Uuid::nil()))..);
        pods.take_while(move |(key, _)| key.0 == instance).map(|(key, pod)| (key.1, pod))
    }
}

impl SeenObject {
    /// None of what is not an instance's.
    pub(crate) fn read(kind: Kind, object: &DynamicObject) -> Option<(ObjectKey, Arc<SeenObject>)> {
        let metadata = &object.metadata;
        let mut body = object.data.clone();
        if let Value::Object(body) = &mut body {
            // What secrets hold is not for keeping.
            body.remove("data");
            body.insert("metadata".to_owned(), serde_json::to_value(metadata).ok()?);
            if let Some(types) = &object.types {
                body.insert("apiVersion".to_owned(), types.api_version.clone().into());
                body.insert("kind".to_owned(), types.kind.clone().into());
            }
        }
        let key = (instance(metadata)?, kind, metadata.name.clone()?);
        let seen = SeenObject {
            generation: generation(metadata),
            uid: metadata.uid.clone()?,
            leaving: metadata.deletion_timestamp.is_some(),
            body,
        };
        Some((key, Arc::new(seen)))
    }
}

impl SeenPod {
    /// None of what is not an instance's. A pod's uid is its replica's id.
    pub(crate) fn read(pod: &Pod) -> Option<((InstanceId, ReplicaId), SeenPod)> {
        let metadata = &pod.metadata;
        let statuses = pod.status.as_ref().and_then(|status| status.container_statuses.as_ref());
        let server = statuses.and_then(|statuses| statuses.first());
        let has_run = server.is_some_and(|status| {
            let state = status.state.as_ref();
            status.restart_count > 0
                || state.is_some_and(|state| state.running.is_some() || state.terminated.is_some())
        });
        let seen = SeenPod {
            generation: generation(metadata)?,
            name: metadata.name.clone()?,
            condition: condition(pod),
            restarts: server.map_or(0, |status| status.restart_count),
            has_run,
        };
        Some(((instance(metadata)?, metadata.uid.as_deref()?.parse().ok()?), seen))
    }
}

/// The endpoints of a slice that may be called.
pub(crate) fn ready_endpoints(slice: &EndpointSlice) -> Vec<(ReplicaId, SocketAddr)> {
    let ours = |port: &&k8s_openapi::api::discovery::v1::EndpointPort| port.port.is_some();
    let port = slice.ports.iter().flatten().find(ours).and_then(|port| port.port).unwrap_or(MCP_PORT);
    let Ok(port) = u16::try_from(port) else { return vec![] };
    let ready = slice.endpoints.iter().flatten().filter(|endpoint| {
        let conditions = endpoint.conditions.as_ref();
        // Not said means ready, as the API has it.
        conditions
            .is_none_or(|conditions| conditions.ready != Some(false) && conditions.terminating != Some(true))
    });
    let address = |endpoint: &k8s_openapi::api::discovery::v1::Endpoint| {
        let replica = endpoint.target_ref.as_ref()?.uid.as_deref()?.parse().ok()?;
        let address: IpAddr = endpoint.addresses.first()?.parse().ok()?;
        Some((replica, SocketAddr::new(address, port)))
    };
    ready.filter_map(address).collect()
}

fn label<'a>(metadata: &'a ObjectMeta, label: &str) -> Option<&'a str> {
    metadata.labels.as_ref()?.get(label).map(String::as_str)
}

fn instance(metadata: &ObjectMeta) -> Option<InstanceId> {
    label(metadata, naming::INSTANCE)?.parse().ok()
}

fn generation(metadata: &ObjectMeta) -> Option<u64> {
    label(metadata, naming::GENERATION)?.parse().ok()
}
