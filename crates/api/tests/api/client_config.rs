//! What clients are given to reach an instance: by transport, by kind of token, in the words of each client.

use http::StatusCode;
use serde_json::{Value, json};

use crate::platform::Platform;
use crate::tokens::{config, issue};

#[tokio::test]
async fn clients_of_a_direct_instance_get_its_own_address() {
    let platform = Platform::start().await;
    let client = &platform.client;
    let body = json!({
        "name": "elsewhere", "access": "direct", "transport": "sse", "url": "https://mcp.example/sse",
        "headers": {"X-Key": "hunter2-of-the-tests"},
    });
    client.post("/instances", &body).await.expect(StatusCode::CREATED);
    assert_eq!(
        config(client, "elsewhere", "").await,
        json!({"mcpServers": {"elsewhere": {
            "type": "sse", "url": "https://mcp.example/sse", "headers": {"X-Key": "hunter2-of-the-tests"},
            "timeout": 30_000, "sseReadTimeout": 60_000,
        }}})
    );
    let answer = client.post("/instances/elsewhere/tokens", &json!({"kind": "bearer"})).await;
    answer.problem(StatusCode::CONFLICT, "direct_has_no_tokens");
    let answer = client.get("/instances/elsewhere/logs").await;
    answer.problem(StatusCode::CONFLICT, "not_hosted");
    platform.stop().await;
}

#[tokio::test]
async fn each_kind_has_its_header_field_in_the_configuration() {
    let platform = Platform::start().await;
    let client = &platform.client;
    platform.create("everything").await;
    for (kind, name, scheme) in [
        ("bearer", "Authorization", "Bearer "),
        ("api-key", "Api-Key", ""),
        ("x-api-key", "X-API-Key", ""),
        ("basic", "Authorization", "Basic "),
    ] {
        let mut body = json!({"kind": kind});
        if kind == "basic" {
            body["username"] = json!("ann");
        }
        let issued = issue(client, &body).await.expect(StatusCode::CREATED);
        let token = issued["token"].as_str().unwrap();
        let headers = json!({name: format!("{scheme}{token}")});
        assert_eq!(
            (&issued["config"]["mcpServers"]["everything"]["headers"], &issued["kind"]),
            (&headers, &json!(kind))
        );
    }
    platform.stop().await;
}

#[tokio::test]
async fn the_configuration_is_given_for_each_transport_and_in_the_words_of_each_client() {
    let platform = Platform::start().await;
    let client = &platform.client;
    let instance = platform.create("everything").await;
    let issued = issue(client, &json!({"kind": "x-api-key", "value": "correct-horse-battery"})).await;
    issued.expect(StatusCode::CREATED);
    let base = format!("http://gateway.example/base/mcp-gateway/{}", instance["id"].as_str().unwrap());
    let sse = config(client, "everything", "?transport=sse").await;
    let server = &sse["mcpServers"]["everything"];
    assert_eq!((&server["type"], &server["url"]), (&json!("sse"), &json!(format!("{base}/sse"))));
    let document = client.get("/instances/everything/config/snippets").await.expect(StatusCode::OK);
    assert_eq!(document["transports"], json!(["streamable-http", "sse"]));
    let text = |name: &str| {
        let snippets = document["snippets"].as_array().unwrap();
        let snippet = snippets.iter().find(|snippet| snippet["client"] == name).unwrap();
        snippet["text"].as_str().unwrap().to_owned()
    };
    let parsed = |name: &str| serde_json::from_str::<Value>(&text(name)).unwrap();
    assert_eq!(
        text("claude-code"),
        format!(
            "claude mcp add --transport http everything {base}/mcp --header 'X-API-Key: correct-horse-battery'"
        )
    );
    assert!(text("curl").contains("-H 'X-API-Key: correct-horse-battery'"), "{}", text("curl"));
    let headers = json!({"X-API-Key": "correct-horse-battery"});
    let url = json!(format!("{base}/mcp"));
    let entry = json!({"url": url, "headers": headers});
    assert_eq!(parsed("cursor"), json!({"mcpServers": {"everything": entry}}));
    let entry = json!({"type": "http", "url": url, "headers": headers});
    assert_eq!(parsed("vscode"), json!({"servers": {"everything": entry}}));
    assert_eq!(parsed("dify")["everything"]["transport"], "streamable_http");
    let desktop = &parsed("claude-desktop")["mcpServers"]["everything"];
    assert_eq!(desktop["env"], json!({"MCPCAN_HEADER": "correct-horse-battery"}));
    assert!(!desktop["args"].to_string().contains("horse"), "{desktop}");

    let body =
        json!({"name": "remote", "access": "proxy", "transport": "sse", "url": "https://mcp.example/sse"});
    client.post("/instances", &body).await.expect(StatusCode::CREATED);
    platform.issue("remote", "dev").await;
    let answer = client.get("/instances/remote/config?transport=streamable-http").await;
    answer.problem(StatusCode::CONFLICT, "transport_not_offered");
    platform.stop().await;
}
