//! Changes taken back.

use http::StatusCode;
use serde_json::{Value, json};

use crate::platform::Platform;

/// The sequence of the last event of this type.
async fn last(platform: &Platform, event_type: &str) -> u64 {
    let answer = platform.client.get(&format!("/events?from=1&until=now&type={event_type}")).await;
    let text = String::from_utf8(answer.body.to_vec()).unwrap();
    let mut ids = text.lines().filter_map(|line| line.strip_prefix("id: "));
    ids.next_back().unwrap().parse().unwrap()
}

async fn undo(platform: &Platform, sequence: u64) -> Value {
    let path = format!("/events/{sequence}/undo");
    platform.client.post(&path, &json!({})).await.expect(StatusCode::OK)
}

#[tokio::test]
async fn a_change_is_undone_once_and_the_log_keeps_both() {
    let platform = Platform::start().await;
    let client = &platform.client;
    platform.create("a").await;
    client.post("/instances/a/stop", &json!({})).await.expect(StatusCode::OK);
    let stopped = last(&platform, "instance.stopped").await;

    let dry = client.post(&format!("/events/{stopped}/undo?dry_run=true"), &json!({})).await;
    let dry = dry.expect(StatusCode::OK);
    assert_eq!((&dry["name"], &dry["sequence"]), (&json!("instance.start"), &Value::Null));
    assert_eq!(client.get("/instances/a").await.expect(StatusCode::OK)["wanted"], false);

    let path = format!("/events/{stopped}/undo");
    let done = client.post_as("k", &path, &json!({})).await.expect(StatusCode::OK);
    assert_eq!(client.get("/instances/a").await.expect(StatusCode::OK)["wanted"], true);
    let again = client.post_as("k", &path, &json!({})).await.expect(StatusCode::OK);
    assert_eq!(again, done, "the same request is the same command");
    let shown = client.get(&format!("/events/{}", done["sequence"])).await.expect(StatusCode::OK);
    assert_eq!(shown["event"]["causation_id"], format!("event:{stopped}"));
    assert_eq!(shown["causes"][0]["sequence"], stopped);

    let overtaken = client.post(&path, &json!({})).await.problem(StatusCode::CONFLICT, "not_undone");
    assert_eq!(overtaken["reason"], "overtaken");
    // What undoes can be undone.
    undo(&platform, done["sequence"].as_u64().unwrap()).await;
    assert_eq!(client.get("/instances/a").await.expect(StatusCode::OK)["wanted"], false);
    platform.stop().await;
}

#[tokio::test]
async fn what_cannot_be_undone_is_refused_with_the_reason() {
    let platform = Platform::start().await;
    let client = &platform.client;
    platform.create("a").await;
    platform.issue("a", "dev").await;
    let token = client.request(http::Method::PATCH, "/instances/a/tokens/dev");
    let token = token.header("content-type", "application/json");
    client.send(token, json!({"label": "new"}).to_string()).await.expect(StatusCode::OK);
    let undone = undo(&platform, last(&platform, "token.edited").await).await;
    assert_eq!((&undone["name"], &undone["aggregate"]), (&json!("token.edit"), &json!("token")));
    client.get("/instances/a/tokens/dev").await.expect(StatusCode::OK);

    let created = last(&platform, "instance.created").await;
    assert_eq!(undo(&platform, created).await["name"], "instance.delete");
    for (event_type, reason) in [
        ("instance.deleted", "keys_shredded"),
        ("instance.created", "gone"),
        ("instance_name.claimed", "part"),
    ] {
        let path = format!("/events/{}/undo", last(&platform, event_type).await);
        let refused = client.post(&path, &json!({})).await.problem(StatusCode::CONFLICT, "not_undone");
        assert_eq!(refused["reason"], reason, "{event_type}");
        if reason == "part" {
            assert_eq!(refused["instead"], created, "the event that the claim belongs to");
        }
    }
    client.post("/events/999/undo", &json!({})).await.problem(StatusCode::NOT_FOUND, "event_not_found");
    platform.stop().await;
}
