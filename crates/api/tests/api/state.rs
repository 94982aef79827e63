//! What was so at an earlier moment, and what has changed since.

use http::{Method, StatusCode};
use serde_json::{Value, json};

use crate::platform::{Platform, hosted};

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
    let ahead = client.get("/state/instance/a?at=2130-01-01T00:00Z").await;
    ahead.problem(StatusCode::UNPROCESSABLE_ENTITY, "moment_to_come");
    for wrong in ["at=tomorrow", "at=5m&at_sequence=1", "at_sequence=x"] {
        let refused = client.get(&format!("/state/instance/a?{wrong}")).await;
        refused.problem(StatusCode::BAD_REQUEST, "invalid_request");
    }
    platform.stop().await;
}

#[tokio::test]
async fn a_template_is_shown_as_it_was() {
    let platform = Platform::start().await;
    let client = &platform.client;
    let created = client.post("/templates", &hosted("base")).await.expect(StatusCode::CREATED);
    let edited = client.patch("/templates/base", &json!({"notes": "x"})).await.expect(StatusCode::OK);
    let renamed = client.patch("/templates/base", &json!({"name": "new"})).await.expect(StatusCode::OK);
    client.delete("/templates/new").await.expect(StatusCode::OK);
    let id = created["id"].as_str().unwrap();
    for (then, name) in [(&created, "base"), (&edited, "base"), (&renamed, "new")] {
        for reference in [id, name] {
            let path = format!("/state/template/{reference}?at_sequence={}", then["sequence"]);
            assert_eq!(&client.get(&path).await.expect(StatusCode::OK)["state"], then, "{path}");
        }
    }
    let path = format!("/state/template/base/diff?from={}&to={}", created["sequence"], edited["sequence"]);
    let diff = client.get(&path).await.expect(StatusCode::OK);
    let notes = json!({"path": "/notes", "before": "", "after": "x"});
    assert!(diff["changes"].as_array().unwrap().contains(&notes), "{diff}");
    client.get("/state/template/new").await.problem(StatusCode::GONE, "was_gone");
    client.get("/state/template/none").await.problem(StatusCode::NOT_FOUND, "never_existed");
    platform.stop().await;
}

#[tokio::test]
async fn a_retention_plan_is_shown_as_it_was_and_as_the_default_before() {
    let platform = Platform::start().await;
    let client = &platform.client;
    platform.create("other").await;
    let created = platform.create("a").await;
    let path = "/instances/a/retention";
    let default = client.get(path).await.expect(StatusCode::OK);
    let days = json!({"access_log_days": 90, "container_log_days": 30});
    let set = client.put(Method::PUT, path, &[], &days).await.expect(StatusCode::OK);
    let reset = client.delete(path).await.expect(StatusCode::OK);
    client.delete("/instances/a").await.expect(StatusCode::OK);

    let id = created["id"].as_str().unwrap();
    let first = created["sequence"].as_u64().unwrap();
    for (then, sequence) in [(&default, first), (&set, first + 1), (&reset, first + 2)] {
        for reference in [id, "a"] {
            let path = format!("/state/retention_plan/{reference}?at_sequence={sequence}");
            assert_eq!(&client.get(&path).await.expect(StatusCode::OK)["state"], then, "{path}");
        }
    }
    // It outlives its instance.
    let now = client.get(&format!("/state/retention_plan/{id}")).await.expect(StatusCode::OK);
    assert_eq!(now["state"], reset);
    let path = format!("/state/retention_plan/a/diff?from={first}&to={}", first + 1);
    let diff = client.get(&path).await.expect(StatusCode::OK);
    let changed = json!({"path": "/access_log_days", "before": 7, "after": 90});
    assert!(diff["changes"].as_array().unwrap().contains(&changed), "{diff}");
    let early = client.get(&format!("/state/retention_plan/{id}?at_sequence=1")).await;
    early.problem(StatusCode::NOT_FOUND, "did_not_exist_yet");
    let never = "/state/retention_plan/00000000-0000-7000-8000-000000000000";
    client.get(never).await.problem(StatusCode::NOT_FOUND, "never_existed");
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
