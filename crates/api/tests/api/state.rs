//! What was so at an earlier moment, and what has changed since.

use http::StatusCode;
use serde_json::{Value, json};

use crate::platform::Platform;

/// When the log stored an event.
async fn stored_at(platform: &Platform, sequence: &Value) -> String {
    let shown = platform.client.get(&format!("/events/{sequence}")).await.expect(StatusCode::OK);
    shown["stored_at"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn an_instance_is_shown_as_it_was() {
    let platform = Platform::start().await;
    let client = &platform.client;
    platform.create("other").await;
    let created = platform.create("a").await;
    let stopped = client.post("/instances/a/stop", &json!({})).await.expect(StatusCode::OK);
    let id = created["id"].as_str().unwrap();
    client.delete("/instances/a").await.expect(StatusCode::OK);

    for (then, sequence) in [(&created, &created["sequence"]), (&stopped, &stopped["sequence"])] {
        let time = stored_at(&platform, sequence).await;
        for moment in [format!("at_sequence={sequence}"), format!("at={time}")] {
            for reference in [id, "a"] {
                let shown = client.get(&format!("/state/instance/{reference}?{moment}")).await;
                let shown = shown.expect(StatusCode::OK);
                assert_eq!((&shown["state"], &shown["at_sequence"]), (then, sequence), "{moment}");
            }
        }
    }
    let first = created["sequence"].as_u64().unwrap();
    for reference in [id, "a"] {
        let early = client.get(&format!("/state/instance/{reference}?at_sequence=1")).await;
        let early = early.problem(StatusCode::NOT_FOUND, "did_not_exist_yet");
        assert!([first, first - 1].contains(&early["sequence"].as_u64().unwrap()), "{early}");
        let gone = client.get(&format!("/state/instance/{reference}")).await;
        gone.problem(StatusCode::GONE, "was_gone");
    }
    let never = client.get("/state/instance/b").await;
    never.problem(StatusCode::NOT_FOUND, "never_existed");
    client.get("/state/pod/b").await.problem(StatusCode::NOT_FOUND, "unknown_aggregate");
    client.get("/state/instance/a?at_sequence=99").await.problem(StatusCode::NOT_FOUND, "event_not_found");
    for wrong in ["at=tomorrow", "at=2130-01-01T00:00Z", "at=5m&at_sequence=1", "at_sequence=x"] {
        let refused = client.get(&format!("/state/instance/a?{wrong}")).await;
        refused.problem(StatusCode::BAD_REQUEST, "invalid_request");
    }
    platform.stop().await;
}

#[tokio::test]
async fn a_name_means_whoever_had_it_then() {
    let platform = Platform::start().await;
    let client = &platform.client;
    let first = platform.create("a").await;
    client.delete("/instances/a").await.expect(StatusCode::OK);
    let second = platform.create("a").await;
    let at = |then: &Value| format!("/state/instance/a?at_sequence={}", then["sequence"]);
    assert_eq!(client.get(&at(&first)).await.expect(StatusCode::OK)["state"]["id"], first["id"]);
    assert_eq!(client.get(&at(&second)).await.expect(StatusCode::OK)["state"]["id"], second["id"]);
    platform.stop().await;
}

#[tokio::test]
async fn what_has_changed_is_told_as_a_patch_and_place_by_place() {
    let platform = Platform::start().await;
    let client = &platform.client;
    let created = platform.create("a").await;
    let token = platform.issue("a", "dev").await;
    let stopped = client.post("/instances/a/stop", &json!({})).await.expect(StatusCode::OK);

    let path = format!("/state/instance/a/diff?from={}&to=now", created["sequence"]);
    let diff = client.get(&path).await.expect(StatusCode::OK);
    let mut patched = created.clone();
    json_patch::patch(
        &mut patched,
        &serde_json::from_value::<json_patch::Patch>(diff["patch"].clone()).unwrap(),
    )
    .unwrap();
    assert_eq!(patched, stopped);
    let wanted = json!({"path": "/wanted", "before": true, "after": false});
    assert!(diff["changes"].as_array().unwrap().contains(&wanted), "{diff}");
    assert_eq!((&diff["from"]["at_sequence"], &diff["to"]["at_sequence"]), (&json!(2), &json!(5)));

    let token = token["id"].as_str().unwrap();
    let born = client.get(&format!("/state/token/{token}/diff?from=1")).await.expect(StatusCode::OK);
    assert_eq!((&born["changes"][0]["path"], &born["changes"][0]["before"]), (&json!(""), &Value::Null));
    assert_eq!(born["changes"][0]["after"]["label"], "dev");
    let same = client.get("/state/instance/a/diff?from=now").await.expect(StatusCode::OK);
    assert_eq!((&same["patch"], &same["changes"]), (&json!([]), &json!([])));
    let never = client.get("/state/instance/b/diff?from=1").await;
    never.problem(StatusCode::NOT_FOUND, "never_existed");
    let refused = client.get("/state/instance/a/diff?from=x&to=y").await;
    let refused = refused.problem(StatusCode::BAD_REQUEST, "invalid_request");
    assert_eq!(refused["errors"].as_array().unwrap().len(), 2);
    platform.stop().await;
}
