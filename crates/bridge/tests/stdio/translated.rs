//! Clients and servers that have no era in common.

use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::harness::{Bridge, Events, answer_of};

const META: &str = "io.modelcontextprotocol";

async fn answer(request: reqwest::RequestBuilder) -> (StatusCode, Value) {
    let response = request.send().await.unwrap();
    (response.status(), answer_of(response).await)
}

/// The parameters of a call in 2026-07-28 of a client that can be asked things.
fn asked(tool: &str, capabilities: &Value, more: Value) -> Value {
    let mut params = json!({"name": tool, "arguments": {}, "_meta": {(format!("{META}/clientCapabilities")): capabilities}});
    for (key, value) in more.as_object().unwrap() {
        params[key] = value.clone();
    }
    params
}

#[tokio::test]
async fn a_newer_client_gets_what_its_revision_demands_of_an_older_server() {
    let bridge = Bridge::start(&[]);
    let (_, discovered) = answer(bridge.stateless(1, "server/discover", json!({}))).await;
    let result = &discovered["result"];
    assert_eq!(result["supportedVersions"], json!(["2026-07-28"]));
    assert_eq!(
        result["capabilities"],
        json!({"logging": {}, "tools": {"listChanged": true}, "x": {"n": 1.0}})
    );
    assert_eq!(result["_meta"][format!("{META}/serverInfo")], json!({"name": "child", "version": "1"}));
    assert_eq!((&result["resultType"], &result["ttlMs"]), (&json!("complete"), &json!(0)));
    let (_, listed) = answer(bridge.stateless(2, "tools/list", json!({}))).await;
    assert_eq!(listed["result"]["cacheScope"], "private");
    // Of the result itself no byte changes, and the call is known to the server by another id.
    let raw = bridge.stateless_call(3, "raw", json!({})).await.text().await.unwrap();
    assert!(raw.starts_with(r#"{"jsonrpc":"2.0","result":{"resultType":"complete","_meta":{"#), "{raw}");
    assert!(
        raw.contains(r#""z":1.0,"a":9007199254740993,"huge":123456789012345678901234567890,"m":1e2,"#),
        "{raw}"
    );
    assert!(raw.ends_with(r#","id":3,"extra":[1.50]}"#), "{raw}");
    for method in ["initialize", "ping", "logging/setLevel", "resources/subscribe", "no/such"] {
        let (status, body) = answer(bridge.stateless(4, method, json!({}))).await;
        assert_eq!((status, &body["error"]["code"]), (StatusCode::NOT_FOUND, &json!(-32601)), "{method}");
    }
    let (status, missing) = answer(bridge.stateless(5, "resources/read", json!({"uri": "x:none"}))).await;
    assert_eq!((status, &missing["error"]["code"]), (StatusCode::BAD_REQUEST, &json!(-32602)));
    // One child for these calls, and one that is warm.
    bridge.wait_for_children(2);
}

#[tokio::test]
async fn a_newer_client_reads_logs_only_if_it_asks_for_them() {
    let bridge = Bridge::start(&[]);
    let report = async |level: Option<&str>| {
        let mut params = json!({"name": "report", "arguments": {"parts": 2, "bytes": 1}});
        if let Some(level) = level {
            params["_meta"] = json!({(format!("{META}/logLevel")): level});
        }
        let response = bridge.stateless(1, "tools/call", params).send().await.unwrap();
        match response.headers()["content-type"].to_str().unwrap() {
            "application/json" => 1,
            _ => Events::of(response).messages().await.len(),
        }
    };
    assert_eq!(report(None).await, 1);
    assert_eq!(report(Some("warning")).await, 1);
    assert_eq!(report(Some("info")).await, 3);
}

#[tokio::test]
async fn what_an_older_server_asks_goes_to_the_client_and_its_answer_back() {
    let bridge = Bridge::start(&[]);
    let can = json!({"sampling": {}});
    let call = |id: i64, more: Value| bridge.stateless(id, "tools/call", asked("ask", &can, more));
    let (status, first) = answer(call(1, json!({}))).await;
    assert_eq!(status, StatusCode::OK);
    let result = &first["result"];
    assert_eq!(result["resultType"], "input_required");
    let (key, request) = result["inputRequests"].as_object().unwrap().iter().next().unwrap();
    assert_eq!(request, &json!({"method": "sampling/createMessage", "params": {}}));
    let state = &result["requestState"];
    // Without the answer it is asked again, and with a state that was used or made up nothing goes on.
    let (_, again) = answer(call(2, json!({"requestState": state, "inputResponses": {"other": {}}}))).await;
    assert_eq!(again["result"]["inputRequests"], result["inputRequests"]);
    let next = &again["result"]["requestState"];
    assert_ne!(next, state);
    let responses = json!({(key.clone()): {"n": 1.0}});
    for wrong in [state, &json!("made up"), &json!(1)] {
        let (status, body) =
            answer(call(3, json!({"requestState": wrong, "inputResponses": responses}))).await;
        assert_eq!((status, &body["error"]["code"]), (StatusCode::BAD_REQUEST, &json!(-32602)), "{wrong}");
    }
    // Nor for another client, or another request.
    let right = json!({"requestState": next, "inputResponses": responses});
    let foreign = call(4, right.clone()).header("Mcpcan-Client", "other");
    assert_eq!(answer(foreign).await.0, StatusCode::BAD_REQUEST);
    let other = bridge.stateless(5, "tools/call", asked("echo", &can, right.clone()));
    assert_eq!(answer(other).await.0, StatusCode::BAD_REQUEST);
    let (_, last) = answer(call(6, right)).await;
    assert_eq!((&last["id"], &last["result"]["answer"]), (&json!(6), &json!({"n": 1.0})));
    assert_eq!(last["result"]["resultType"], "complete");
}

#[tokio::test]
async fn a_client_is_asked_only_what_it_has_declared() {
    let bridge = Bridge::start(&[]);
    let params = asked("ask", &json!({"roots": {}}), json!({}));
    let (status, body) = answer(bridge.stateless(1, "tools/call", params)).await;
    assert_eq!((status, &body["error"]["code"]), (StatusCode::BAD_REQUEST, &json!(-32021)), "{body}");
    assert_eq!(body["error"]["data"], json!({"requiredCapabilities": {"sampling": {}}}));
}

#[tokio::test]
async fn calls_that_may_be_asked_about_do_not_share_a_child() {
    let bridge = Bridge::start(&[]);
    let can = json!({"sampling": {}});
    let pid = async |id: i64| {
        let params = asked("ask", &can, json!({}));
        answer(bridge.stateless(id, "tools/call", params)).await.1["result"].clone()
    };
    // Two are held at a time, and each is asked its own.
    let (one, other) = tokio::join!(pid(1), pid(2));
    for result in [one, other] {
        let key = result["inputRequests"].as_object().unwrap().keys().next().unwrap().clone();
        let more = json!({"requestState": result["requestState"], "inputResponses": {key: {"for": result["requestState"]}}});
        let (_, last) = answer(bridge.stateless(3, "tools/call", asked("ask", &can, more))).await;
        assert_eq!(last["result"]["answer"], json!({"for": result["requestState"]}));
    }
}

// Two threads, so that requests are sent and connections closed while the test waits.
#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn what_a_server_asks_about_a_call_that_was_given_up_is_asked_of_nobody() {
    let bridge = Bridge::start(&[]);
    let can = json!({"sampling": {}});
    let nagged = tokio::spawn(bridge.stateless(1, "tools/call", asked("nag", &can, json!({}))).send());
    bridge.log_line("silent");
    nagged.abort();
    bridge.log_line("cancelled ");
    let next = bridge.stateless(2, "tools/call", asked("echo", &can, json!({"arguments": {"text": "a"}})));
    let (_, next) = answer(next).await;
    assert_eq!((&next["result"]["resultType"], &next["result"]["text"]), (&json!("complete"), &json!("a")));
}

// Two threads, so that connections are closed while the test waits.
#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_newer_client_listens_to_the_changes_of_an_older_server() {
    let bridge = Bridge::start(&[]);
    let params = json!({"notifications": {"toolsListChanged": true, "promptsListChanged": true}});
    let mut stream = Events::of(bridge.stateless(7, "subscriptions/listen", params).send().await.unwrap());
    let label = json!({(format!("{META}/subscriptionId")): 7});
    let acknowledged = stream.message().await;
    assert_eq!(acknowledged["params"], json!({"_meta": label, "notifications": {"toolsListChanged": true}}));
    let changed = bridge.stateless_call(8, "change", json!({})).await;
    assert_eq!(changed.headers()["content-type"], "application/json");
    let told = stream.message().await;
    assert_eq!(
        told,
        json!({"jsonrpc": "2.0", "method": "notifications/tools/list_changed", "params": {"_meta": label}})
    );
    // Another client's change is none of this one's business; the end of the child is.
    let elsewhere = bridge.stateless(9, "tools/call", json!({"name": "change", "arguments": {}}));
    elsewhere.header("Mcpcan-Client", "other").send().await.unwrap();
    bridge.stateless_call(10, "die", json!({})).await;
    let rest = stream.messages().await;
    assert_eq!(rest.len(), 1, "{rest:?}");
    assert_eq!((&rest[0]["id"], &rest[0]["result"]["resultType"]), (&json!(7), &json!("complete")));
    // A call in flight is cancelled when its client leaves, here as well.
    let silent = bridge.stateless(11, "tools/call", json!({"name": "silence", "arguments": {}}));
    let silent = tokio::spawn(silent.send());
    bridge.log_line("silent");
    silent.abort();
    bridge.log_line("cancelled ");
}

fn modern() -> Bridge {
    Bridge::start_before(&[], &["python3", crate::harness::CHILD, "stateless"])
}

#[tokio::test]
async fn the_bridge_keeps_the_sessions_of_older_clients_of_a_newer_server() {
    let bridge = modern();
    let initialize = json!({"jsonrpc": "2.0", "id": 0, "method": "initialize", "params": {
        "protocolVersion": "2025-06-18", "capabilities": {"sampling": {}}, "clientInfo": {"name": "old", "version": "1"}
    }});
    let opened = bridge.post(None, initialize.to_string()).send().await.unwrap();
    let session = opened.headers()["mcp-session-id"].to_str().unwrap().to_owned();
    let answer: Value = opened.json().await.unwrap();
    assert_eq!(answer["result"]["protocolVersion"], "2025-06-18");
    assert_eq!(answer["result"]["capabilities"], json!({"tools": {"listChanged": true}}));
    let request = async |id: i64, method: &str, params: Value| -> Value {
        let body = json!({"jsonrpc": "2.0", "id": id, "method": method, "params": params});
        bridge.post(Some(&session), body.to_string()).send().await.unwrap().json().await.unwrap()
    };
    assert_eq!(request(1, "ping", json!({})).await["result"], json!({}));
    assert_eq!(request(2, "logging/setLevel", json!({"level": "error"})).await["result"], json!({}));
    // The server is told who the client is, and nothing else is changed.
    let raw = request(3, "tools/call", json!({"name": "raw", "_meta": {"a": 1}})).await;
    let got: Value = serde_json::from_str(raw["result"]["got"].as_str().unwrap()).unwrap();
    let meta = json!({
        (format!("{META}/protocolVersion")): "2026-07-28", (format!("{META}/clientCapabilities")): {"sampling": {}},
        (format!("{META}/clientInfo")): {"name": "old", "version": "1"}, (format!("{META}/logLevel")): "error", "a": 1,
    });
    assert_eq!(got["params"], json!({"_meta": meta, "name": "raw"}));
    assert_eq!(raw["result"]["huge"].to_string(), "1.2345678901234568e+29");
    let unknown = request(4, "no/such", json!({})).await;
    assert_eq!((&unknown["id"], &unknown["error"]["code"]), (&json!(4), &json!(-32601)));
    let gone = bridge.delete(Some(&session)).send().await.unwrap();
    assert_eq!(gone.status(), StatusCode::NO_CONTENT);
}

#[tokio::test]
async fn what_a_newer_server_asks_for_is_asked_of_an_older_client() {
    let bridge = modern();
    let session = bridge.session("2025-11-25").await;
    let mut stream = Events::of(bridge.call(&session, 1, "input", json!({})).await);
    let mut asked = Vec::new();
    for round in 0..2 {
        for question in 0..2 {
            let request = stream.message().await;
            assert_eq!(request["method"], "elicitation/create");
            assert_eq!(request["params"], json!({"round": round, "question": question, "n": 1}));
            asked.push(request["id"].clone());
        }
        for id in asked.drain(..) {
            let answer = json!({"jsonrpc": "2.0", "id": id, "result": {"action": "accept", "to": id}});
            let taken = bridge.post(Some(&session), answer.to_string()).send().await.unwrap();
            assert_eq!(taken.status(), StatusCode::ACCEPTED);
        }
    }
    let last = stream.message().await;
    assert_eq!((&last["id"], &last["result"]["rounds"]), (&json!(1), &json!(2)));
    assert_eq!(last["result"]["answers"]["0"]["action"], "accept");
    // A client that cannot answer ends the call with its own error.
    let mut stream = Events::of(bridge.call(&session, 2, "input", json!({})).await);
    let id = stream.message().await["id"].clone();
    let refusal = json!({"jsonrpc": "2.0", "id": id, "error": {"code": -1, "message": "nobody is there"}});
    bridge.post(Some(&session), refusal.to_string()).send().await.unwrap();
    let rest = stream.messages().await;
    let last = rest.last().unwrap();
    assert_eq!((&last["id"], &last["error"]["message"]), (&json!(2), &json!("nobody is there")));
}

#[tokio::test]
async fn an_older_client_learns_what_changes_at_a_newer_server() {
    let bridge = modern();
    let session = bridge.session("2025-11-25").await;
    let mut listening = Events::of(bridge.get(Some(&session)).send().await.unwrap());
    bridge.result(&session, 1, "change", json!({})).await;
    assert_eq!(listening.message().await["method"], "notifications/tools/list_changed");
    // A server that is started again is listened to again.
    bridge.call(&session, 2, "die", json!({})).await;
    answer_of(bridge.call(&session, 3, "echo", json!({})).await).await;
    bridge.result(&session, 4, "change", json!({})).await;
    assert_eq!(listening.message().await["method"], "notifications/tools/list_changed");
}
