//! Events in, steps out.

use serde_json::json;

use super::*;

fn watch(generation: u64, replicas: &[(&str, u64, bool)]) -> Watch {
    let replicas = replicas.iter().map(|(id, generation, ready)| Replica {
        id: (*id).to_owned(),
        generation: *generation,
        ready: *ready,
    });
    Watch {
        replicas_wanted: 1,
        name: "x".to_owned(),
        generation,
        sequence: 1,
        replicas: replicas.collect(),
        failure: None,
        ran: false,
        steps: 0,
    }
}

fn event(name: &str, data: Value) -> Event {
    Event { sequence: 2, name: format!("instance.{name}"), data }
}

#[test]
fn a_new_instance_is_ready_when_its_replica_is() {
    let mut watch = watch(1, &[]);
    for (name, steps) in [("replica_starting", 1), ("replica_handshaking", 2)] {
        let seen = watch.take(&event(name, json!({ "replica": "a", "generation": 1 })), Goal::Ready);
        assert_eq!(seen, Step::Reached(steps));
        assert!(!watch.reached(Goal::Ready));
    }
    watch.take(&event("replica_ready", json!({ "replica": "a" })), Goal::Ready);
    assert!(watch.reached(Goal::Ready));
}

#[test]
fn a_restart_waits_for_the_new_generation_and_forgives_the_old() {
    let mut watch = watch(2, &[("old", 1, true)]);
    assert!(!watch.reached(Goal::Ready));
    let seen =
        watch.take(&event("replica_failed", json!({ "replica": "old", "reason": "exited" })), Goal::Ready);
    assert_eq!(seen, Step::Shown("stopping"));
    watch.take(&event("replica_starting", json!({ "replica": "new", "generation": 2 })), Goal::Ready);
    let seen =
        watch.take(&event("replica_failed", json!({ "replica": "new", "reason": "exited" })), Goal::Ready);
    let failure = ReplicaFailure { reason: "exited".to_owned(), detail: String::new() };
    assert_eq!(seen, Step::Failed(failure));
}

#[test]
fn a_scaled_instance_is_there_when_as_many_are_ready_as_are_wanted() {
    let mut watch = watch(1, &[("a", 1, true), ("b", 1, false), ("c", 1, true)]);
    assert!(!watch.reached(Goal::Replicas(3)));
    watch.take(&event("replica_ready", json!({ "replica": "b" })), Goal::Replicas(3));
    assert!(watch.reached(Goal::Replicas(3)) && !watch.reached(Goal::Replicas(2)));
    let seen = watch.take(&event("replica_stopped", json!({ "replica": "c" })), Goal::Replicas(2));
    assert_eq!(seen, Step::Shown("stopping"));
    assert!(watch.reached(Goal::Replicas(2)));
}

#[test]
fn an_instance_stands_still_when_its_last_replica_has_ended() {
    let mut watch = watch(1, &[("a", 1, true), ("b", 1, false)]);
    watch.take(&event("replica_stopped", json!({ "replica": "a" })), Goal::Stopped);
    assert!(!watch.reached(Goal::Stopped));
    watch.take(&event("replica_failed", json!({ "replica": "b", "reason": "exited" })), Goal::Stopped);
    assert!(watch.reached(Goal::Stopped));
}
