//! What an instance is on a cluster: a Deployment, a Service and a NetworkPolicy, and of each generation a Secret.
//!
//! Pure: settings in, objects out, as they are applied. Nothing in them depends on when or by whom they are made, so
//! that what lies on the cluster can be compared with what should.

mod pod;
mod quantity;

use std::collections::BTreeMap;

use domain::InstanceId;
use domain::instance::{Hosted, Mount};
use k8s_openapi::ByteString;
use k8s_openapi::api::apps::v1::{Deployment, DeploymentSpec, DeploymentStrategy, RollingUpdateDeployment};
use k8s_openapi::api::core::v1::{PodTemplateSpec, Secret, Service, ServicePort, ServiceSpec};
use k8s_openapi::api::networking::v1::{
    IPBlock, NetworkPolicy, NetworkPolicyIngressRule, NetworkPolicyPeer, NetworkPolicyPort, NetworkPolicySpec,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{
    LabelSelector, LabelSelectorRequirement, ObjectMeta, OwnerReference,
};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use serde_json::Value;

use super::config::Pods;
use super::kind::Kind;
use super::naming;
pub(crate) use pod::SERVER;

/// Where the bridge listens.
pub(crate) const MCP_PORT: i32 = 8080;
const MCP_PORT_NAME: &str = "mcp";
/// How many old ReplicaSets a Deployment keeps: the platform goes back by an edit, not by them.
const REVISION_HISTORY: i32 = 1;
/// What says in which part of the platform a pod runs.
const COMPONENT: &str = "app.kubernetes.io/component";

/// Why an instance cannot run on Kubernetes: a sentence for a person.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub(crate) struct Impossible(pub(crate) String);

/// An instance as the manifests need it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Wish<'a> {
    pub(crate) id: InstanceId,
    pub(crate) name: &'a str,
    pub(crate) generation: u64,
    /// 0 where it is wanted to stand still.
    pub(crate) replicas: u16,
    pub(crate) hosted: &'a Hosted,
}

/// One object as it is applied.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Object {
    pub(crate) kind: Kind,
    pub(crate) name: String,
    pub(crate) body: Value,
}

/// Everything of an instance but its secrets. `owner` is the uid of its Deployment, once there is one: what it owns
/// goes with it, even if nobody of ours is there to see.
///
/// # Errors
/// No pod can run what the instance asks for.
pub(crate) fn objects(pods: &Pods, wish: &Wish<'_>, owner: Option<&str>) -> Result<Vec<Object>, Impossible> {
    let deployment = deployment(pods, wish)?;
    let meta = |owned: bool| metadata(pods, wish.id, naming::object_name(wish.id), owner.filter(|_| owned));
    let mut deployment_meta = meta(false);
    deployment_meta.annotations =
        Some(BTreeMap::from([(naming::INSTANCE_NAME.to_owned(), wish.name.to_owned())]));
    Ok(vec![
        object(Kind::Service, Service { metadata: meta(true), spec: Some(service(wish.id)), status: None }),
        object(
            Kind::NetworkPolicy,
            NetworkPolicy { metadata: meta(true), spec: Some(network_policy(pods, wish)) },
        ),
        object(
            Kind::Deployment,
            Deployment { metadata: deployment_meta, spec: Some(deployment), status: None },
        ),
    ])
}

/// The secret of one generation. It never changes: another generation gets another one.
pub(crate) fn secret(
    pods: &Pods,
    instance: InstanceId,
    generation: u64,
    values: BTreeMap<String, Vec<u8>>,
) -> Secret {
    let mut metadata = metadata(pods, instance, naming::secret_name(instance, generation), None);
    let mut labels = naming::labels(&pods.platform, instance);
    labels.insert(naming::GENERATION.to_owned(), generation.to_string());
    metadata.labels = Some(labels);
    let data = values.into_iter().map(|(name, value)| (name, ByteString(value))).collect();
    Secret { metadata, data: Some(data), immutable: Some(true), ..Default::default() }
}

fn object(kind: Kind, typed: impl serde::Serialize + k8s_openapi::Metadata<Ty = ObjectMeta>) -> Object {
    let name = typed.metadata().name.clone().expect("every object of ours has a name");
    let body = serde_json::to_value(&typed).expect("objects of Kubernetes are JSON");
    Object { kind, name, body }
}

fn metadata(pods: &Pods, instance: InstanceId, name: String, owner: Option<&str>) -> ObjectMeta {
    let owner = owner.map(|uid| OwnerReference {
        api_version: "apps/v1".to_owned(),
        kind: "Deployment".to_owned(),
        name: naming::object_name(instance),
        uid: uid.to_owned(),
        ..Default::default()
    });
    ObjectMeta {
        name: Some(name),
        labels: Some(naming::labels(&pods.platform, instance)),
        owner_references: owner.map(|owner| vec![owner]),
        ..Default::default()
    }
}

/// What the pods of an instance are found by. A Deployment's selector can never change, so nothing else is in it.
fn pod_selector(id: InstanceId) -> BTreeMap<String, String> {
    BTreeMap::from([(naming::INSTANCE.to_owned(), id.to_string())])
}

fn deployment(pods: &Pods, wish: &Wish<'_>) -> Result<DeploymentSpec, Impossible> {
    let mut labels = naming::labels(&pods.platform, wish.id);
    labels.insert(naming::GENERATION.to_owned(), wish.generation.to_string());
    let secret = naming::secret_name(wish.id, wish.generation);
    Ok(DeploymentSpec {
        replicas: Some(i32::from(wish.replicas)),
        revision_history_limit: Some(REVISION_HISTORY),
        selector: LabelSelector { match_labels: Some(pod_selector(wish.id)), ..Default::default() },
        strategy: Some(strategy(wish.hosted)),
        template: PodTemplateSpec {
            metadata: Some(ObjectMeta { labels: Some(labels), ..Default::default() }),
            spec: Some(pod::spec(pods, wish.hosted, &secret)?),
        },
        ..Default::default()
    })
}

/// The new come before the old go, unless both would write to one volume.
fn strategy(hosted: &Hosted) -> DeploymentStrategy {
    let writes = |mount: &Mount| matches!(mount, Mount::Claim { read_only: false, .. });
    if hosted.mounts.values().any(writes) {
        return DeploymentStrategy { type_: Some("Recreate".to_owned()), rolling_update: None };
    }
    DeploymentStrategy {
        type_: Some("RollingUpdate".to_owned()),
        rolling_update: Some(RollingUpdateDeployment {
            max_surge: Some(IntOrString::Int(1)),
            max_unavailable: Some(IntOrString::Int(0)),
        }),
    }
}

fn service(id: InstanceId) -> ServiceSpec {
    ServiceSpec {
        selector: Some(pod_selector(id)),
        ports: Some(vec![ServicePort {
            name: Some(MCP_PORT_NAME.to_owned()),
            port: MCP_PORT,
            protocol: Some("TCP".to_owned()),
            target_port: Some(IntOrString::String(MCP_PORT_NAME.to_owned())),
            ..Default::default()
        }]),
        type_: Some("ClusterIP".to_owned()),
        ..Default::default()
    }
}

/// Gateways and workers get in, and nobody else; to the ports that the server opens beside MCP, everybody.
fn network_policy(pods: &Pods, wish: &Wish<'_>) -> NetworkPolicySpec {
    let port = |number: i32| NetworkPolicyPort {
        port: Some(IntOrString::Int(number)),
        protocol: Some("TCP".to_owned()),
        end_port: None,
    };
    let blocks = pods.allow_from.iter().map(|cidr| NetworkPolicyPeer {
        ip_block: Some(IPBlock { cidr: cidr.clone(), except: None }),
        ..Default::default()
    });
    let from = std::iter::once(platform_pods(pods)).chain(blocks).collect();
    let mut ingress = vec![NetworkPolicyIngressRule { from: Some(from), ports: Some(vec![port(MCP_PORT)]) }];
    let open = wish.hosted.ports.iter().filter(|open| i32::from(**open) != MCP_PORT);
    let open: Vec<_> = open.map(|open| port(i32::from(*open))).collect();
    if !open.is_empty() {
        ingress.push(NetworkPolicyIngressRule { from: None, ports: Some(open) });
    }
    NetworkPolicySpec {
        pod_selector: Some(LabelSelector { match_labels: Some(pod_selector(wish.id)), ..Default::default() }),
        policy_types: Some(vec!["Ingress".to_owned()]),
        ingress: Some(ingress),
        egress: None,
    }
}

/// The pods of our own gateways and workers.
fn platform_pods(pods: &Pods) -> NetworkPolicyPeer {
    let roles = LabelSelectorRequirement {
        key: COMPONENT.to_owned(),
        operator: "In".to_owned(),
        values: Some(vec!["gateway".to_owned(), "worker".to_owned()]),
    };
    let namespace = pods.platform_namespace.as_ref().map(|name| LabelSelector {
        match_labels: Some(BTreeMap::from([("kubernetes.io/metadata.name".to_owned(), name.clone())])),
        ..Default::default()
    });
    NetworkPolicyPeer {
        namespace_selector: namespace,
        pod_selector: Some(LabelSelector {
            match_labels: Some(BTreeMap::from([(
                "app.kubernetes.io/part-of".to_owned(),
                naming::MANAGER.to_owned(),
            )])),
            match_expressions: Some(vec![roles]),
        }),
        ip_block: None,
    }
}

#[cfg(test)]
mod tests;
