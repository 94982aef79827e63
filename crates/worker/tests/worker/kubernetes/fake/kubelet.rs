//! Controllers, scheduler and kubelet in one: Deployments get pods, pods run as processes of this machine, and both
//! go through the states that real ones were recorded in.

mod container;
mod pod;

use std::collections::BTreeSet;
use std::sync::Arc;

use serde_json::{Value, json};
use tokio::task::JoinSet;

use super::resource::{DEPLOYMENTS, PODS, SERVICES, SLICES};
use super::state::{State, has_labels};
use super::verbs::collect;
use super::{Api, now};

/// Looks at everything whenever anything has changed.
pub(super) async fn run(api: Arc<Api>) {
    let mut changed = api.changed.subscribe();
    let mut pods = JoinSet::new();
    let mut known = BTreeSet::<String>::new();
    loop {
        changed.mark_unchanged();
        let before = api.state().version();
        roll_out(&mut api.state());
        fill_slices(&mut api.state());
        if api.state().version() != before {
            api.changed.send_modify(|count| *count += 1);
        }
        for pod in api.state().all(PODS) {
            let uid = text(&pod["metadata"]["uid"]);
            if known.insert(uid) {
                pods.spawn(pod::run(Arc::clone(&api), pod));
            }
        }
        if changed.changed().await.is_err() {
            return;
        }
    }
}

/// What the controllers of Deployments and ReplicaSets do.
fn roll_out(state: &mut State) {
    for deployment in state.all(DEPLOYMENTS) {
        let (namespace, name) =
            (text(&deployment["metadata"]["namespace"]), text(&deployment["metadata"]["name"]));
        let pods: Vec<Value> = state.all(PODS).into_iter().filter(|pod| is_of(pod, &deployment)).collect();
        if !deployment["metadata"]["deletionTimestamp"].is_null() {
            collect(state, &deployment);
            if pods.is_empty() {
                state.remove(DEPLOYMENTS, &namespace, &name);
            }
            continue;
        }
        let template = hash(&deployment["spec"]["template"]);
        let wanted =
            usize::try_from(deployment["spec"]["replicas"].as_u64().unwrap_or(1)).unwrap_or_default();
        let alive = |pod: &&Value| {
            pod["metadata"]["deletionTimestamp"].is_null() && pod["status"]["phase"] != "Failed"
        };
        let (new, old): (Vec<&Value>, Vec<&Value>) = pods
            .iter()
            .filter(alive)
            .partition(|pod| pod["metadata"]["labels"]["pod-template-hash"] == template.as_str());
        let ready = new.iter().filter(|pod| is_ready(pod)).count();
        let recreate = deployment["spec"]["strategy"]["type"] == "Recreate";
        let mut trouble = None;
        if new.len() < wanted && !(recreate && !pods.is_empty() && new.is_empty()) {
            // One at a time is a surge of one.
            let surge = new.len() + old.len() <= wanted || old.is_empty();
            if surge {
                let count = state
                    .all(PODS)
                    .iter()
                    .filter(|pod| pod["metadata"]["namespace"] == namespace.as_str())
                    .count();
                match state.pods_max.filter(|most| count >= *most) {
                    Some(most) => trouble = Some(quota(&name, &template, most)),
                    None => add_pod(state, &deployment, &template),
                }
            }
        }
        let goes =
            if recreate { old.len() } else { (ready + old.len()).saturating_sub(wanted).min(old.len()) };
        let surplus = new.len().saturating_sub(wanted);
        for pod in old.iter().take(goes).chain(new.iter().rev().take(surplus)) {
            state.edit(PODS, &namespace, &text(&pod["metadata"]["name"]), |pod| {
                pod["metadata"]["deletionTimestamp"] = now();
                pod["metadata"]["deletionGracePeriodSeconds"] = json!(1);
            });
        }
        state.edit(DEPLOYMENTS, &namespace, &name, |deployment| {
            let status = &mut deployment["status"];
            status["replicas"] = pods.len().into();
            status["readyReplicas"] = ready.into();
            status["conditions"] = trouble.map_or_else(|| json!([]), |trouble| json!([trouble]));
        });
    }
}

fn quota(name: &str, template: &str, most: usize) -> Value {
    let message = format!(
        "pods \"{name}-{template}-{}\" is forbidden: exceeded quota: pods, requested: pods=1, used: pods={most}, \
         limited: pods={most}",
        suffix()
    );
    json!({"type": "ReplicaFailure", "status": "True", "reason": "FailedCreate", "message": message})
}

fn add_pod(state: &mut State, deployment: &Value, template: &str) {
    let (namespace, name) =
        (text(&deployment["metadata"]["namespace"]), text(&deployment["metadata"]["name"]));
    let mut labels = deployment["spec"]["template"]["metadata"]["labels"].clone();
    labels["pod-template-hash"] = template.into();
    // The real owner is a ReplicaSet; nobody here looks at those.
    let owner = json!({"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": format!("{name}-{template}"),
        "uid": deployment["metadata"]["uid"], "controller": true, "blockOwnerDeletion": true});
    let metadata = json!({"name": format!("{name}-{template}-{}", suffix()),
        "generateName": format!("{name}-{template}-"), "labels": labels, "ownerReferences": [owner]});
    let pod = json!({"metadata": metadata, "spec": deployment["spec"]["template"]["spec"],
        "status": {"phase": "Pending", "qosClass": "Burstable"}});
    let _ = state.create(PODS, &namespace, pod);
}

/// What the controller of EndpointSlices does.
fn fill_slices(state: &mut State) {
    for service in state.all(SERVICES) {
        let (namespace, name) = (text(&service["metadata"]["namespace"]), text(&service["metadata"]["name"]));
        let selector: Vec<(String, String)> = service["spec"]["selector"]
            .as_object()
            .into_iter()
            .flatten()
            .map(|(name, value)| (name.clone(), text(value)))
            .collect();
        let selected = |pod: &&Value| has_labels(pod, &selector) && pod["status"]["podIP"].is_string();
        let endpoints = state
            .list(PODS, &namespace, &[])
            .into_iter()
            .filter(selected)
            .filter(|pod| pod["status"]["phase"] == "Running");
        let endpoints = endpoints.map(|pod| {
            let terminating = !pod["metadata"]["deletionTimestamp"].is_null();
            let ready = is_ready(pod) && !terminating;
            json!({"addresses": [pod["status"]["podIP"]],
                "conditions": {"ready": ready, "serving": is_ready(pod), "terminating": terminating},
                "targetRef": {"kind": "Pod", "namespace": namespace, "name": pod["metadata"]["name"], "uid": pod["metadata"]["uid"]},
                "nodeName": "node1"})
        });
        let endpoints: Value = endpoints.collect();
        let mut labels = service["metadata"]["labels"].clone();
        labels["kubernetes.io/service-name"] = name.as_str().into();
        labels["endpointslice.kubernetes.io/managed-by"] = "endpointslice-controller.k8s.io".into();
        let port = &service["spec"]["ports"][0];
        let ports = json!([{"name": port["name"], "protocol": "TCP", "port": port["port"]}]);
        let slice = format!("{name}-slice");
        if state.get(SLICES, &namespace, &slice).is_none() {
            let owner = json!({"apiVersion": "v1", "kind": "Service", "name": name, "uid": service["metadata"]["uid"]});
            let metadata = json!({"name": slice, "labels": labels, "ownerReferences": [owner]});
            let _ = state.create(
                SLICES,
                &namespace,
                json!({"metadata": metadata, "addressType": "IPv4", "endpoints": [], "ports": ports}),
            );
        }
        state.edit(SLICES, &namespace, &slice, |slice| slice["endpoints"] = endpoints);
    }
}

fn is_of(pod: &Value, deployment: &Value) -> bool {
    pod["metadata"]["ownerReferences"][0]["uid"] == deployment["metadata"]["uid"]
}

fn is_ready(pod: &Value) -> bool {
    let mut conditions = pod["status"]["conditions"].as_array().into_iter().flatten();
    conditions.any(|condition| condition["type"] == "Ready" && condition["status"] == "True")
}

fn hash(template: &Value) -> String {
    blake3::hash(template.to_string().as_bytes()).to_hex().chars().take(10).collect()
}

fn suffix() -> String {
    uuid::Uuid::new_v4().simple().to_string().chars().take(5).collect()
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}
