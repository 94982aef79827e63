//! Whether what lies on the cluster holds all that should be applied.

use serde_json::Value;

/// Whether `found` says everything that `wanted` says. What it says beyond that, defaults and the state of others
/// among it, is not ours to judge; entries of lists have their order, and none may be added to them.
pub(super) fn covers(found: &Value, wanted: &Value) -> bool {
    match (found, wanted) {
        (Value::Object(found), Value::Object(wanted)) => {
            wanted.iter().all(|(name, value)| found.get(name).is_some_and(|found| covers(found, value)))
        }
        (Value::Array(found), Value::Array(wanted)) => {
            found.len() == wanted.len()
                && found.iter().zip(wanted).all(|(found, wanted)| covers(found, wanted))
        }
        _ => found == wanted,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn defaults_of_others_are_no_drift_and_changes_are() {
        let wanted = json!({"replicas": 2, "ports": [{"port": 80}]});
        let found = |replicas: u8, ports: Value| json!({"replicas": replicas, "ports": ports, "type": "x"});
        assert!(covers(&found(2, json!([{"port": 80, "protocol": "TCP"}])), &wanted));
        assert!(!covers(&found(3, json!([{"port": 80}])), &wanted));
        assert!(!covers(&found(2, json!([{"port": 80}, {"port": 81}])), &wanted));
        assert!(!covers(&json!({"replicas": 2}), &wanted));
    }
}
