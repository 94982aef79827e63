//! What clients of older revisions do that the suites do not check: HTTP+SSE, batches, and leaving a call to come back
//! for its answer.

use harness::{Platform, Sdk, http};
use reqwest::header::{ACCEPT, CONTENT_TYPE};
use reqwest::{RequestBuilder, Response, StatusCode};
use serde_json::{Value, json};

use crate::fixture::Fixture;
use crate::forwarder::Forwarder;
use crate::{configured, hosted, proxied, proxied_over, way};

#[tokio::test(flavor = "multi_thread")]
async fn clients_of_older_revisions_are_served() {
    let scratch = tempfile::tempdir().expect("make a directory");
    let platform = Platform::up(&scratch.path().join("data")).await;
    let (fixture, old) = (Fixture::start("legacy", "http").await, Fixture::start("legacy", "sse").await);

    official_clients_speak_http_sse(&platform, &old).await;
    for (name, access) in [("stdio", hosted("legacy")), ("http", proxied(&fixture))] {
        let way = way(&platform, name, &access).await;
        a_call_goes_on_when_its_client_leaves(&way).await;
        if name == "stdio" {
            a_batch_is_taken_apart_and_answered_whole(&way).await;
        }
    }
    drop((fixture, old));
    platform.stop().await;
}

/// A hosted server, and one elsewhere that speaks nothing else.
async fn official_clients_speak_http_sse(platform: &Platform, old: &Fixture) {
    let mut hosted = configured(platform, "hosted", &hosted("legacy")).await;
    let server = &mut hosted["mcpServers"]["hosted"];
    let url = server["url"].as_str().and_then(|url| url.strip_suffix("/mcp")).expect("its address ends so");
    server["url"] = format!("{url}/sse").into();
    server["type"] = "sse".into();
    let proxied = configured(platform, "old", &proxied_over("sse", old)).await;
    for config in [hosted, proxied] {
        for sdk in [Sdk::TypeScript, Sdk::Python] {
            let seen = sdk.call(&config, "test_simple_text", &json!({})).await;
            let seen = seen.unwrap_or_else(|error| panic!("{sdk:?} with {config}: {error}"));
            assert_eq!(seen.text, "This is a simple text response for testing.", "{sdk:?} with {config}");
        }
    }
}

/// A session of a revision.
struct Session<'a> {
    way: &'a Forwarder,
    id: String,
    revision: &'static str,
}

impl<'a> Session<'a> {
    async fn begin(way: &'a Forwarder, revision: &'static str) -> Self {
        let params = json!({
            "protocolVersion": revision, "capabilities": {}, "clientInfo": { "name": "test", "version": "1" },
        });
        let body = json!({ "jsonrpc": "2.0", "id": 0, "method": "initialize", "params": params });
        let request = http().post(way.url()).header(CONTENT_TYPE, "application/json");
        let request = request.header(ACCEPT, "application/json, text/event-stream").body(body.to_string());
        let answer = request.send().await.expect("an answer");
        assert_eq!(answer.status(), StatusCode::OK);
        let id = answer.headers()["mcp-session-id"].to_str().expect("visible ASCII").to_owned();
        let session = Self { way, id, revision };
        let initialized = json!({ "jsonrpc": "2.0", "method": "notifications/initialized" });
        assert_eq!(session.post(&initialized).await.status(), StatusCode::ACCEPTED);
        session
    }

    async fn post(&self, body: &Value) -> Response {
        let request = http().post(self.way.url()).header(CONTENT_TYPE, "application/json");
        let request = request.header(ACCEPT, "application/json, text/event-stream").body(body.to_string());
        self.of_session(request).send().await.expect("an answer")
    }

    fn of_session(&self, request: RequestBuilder) -> RequestBuilder {
        request.header("mcp-session-id", &self.id).header("mcp-protocol-version", self.revision)
    }
}

/// Leaving does not cancel in these revisions: the answer is fetched later, after the last event that the client has seen.
async fn a_call_goes_on_when_its_client_leaves(way: &Forwarder) {
    let session = Session::begin(way, "2025-11-25").await;
    let params = json!({ "name": "test_tool_with_logging", "arguments": {} });
    let mut answer =
        session.post(&json!({ "jsonrpc": "2.0", "id": 7, "method": "tools/call", "params": params })).await;
    let mut seen = String::new();
    while !seen.contains("Tool execution started") {
        let chunk = answer.chunk().await.expect("the stream is not broken off").expect("it goes on");
        seen.push_str(std::str::from_utf8(&chunk).expect("these events are text"));
    }
    drop(answer);
    let last =
        seen.lines().rev().find_map(|line| line.strip_prefix("id: ")).expect("events have ids").to_owned();

    let request = http().get(way.url()).header(ACCEPT, "text/event-stream").header("last-event-id", &last);
    let mut resumed = session.of_session(request).send().await.expect("an answer");
    assert_eq!(resumed.status(), StatusCode::OK);
    let mut rest = String::new();
    while !rest.contains(r#""id":7"#) {
        let chunk = resumed.chunk().await.expect("the stream is not broken off").expect("it goes on");
        rest.push_str(std::str::from_utf8(&chunk).expect("these events are text"));
    }
    assert!(!rest.contains("Tool execution started"), "{rest}");
    assert!(rest.contains("Tool execution completed") && rest.contains("Logged three times."), "{rest}");
}

async fn a_batch_is_taken_apart_and_answered_whole(way: &Forwarder) {
    let session = Session::begin(way, "2025-03-26").await;
    let call = |id: i64, name: &str| {
        let params = json!({ "name": name, "arguments": {} });
        json!({ "jsonrpc": "2.0", "id": id, "method": "tools/call", "params": params })
    };
    let batch = json!([
        call(1, "test_simple_text"),
        { "jsonrpc": "2.0", "method": "notifications/roots/list_changed" },
        call(2, "test_error_handling"),
    ]);
    let answer = session.post(&batch).await;
    assert_eq!(answer.status(), StatusCode::OK);
    let answers: Value =
        serde_json::from_str(&answer.text().await.expect("a whole answer")).expect("all at once, as JSON");
    let mut ids: Vec<_> =
        answers.as_array().expect("a batch").iter().filter_map(|answer| answer["id"].as_i64()).collect();
    ids.sort_unstable();
    assert_eq!(ids, [1, 2], "{answers}");
}
