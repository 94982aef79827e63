//! What happened to an instance, and what it answers right now.

use http::StatusCode;
use serde_json::{Value, json};

use crate::platform::Platform;

fn texts(page: &Value) -> Vec<&str> {
    page["items"].as_array().unwrap().iter().map(|entry| entry["text"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn a_timeline_tells_who_changed_what_newest_first_and_page_by_page() {
    let platform = Platform::start().await;
    let client = &platform.client;
    platform.create("everything").await;
    platform.create("another").await;
    client.post("/instances/everything/scale", &json!({"replicas": 2})).await.expect(StatusCode::OK);
    let check = json!({"health_check": {"interval_seconds": 60, "tools": ["echo"]}});
    let edited = client.patch("/instances/everything", &check).await;
    assert_eq!(edited.expect(StatusCode::OK)["health_check"], check["health_check"]);
    client.post("/instances/everything/stop", &json!(null)).await.expect(StatusCode::OK);

    let path = "/instances/everything/timeline?limit=3";
    let page = client.get(path).await.expect(StatusCode::OK);
    assert_eq!(texts(&page), ["stopped", "settings changed; generation 1", "scaled to 2 replicas"]);
    let newest = &page["items"][0];
    assert_eq!((&newest["source"], &newest["event"]["name"]), (&json!("wish"), &json!("instance.stopped")));
    let cursor = page["next_cursor"].as_str().unwrap();
    let rest = client.get(&format!("{path}&cursor={cursor}")).await.expect(StatusCode::OK);
    assert_eq!(texts(&rest), ["created as everything, hosted here"]);
    assert_eq!(rest["next_cursor"], Value::Null);
    client.get("/instances/nothing/timeline").await.problem(StatusCode::NOT_FOUND, "instance_not_found");
    platform.stop().await;
}

#[tokio::test]
async fn a_probe_needs_an_instance_that_is_probed_and_a_worker_that_does() {
    let platform = Platform::start().await;
    let client = &platform.client;
    platform.create("everything").await;
    let probe =
        async |instance: &str| client.post(&format!("/instances/{instance}/probe"), &json!(null)).await;
    probe("everything").await.problem(StatusCode::SERVICE_UNAVAILABLE, "nobody_probes");
    client.post("/instances/everything/stop", &json!(null)).await.expect(StatusCode::OK);
    probe("everything").await.problem(StatusCode::CONFLICT, "not_running");
    let direct = json!({"name": "elsewhere", "access": "direct", "transport": "sse", "url": "https://mcp.example/sse"});
    let created = client.post("/instances", &direct).await.expect(StatusCode::CREATED);
    assert_eq!(created["health"], Value::Null);
    probe("elsewhere").await.problem(StatusCode::CONFLICT, "not_probed");
    probe("nothing").await.problem(StatusCode::NOT_FOUND, "instance_not_found");
    let checked = json!({"health_check": {"interval_seconds": 1, "tools": [""]}});
    let refused = client.patch("/instances/everything", &checked).await;
    refused.problem(StatusCode::BAD_REQUEST, "invalid_request");
    platform.stop().await;
}
