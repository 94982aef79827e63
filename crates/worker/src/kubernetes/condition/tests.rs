//! How pods of a real cluster are understood: see `tests/recordings`.

use expect_test::{Expect, expect};
use serde_json::Value;

use super::*;

/// The pod of a recorded answer.
fn recorded(name: &str) -> Pod {
    let path = format!("{}/tests/recordings/{name}", env!("CARGO_MANIFEST_DIR"));
    let recording: Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    serde_json::from_value(recording["response"]["body"].clone()).unwrap()
}

#[track_caller]
fn check(name: &str, expected: Expect) {
    let text = match condition(&recorded(name)) {
        Condition::Failed(reason, detail) => format!("{}: {detail}", reason.as_str()),
        other => format!("{other:?}"),
    };
    expected.assert_eq(&text);
}

#[test]
fn every_way_in_which_a_pod_can_be_unhappy_is_told_apart() {
    check("pod-running.json", expect!["Running"]);
    check(
        "pod-badimage.json",
        expect![[
            r#"image_unavailable: the image registry.invalid/x:1 cannot be pulled: Back-off pulling image "registry.invalid/x:1": ErrImagePull: failed to pull and unpack image "registry.invalid/x:1": failed to resolve reference "registry.invalid/x:1": failed to do request: Head "https://registry.invalid/v2/x/manifests/1": dial tcp: lookup registry.invalid on 10.255.255.53:53: read udp 192.168.250.1:43641->10.255.255.53:53: i/o timeout"#
        ]],
    );
    check(
        "pod-neverpull.json",
        expect![[
            r#"image_unavailable: the image localhost/absent:1 cannot be pulled: Container image "localhost/absent:1" is not present with pull policy of Never"#
        ]],
    );
    check(
        "pod-badcmd.json",
        expect![[
            r#"program_not_found: the container cannot be started: failed to create containerd task: failed to create shim task: OCI runtime create failed: runc create failed: unable to start container process: exec: "/nope": stat /nope: no such file or directory: unknown"#
        ]],
    );
    check(
        "pod-badcm.json",
        expect![[r#"config_missing: the container cannot be configured: configmap "absent" not found"#]],
    );
    check(
        "pod-oom.json",
        expect!["out_of_memory: the server used more memory than its limit, which is 16Mi"],
    );
    check("pod-crash.json", expect!["exited: the server's container ended with exit code 3"]);
    check(
        "pod-toobig.json",
        expect![
            "unschedulable: no node can take the pod: 0/1 nodes are available: 1 Insufficient cpu. no new claims to deallocate, preemption: 0/1 nodes are available: 1 Preemption is not helpful for scheduling."
        ],
    );
}

/// The stream of a pod's life: failed with exit code 137 after it was told to end, which is no crash.
#[test]
fn a_pod_that_was_told_to_end_never_counts_as_failed() {
    let path = format!("{}/tests/recordings/watch-pods-lifecycle.ndjson", env!("CARGO_MANIFEST_DIR"));
    let stream = std::fs::read_to_string(path).unwrap();
    let events = stream
        .lines()
        .filter(|line| !line.is_empty())
        .map(|line| serde_json::from_str::<Value>(line).unwrap());
    let mut conditions = vec![];
    for event in events.filter(|event| event["type"] != "BOOKMARK") {
        let pod: Pod = serde_json::from_value(event["object"].clone()).unwrap();
        let condition = condition(&pod);
        if pod.metadata.name.as_deref() == Some("ok-f89b79fc4-64rk2") && conditions.last() != Some(&condition)
        {
            conditions.push(condition);
        }
    }
    let leaving = [true, false].map(|serves| Condition::Leaving { serves });
    assert_eq!(conditions[..2], [Condition::Coming, Condition::Running]);
    assert_eq!(conditions[2..], leaving);
}
