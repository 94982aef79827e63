//! What the API server fills in and what it refuses.

use serde_json::{Value, json};

use super::refusal::{self, Refusal};
use super::resource::{DEPLOYMENTS, Resource, SERVICES};

const NAME_RULE: &str = "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', \
                         and must start and end with an alphanumeric character (e.g. 'example.com', regex used for \
                         validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')";

pub(crate) fn check(resource: Resource, object: &Value) -> Result<(), Refusal> {
    let name = object["metadata"]["name"].as_str().unwrap_or_default();
    let legal = |char: char| char.is_ascii_lowercase() || char.is_ascii_digit() || char == '-' || char == '.';
    if name.is_empty() || !name.chars().all(legal) || name.starts_with('-') || name.ends_with('-') {
        let why = format!("Invalid value: \"{name}\": {NAME_RULE}");
        return Err(refusal::invalid(resource, name, "metadata.name", &why));
    }
    if resource == DEPLOYMENTS {
        let (wanted, labels) =
            (&object["spec"]["selector"]["matchLabels"], &object["spec"]["template"]["metadata"]["labels"]);
        let is_selected = wanted
            .as_object()
            .is_some_and(|wanted| wanted.iter().all(|(name, value)| labels[name] == *value));
        if !is_selected {
            let why = format!("Invalid value: {labels}: `selector` does not match template `labels`");
            return Err(refusal::invalid(resource, name, "spec.template.metadata.labels", &why));
        }
    }
    Ok(())
}

pub(crate) fn fill_in(resource: Resource, object: &mut Value) {
    if resource == DEPLOYMENTS {
        let spec = &mut object["spec"];
        default(spec, "replicas", json!(1));
        default(spec, "revisionHistoryLimit", json!(10));
        default(spec, "progressDeadlineSeconds", json!(600));
        let rolling =
            json!({"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": "25%", "maxSurge": "25%"}});
        default(spec, "strategy", rolling);
        fill_in_pod(&mut spec["template"]["spec"]);
        default(object, "status", json!({}));
    }
    if resource == SERVICES {
        let spec = &mut object["spec"];
        default(spec, "clusterIP", json!("10.96.45.127"));
        default(spec, "clusterIPs", json!(["10.96.45.127"]));
        default(spec, "type", json!("ClusterIP"));
        default(spec, "sessionAffinity", json!("None"));
        default(spec, "ipFamilies", json!(["IPv4"]));
        default(spec, "ipFamilyPolicy", json!("SingleStack"));
        default(spec, "internalTrafficPolicy", json!("Cluster"));
        for port in spec["ports"].as_array_mut().into_iter().flatten() {
            default(port, "protocol", json!("TCP"));
        }
        default(object, "status", json!({"loadBalancer": {}}));
    }
}

fn fill_in_pod(spec: &mut Value) {
    default(spec, "restartPolicy", json!("Always"));
    default(spec, "terminationGracePeriodSeconds", json!(30));
    default(spec, "dnsPolicy", json!("ClusterFirst"));
    default(spec, "securityContext", json!({}));
    default(spec, "schedulerName", json!("default-scheduler"));
    for list in ["containers", "initContainers"] {
        for container in spec.get_mut(list).and_then(Value::as_array_mut).into_iter().flatten() {
            default(container, "resources", json!({}));
            default(container, "terminationMessagePath", json!("/dev/termination-log"));
            default(container, "terminationMessagePolicy", json!("File"));
            default(container, "imagePullPolicy", json!("IfNotPresent"));
            if let Some(probe) = container.get_mut("readinessProbe") {
                for (name, value) in [
                    ("timeoutSeconds", 1),
                    ("periodSeconds", 10),
                    ("successThreshold", 1),
                    ("failureThreshold", 3),
                ] {
                    default(probe, name, json!(value));
                }
            }
        }
    }
    for volume in spec.get_mut("volumes").and_then(Value::as_array_mut).into_iter().flatten() {
        if let Some(map) = volume.get_mut("configMap") {
            default(map, "defaultMode", json!(420));
        }
    }
}

fn default(object: &mut Value, name: &str, value: Value) {
    if let Some(object) = object.as_object_mut() {
        object.entry(name.to_owned()).or_insert(value);
    }
}
