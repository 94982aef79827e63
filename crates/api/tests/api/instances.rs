//! Instances: what is created shows at once, is found by id and by name, and goes for good.

use futures_util::future::join_all;
use http::StatusCode;
use serde_json::{Value, json};

use crate::platform::{Platform, hosted};

#[tokio::test]
async fn a_created_instance_shows_at_once() {
    let platform = Platform::start().await;
    let answer = platform.client.post("/instances", &hosted("everything")).await;
    let created = answer.expect(StatusCode::CREATED);
    let id = created["id"].as_str().unwrap();
    assert_eq!(answer.header("location"), format!("/api/v1/instances/{id}"));
    assert_eq!(answer.header("etag"), "\"1\"");
    let sequence = created["sequence"].as_u64().unwrap();
    let times = [created["created_at"].clone(), created["updated_at"].clone()];
    assert_eq!(
        created,
        json!({
            "id": id, "name": "everything", "labels": {}, "notes": "", "icon": "",
            "logging": {"capture": "metadata", "strict": false}, "template": null,
            "access": "hosted", "transport": "stdio", "process": "auto", "authorization": null,
            "command": {"program": "npx", "args": ["-y", "server"], "env": ["API_KEY"]},
            "ports": [], "mounts": {}, "replicas_wanted": 1,
            "resources": {
                "cpu_request_millis": null, "cpu_limit_millis": null,
                "memory_request_bytes": null, "memory_limit_bytes": null,
            },
            "phase": "starting", "wanted": true, "generation": 1, "replicas": [], "failure": null, "server": null,
            "health": {
                "container": "not_ready", "service": "unknown", "mcp": "unknown", "problem": null, "status": null,
                "since": times[0], "unsteady": false,
            },
            "health_check": {"interval_seconds": 30, "tools": []},
            "gateway_url": format!("http://gateway.example/base/mcp-gateway/{id}/mcp"),
            "created_at": times[0], "updated_at": times[1], "revision": 1, "sequence": sequence,
        })
    );
    for reference in [id, "everything"] {
        let answer = platform.client.get(&format!("/instances/{reference}")).await;
        assert_eq!(answer.expect(StatusCode::OK), created);
        assert_eq!(answer.header("etag"), "\"1\"");
    }
    let list = platform.client.get("/instances").await.expect(StatusCode::OK);
    assert_eq!(list, json!({"items": [created], "next_cursor": null}));
    platform.stop().await;
}

#[tokio::test]
async fn a_taken_name_is_refused_and_its_holder_is_named() {
    let platform = Platform::start().await;
    let holder = platform.create("everything").await;
    let answer = platform.client.post("/instances", &hosted("everything")).await;
    let problem = answer.problem(StatusCode::CONFLICT, "name_taken");
    assert_eq!(problem["holder"], holder["id"]);
    let list = platform.client.get("/instances").await.expect(StatusCode::OK);
    assert_eq!(list["items"].as_array().unwrap().len(), 1);
    platform.stop().await;
}

#[tokio::test]
async fn an_instance_stops_starts_restarts_and_goes_for_good() {
    let platform = Platform::start().await;
    let id = platform.create("everything").await["id"].as_str().unwrap().to_owned();
    let client = &platform.client;
    let change = async |reference: &str, verb: &str| {
        let changed = client.post(&format!("/instances/{reference}/{verb}"), &json!({})).await;
        let changed = changed.expect(StatusCode::OK);
        (changed["phase"].as_str().unwrap().to_owned(), changed["generation"].as_u64().unwrap())
    };
    assert_eq!(change("everything", "stop").await, ("stopped".to_owned(), 1));
    assert_eq!(change(&id, "stop").await, ("stopped".to_owned(), 1), "a wish that is true already");
    assert_eq!(change(&id, "start").await, ("starting".to_owned(), 2));
    assert_eq!(change("everything", "restart").await, ("starting".to_owned(), 3));

    let deleted = client.delete("/instances/everything").await.expect(StatusCode::OK);
    assert_eq!((&deleted["id"], &deleted["deleted"]), (&json!(id), &json!(true)));
    client.get("/instances/everything").await.problem(StatusCode::NOT_FOUND, "instance_not_found");
    client.get(&format!("/instances/{id}")).await.problem(StatusCode::NOT_FOUND, "instance_not_found");
    client.delete("/instances/everything").await.problem(StatusCode::NOT_FOUND, "instance_not_found");
    client.delete(&format!("/instances/{id}")).await.expect(StatusCode::OK);
    let start = client.post(&format!("/instances/{id}/start"), &json!({})).await;
    start.problem(StatusCode::GONE, "instance_deleted");
    platform.create("everything").await;
    platform.stop().await;
}

#[tokio::test]
async fn a_server_elsewhere_is_proxied_or_only_listed() {
    let platform = Platform::start().await;
    for (access, transport, endpoint) in
        [("proxy", "streamable-http", Some("mcp")), ("proxy", "sse", Some("sse")), ("direct", "sse", None)]
    {
        let name = format!("{access}-{transport}");
        let body = json!({
            "name": name, "access": access, "transport": transport, "url": "https://mcp.example/x",
            "headers": {"X-Key": "hunter2-of-the-tests"},
        });
        let created = platform.client.post("/instances", &body).await.expect(StatusCode::CREATED);
        let id = created["id"].as_str().unwrap();
        let gateway_url =
            endpoint.map(|endpoint| format!("http://gateway.example/base/mcp-gateway/{id}/{endpoint}"));
        let shown =
            ["access", "transport", "url", "headers", "phase", "gateway_url"].map(|key| &created[key]);
        let expected =
            json!([access, transport, "https://mcp.example/x", ["X-Key"], "configured", gateway_url]);
        assert_eq!(json!(shown), expected);
    }
    platform.stop().await;
}

#[tokio::test]
async fn a_list_comes_in_pages_and_can_be_filtered() {
    let platform = Platform::start().await;
    let names = ["a1", "a2", "b1", "b2", "b3"];
    join_all(names.iter().rev().map(|name| platform.create(name))).await;
    for (filter, expected) in
        [("", &names[..]), ("&name=b", &names[2..]), ("&name=1", &["a1", "b1"]), ("&name=x", &[])]
    {
        let mut seen: Vec<String> = vec![];
        let mut cursor = String::new();
        loop {
            let page = platform.client.get(&format!("/instances?limit=2{filter}{cursor}")).await;
            let page = page.expect(StatusCode::OK);
            let items = page["items"].as_array().unwrap();
            assert!(items.len() <= 2);
            seen.extend(items.iter().map(|item| item["name"].as_str().unwrap().to_owned()));
            match page["next_cursor"].as_str() {
                Some(next) => cursor = format!("&cursor={next}"),
                None => break,
            }
        }
        assert_eq!(seen, expected, "{filter}");
    }
    platform.stop().await;
}

#[tokio::test]
async fn everybody_reads_what_they_wrote() {
    let platform = Platform::start().await;
    let writers = (0..32).map(|number| {
        let platform = &platform;
        async move {
            let name = format!("writer-{number}");
            let id = platform.create(&name).await["id"].clone();
            let shown = platform.client.get(&format!("/instances/{name}")).await.expect(StatusCode::OK);
            assert_eq!(shown["id"], id);
            let token = platform.issue(&name, "dev").await;
            let tokens = platform.client.get(&format!("/instances/{name}/tokens")).await;
            assert_eq!(tokens.expect(StatusCode::OK)["items"][0]["id"], token["id"]);
            platform.client.delete(&format!("/instances/{name}")).await.expect(StatusCode::OK);
            let gone = platform.client.get(&format!("/instances/{name}")).await;
            gone.problem(StatusCode::NOT_FOUND, "instance_not_found");
        }
    });
    join_all(writers).await;
    let list: Value = platform.client.get("/instances").await.expect(StatusCode::OK);
    assert_eq!(list["items"], json!([]));
    platform.stop().await;
}
