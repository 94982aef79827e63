//! HTTP+SSE (2024-11-05): a session is a connection, and everything comes on it.

use reqwest::header::{ACCEPT, CONTENT_TYPE};
use reqwest::{Response, StatusCode};
use serde_json::{Value, json};

use crate::harness::{Bridge, Events, call, initialize};

/// A client with its stream.
struct Client<'a> {
    bridge: &'a Bridge,
    events: Events,
    address: String,
}

impl<'a> Client<'a> {
    /// Opens a stream, and reads where messages are posted.
    async fn connect(bridge: &'a Bridge) -> Self {
        let request = bridge.at("/sse", reqwest::Method::GET).header(ACCEPT, "text/event-stream");
        let mut events = Events::of(request.send().await.unwrap());
        let endpoint = events.next().await.expect("the first event");
        assert_eq!((endpoint.event.as_deref(), endpoint.id), (Some("endpoint"), None));
        let address = String::from_utf8(endpoint.data.to_vec()).unwrap();
        Self { bridge, events, address }
    }

    async fn initialized(bridge: &'a Bridge) -> Self {
        let mut client = Self::connect(bridge).await;
        client.send(initialize("2024-11-05")).await;
        assert_eq!(client.events.message().await["result"]["protocolVersion"], "2024-11-05");
        client.send(json!({"jsonrpc": "2.0", "method": "notifications/initialized"}).to_string()).await;
        client
    }

    async fn post(&self, body: String) -> Response {
        let request = self.bridge.at(&self.address, reqwest::Method::POST);
        request.header(CONTENT_TYPE, "application/json").body(body).send().await.unwrap()
    }

    async fn send(&self, body: String) {
        assert_eq!(self.post(body).await.status(), StatusCode::ACCEPTED);
    }
}

#[tokio::test]
async fn every_client_gets_its_own_answers_and_no_others() {
    for options in [&["--process", "per-client"][..], &["--process", "shared"]] {
        let bridge = Bridge::start(options);
        let (mut first, mut second) =
            (Client::initialized(&bridge).await, Client::initialized(&bridge).await);
        first.send(call(1, "echo", json!({"text": "of the first"}))).await;
        second.send(call(1, "echo", json!({"text": "of the second"}))).await;
        second.send(call(2, "echo", json!({"text": "of the second, again"}))).await;
        for (id, text) in [(1, "of the second"), (2, "of the second, again")] {
            let answer = second.events.message().await;
            assert_eq!((&answer["id"], &answer["result"]["text"]), (&json!(id), &json!(text)), "{options:?}");
        }
        assert_eq!(first.events.message().await["result"]["text"], "of the first", "{options:?}");
    }
}

#[tokio::test]
async fn everything_of_the_server_comes_on_the_stream() {
    let bridge = Bridge::start(&[]);
    let mut client = Client::initialized(&bridge).await;
    client.send(call(1, "ask", json!({}))).await;
    assert_eq!(client.events.message().await["method"], "sampling/createMessage");
    client.send(json!({"jsonrpc": "2.0", "id": "s-1", "result": {"said": 1.0}}).to_string()).await;
    assert_eq!(client.events.message().await["id"], 1);
    client.send(call(2, "change", json!({}))).await;
    assert_eq!(client.events.message().await["method"], "notifications/tools/list_changed");
    assert_eq!(client.events.message().await["id"], 2);
    client.send(call(3, "die", json!({}))).await;
    let failed = client.events.message().await;
    assert!(failed["error"]["message"].as_str().unwrap().contains("exited"), "{failed}");
    assert!(client.events.next().await.is_none(), "the stream ends with the server");
    assert_eq!(client.post(call(4, "echo", json!({}))).await.status(), StatusCode::NOT_FOUND);
}

// The connection is closed by a task, beside the thread that waits for the child.
#[tokio::test(flavor = "multi_thread")]
async fn a_session_ends_with_its_connection() {
    let bridge = Bridge::start(&["--process", "per-client", "--warm", "0"]);
    let client = Client::initialized(&bridge).await;
    bridge.wait_for_children(1);
    let address = client.address.clone();
    drop(client);
    bridge.wait_for_children(0);
    let request = bridge.at(&address, reqwest::Method::POST).header(CONTENT_TYPE, "application/json");
    assert_eq!(request.body("{}").send().await.unwrap().status(), StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn what_is_not_right_is_refused() {
    let bridge = Bridge::start(&[]);
    let client = Client::initialized(&bridge).await;
    let id = client.address.split_once('=').unwrap().1.to_owned();
    let streamable = bridge.session("2025-11-25").await;
    for (method, path, session, status) in [
        ("POST", "/sse", None, 405),
        ("GET", "/message", None, 405),
        ("POST", "/message", None, 400),
        ("POST", "/message?sessionId=", None, 404),
        ("POST", "/message?sessionId=unknown", None, 404),
        ("POST", &format!("/message?sessionId={streamable}"), None, 404),
        ("POST", "/mcp", Some(&id), 404),
        ("GET", "/mcp", Some(&id), 404),
    ] {
        let mut request = bridge.at(path, method.parse().unwrap()).header(CONTENT_TYPE, "application/json");
        if let Some(session) = session {
            request = request.header("mcp-session-id", session.as_str());
        }
        let response = request.body(call(9, "echo", json!({}))).send().await.unwrap();
        assert_eq!(response.status(), status, "{method} {path}");
    }
    for body in ["", "{}", "[]", &format!("[{}]", call(1, "echo", json!({})))] {
        let response = client.post(body.to_owned()).await;
        assert_eq!(response.status(), StatusCode::BAD_REQUEST, "{body}");
        let error: Value = response.json().await.unwrap();
        assert!(error["error"]["message"].is_string(), "{error}");
    }
    let plain = bridge.at(&client.address, reqwest::Method::POST).body("{}").send().await.unwrap();
    assert_eq!(plain.status(), StatusCode::UNSUPPORTED_MEDIA_TYPE);
}
