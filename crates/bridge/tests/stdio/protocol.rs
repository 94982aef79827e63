//! What Streamable HTTP asks of a server, revision by revision.

use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::harness::{Bridge, CHILD, Events, call, initialize};

const NEWEST: &str = "2025-11-25";

async fn refusal(request: reqwest::RequestBuilder) -> (StatusCode, Value) {
    let response = request.send().await.unwrap();
    let status = response.status();
    (status, response.json().await.unwrap())
}

#[tokio::test]
async fn a_session_lasts_from_initialize_to_delete() {
    let bridge = Bridge::start(&[]);
    let session = bridge.session(NEWEST).await;
    assert_eq!(bridge.result(&session, 1, "echo", json!({"text": "ü"})).await, json!({"text": "ü"}));
    let deleted = bridge.delete(Some(&session)).send().await.unwrap();
    assert_eq!(deleted.status(), StatusCode::NO_CONTENT);
    let (status, body) = refusal(bridge.post(Some(&session), call(2, "echo", json!({})))).await;
    assert_eq!((status, &body["error"]["code"]), (StatusCode::NOT_FOUND, &json!(-32001)));
    assert_eq!(refusal(bridge.get(Some(&session))).await.0, StatusCode::NOT_FOUND);
    // The child of the session is gone; the one that is kept warm is left.
    bridge.wait_for_children(1);
}

#[tokio::test]
async fn requests_that_are_not_right_get_the_status_for_it() {
    let bridge = Bridge::start(&["--body-bytes-max", "10000"]);
    let session = bridge.session(NEWEST).await;
    let ping = r#"{"jsonrpc":"2.0","id":"p","method":"ping"}"#;
    let post = || bridge.post(Some(&session), ping);
    let plain = |accept: &'static str, kind: &'static str| {
        let request = reqwest::Client::new().post(&bridge.url).header("accept", accept).body(ping);
        request.header("content-type", kind).header("mcp-session-id", &session)
    };
    let both = "application/json, text/event-stream";
    let cases = [
        (plain("application/json", "application/json"), StatusCode::NOT_ACCEPTABLE),
        (plain(both, "text/plain"), StatusCode::UNSUPPORTED_MEDIA_TYPE),
        (post().header("mcp-protocol-version", "1999-01-01"), StatusCode::BAD_REQUEST),
        (post().header("origin", "http://evil.example"), StatusCode::FORBIDDEN),
        (post().header("host", "evil.example"), StatusCode::FORBIDDEN),
        (bridge.post(Some("toString"), ping), StatusCode::NOT_FOUND),
        (bridge.post(None, ping), StatusCode::BAD_REQUEST),
        (bridge.post(Some(&session), "{"), StatusCode::BAD_REQUEST),
        (bridge.post(Some(&session), initialize(NEWEST)), StatusCode::BAD_REQUEST),
        (post().header("mcp-protocol-version", "2026-07-28"), StatusCode::BAD_REQUEST),
        (bridge.post(Some(&session), "x".repeat(10_001)), StatusCode::PAYLOAD_TOO_LARGE),
        (bridge.get(None), StatusCode::BAD_REQUEST),
        (bridge.get(Some(&session)).header("last-event-id", "99-1"), StatusCode::BAD_REQUEST),
        (bridge.delete(None), StatusCode::BAD_REQUEST),
        (reqwest::Client::new().put(&bridge.url), StatusCode::METHOD_NOT_ALLOWED),
    ];
    for (number, (request, expected)) in cases.into_iter().enumerate() {
        let (status, body) = refusal(request).await;
        assert_eq!(status, expected, "case {number}: {body}");
        assert!(body["error"]["message"].is_string(), "case {number}: {body}");
    }
    let accepted =
        post().header("origin", "http://localhost:3000").header("mcp-protocol-version", "2025-06-18");
    assert_eq!(accepted.send().await.unwrap().status(), StatusCode::OK);
}

#[tokio::test]
async fn a_bridge_with_a_credential_answers_nobody_without_it() {
    let launcher = ["env", "MCPCAN_BRIDGE_CREDENTIAL=0123456789abcdef"];
    let bridge = Bridge::start_through(&launcher, &[], &["python3", CHILD]);
    let with = |request: reqwest::RequestBuilder| request.header("authorization", "Bearer 0123456789abcdef");
    let opened = with(bridge.post(None, initialize(NEWEST))).send().await.unwrap();
    assert_eq!(opened.status(), StatusCode::OK);
    let session = opened.headers()["mcp-session-id"].to_str().unwrap().to_owned();
    let session = Some(session.as_str());
    let ping = r#"{"jsonrpc":"2.0","id":"p","method":"ping"}"#;
    let elsewhere = bridge.url.replace("/mcp", "/elsewhere");
    let refused = [
        bridge.post(None, initialize(NEWEST)),
        bridge.post(session, ping),
        bridge.post(session, ping).header("authorization", "Bearer 0123456789abcde"),
        bridge.post(session, ping).header("authorization", "Bearer 0123456789abcdef0"),
        bridge.post(session, ping).header("authorization", "Basic 0123456789abcdef"),
        bridge.post(session, ping).header("authorization", "0123456789abcdef"),
        with(with(bridge.post(session, ping))),
        bridge.get(session),
        bridge.delete(session),
        reqwest::Client::new().get(&elsewhere),
    ];
    for (number, request) in refused.into_iter().enumerate() {
        let response = request.send().await.unwrap();
        assert_eq!(response.status(), StatusCode::UNAUTHORIZED, "case {number}");
        assert_eq!(response.headers()["www-authenticate"], "Bearer", "case {number}");
        let body: Value = response.json().await.unwrap();
        assert_eq!(body["error"]["code"], -32000, "case {number}");
    }
    let health = reqwest::get(bridge.url.replace("/mcp", "/healthz")).await.unwrap();
    assert_eq!(health.status(), StatusCode::OK);
    assert_eq!(refusal(with(reqwest::Client::new().get(&elsewhere))).await.0, StatusCode::NOT_FOUND);
    // The refused DELETE has ended nothing, and the server knows nothing of the credential.
    let about: Value =
        with(bridge.post(session, call(1, "about", json!({})))).send().await.unwrap().json().await.unwrap();
    let environment = about["result"]["environment"].as_array().unwrap();
    assert!(environment.contains(&json!("MCPCAN_REPLICA")), "{environment:?}");
    assert!(!environment.contains(&json!("MCPCAN_BRIDGE_CREDENTIAL")), "{environment:?}");
}

#[tokio::test]
async fn no_byte_of_a_message_changes() {
    let bridge = Bridge::start(&[]);
    let session = bridge.session(NEWEST).await;
    let request = "{\"params\":{\"name\":\"raw\",\"n\":[1.0,9007199254740993,1e400,-0]},\n \"id\":9007199254740993,\
                   \"x\":\"\\u00e9\",\"method\":\"tools/call\",\"jsonrpc\":\"2.0\"}";
    let answer = bridge.post(Some(&session), request).send().await.unwrap().text().await.unwrap();
    let got = serde_json::to_string(&request.replace('\n', " ")).unwrap();
    let start =
        r#"{"jsonrpc":"2.0","result":{"z":1.0,"a":9007199254740993,"huge":123456789012345678901234567890,"#;
    assert_eq!(answer, format!(r#"{start}"m":1e2,"got":{got}}},"id":9007199254740993,"extra":[1.50]}}"#));
}

#[tokio::test]
async fn progress_goes_to_its_call_and_to_no_other() {
    let bridge = Bridge::start(&[]);
    let session = bridge.session(NEWEST).await;
    let request = |id: i64, steps: i64| {
        let params = json!({"name": "progress", "arguments": {"steps": steps, "parties": 2},
                            "_meta": {"progressToken": format!("token {id}")}});
        let body = json!({"jsonrpc": "2.0", "id": id, "method": "tools/call", "params": params});
        bridge.post(Some(&session), body.to_string()).send()
    };
    let (first, second) = tokio::join!(request(1, 3), request(2, 5));
    for (response, id, steps) in [(first, 1, 3), (second, 2, 5)] {
        let messages = Events::of(response.unwrap()).messages().await;
        let (answer, progress) = messages.split_last().unwrap();
        assert_eq!(answer["id"], id);
        assert_eq!(progress.len(), steps);
        assert!(
            progress.iter().all(|one| one["params"]["progressToken"] == format!("token {id}")),
            "{progress:?}"
        );
    }
}

#[tokio::test]
async fn a_request_of_the_server_comes_on_the_call_and_its_answer_goes_back() {
    let bridge = Bridge::start(&[]);
    let session = bridge.session("2025-06-18").await;
    let mut stream = Events::of(bridge.call(&session, 1, "ask", json!({})).await);
    let request = stream.message().await;
    assert_eq!((&request["id"], &request["method"]), (&json!("s-1"), &json!("sampling/createMessage")));
    let answer = json!({"jsonrpc": "2.0", "id": "s-1", "result": {"text": "sampled"}}).to_string();
    let accepted = bridge.post(Some(&session), answer).send().await.unwrap();
    assert_eq!(accepted.status(), StatusCode::ACCEPTED);
    assert_eq!(stream.message().await["result"], json!({"answer": {"text": "sampled"}}));
    assert_eq!(stream.next().await, None);
}

#[tokio::test]
async fn what_belongs_to_no_call_comes_on_the_get_stream() {
    let bridge = Bridge::start(&[]);
    let (session, other) = (bridge.session(NEWEST).await, bridge.session(NEWEST).await);
    let mut elsewhere = Events::of(bridge.get(Some(&other)).send().await.unwrap());
    let mut stream = Events::of(bridge.get(Some(&session)).send().await.unwrap());
    let prime = stream.next().await.unwrap();
    assert!(prime.data.is_empty() && prime.id.is_some());
    // The call's own answer is nothing but JSON: the notification went elsewhere.
    bridge.result(&session, 1, "change", json!({})).await;
    assert_eq!(stream.message().await["method"], "notifications/tools/list_changed");
    // The other session's stream has seen nothing of it: the next thing there is its own.
    bridge.result(&other, 1, "change", json!({})).await;
    assert_eq!(elsewhere.message().await["method"], "notifications/tools/list_changed");
    bridge.delete(Some(&other)).send().await.unwrap();
    assert_eq!(elsewhere.messages().await, Vec::<Value>::new());
}

#[tokio::test]
async fn a_message_that_comes_before_anyone_listens_is_kept() {
    let bridge = Bridge::start(&[]);
    let session = bridge.session("2025-03-26").await;
    bridge.result(&session, 1, "change", json!({})).await;
    let mut stream = Events::of(bridge.get(Some(&session)).send().await.unwrap());
    assert_eq!(stream.message().await["method"], "notifications/tools/list_changed");
}

#[tokio::test]
async fn a_lost_connection_does_not_cancel_and_the_answer_can_be_fetched() {
    let bridge = Bridge::start(&[]);
    let session = bridge.session(NEWEST).await;
    let mut stream = Events::of(bridge.call(&session, 1, "hold", json!({})).await);
    let prime = stream.next().await.unwrap();
    assert!(prime.data.is_empty());
    let held = stream.next().await.unwrap();
    drop(stream);
    bridge.result(&session, 2, "release", json!({})).await;
    let resume = |id: Option<String>| bridge.get(Some(&session)).header("last-event-id", id.unwrap()).send();
    let after_held = Events::of(resume(held.id.clone()).await.unwrap()).messages().await;
    assert_eq!(after_held.len(), 1);
    assert_eq!((&after_held[0]["id"], &after_held[0]["result"]["text"]), (&json!(1), &json!("released")));
    let after_prime = Events::of(resume(prime.id).await.unwrap()).messages().await;
    assert_eq!(after_prime.len(), 2);
    assert_eq!(after_prime[1], after_held[0]);
}

#[tokio::test]
async fn a_slow_answer_becomes_a_stream_and_a_cancelled_call_ends() {
    let bridge = Bridge::start(&[]);
    let session = bridge.session(NEWEST).await;
    let mut stream = Events::of(bridge.call(&session, 7, "silence", json!({})).await);
    assert!(stream.next().await.unwrap().data.is_empty());
    let cancel = json!({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": 7}});
    bridge.post(Some(&session), cancel.to_string()).send().await.unwrap();
    bridge.log_line("cancelled 7");
    // The server does not answer a call that was cancelled, so the bridge does, after a while.
    let answer = stream.message().await;
    assert_eq!((&answer["id"], &answer["error"]["code"]), (&json!(7), &json!(-32000)));
    assert_eq!(stream.next().await, None);
    assert_eq!(bridge.result(&session, 7, "echo", json!({"text": "a"})).await, json!({"text": "a"}));
}

#[tokio::test]
async fn a_cancelled_call_that_was_answered_takes_no_later_call_with_its_id_along() {
    let bridge = Bridge::start(&[]);
    let session = bridge.session(NEWEST).await;
    let cancel = async |id: i64| {
        let cancel =
            json!({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": id}});
        bridge.post(Some(&session), cancel.to_string()).send().await.unwrap();
    };
    let mut first = Events::of(bridge.call(&session, 7, "hold", json!({})).await);
    first.message().await;
    cancel(7).await;
    bridge.result(&session, 8, "release", json!({})).await;
    assert_eq!(first.message().await["result"]["text"], "released");
    let mut second = Events::of(bridge.call(&session, 7, "hold", json!({})).await);
    second.message().await;
    // The grace of this one ends after that of the first.
    let mut later = Events::of(bridge.call(&session, 9, "silence", json!({})).await);
    cancel(9).await;
    assert_eq!(later.message().await["error"]["message"], "the call was cancelled");
    bridge.result(&session, 10, "release", json!({})).await;
    assert_eq!(second.message().await["result"]["text"], "released");
}

#[tokio::test]
async fn only_the_revision_with_batches_takes_them() {
    let bridge = Bridge::start(&[]);
    let batch = format!(
        r#"[{},{{"jsonrpc":"2.0","method":"notifications/x"}},{}]"#,
        call(1, "echo", json!({"text": "a"})),
        call(2, "echo", json!({"text": "b"})),
    );
    let session = bridge.session("2025-03-26").await;
    let answers: Value =
        bridge.post(Some(&session), batch.clone()).send().await.unwrap().json().await.unwrap();
    let texts: Vec<_> = answers.as_array().unwrap().iter().map(|one| &one["result"]["text"]).collect();
    assert_eq!(texts, ["a", "b"]);
    let one = format!("[{}]", call(1, "echo", json!({"text": "a"})));
    let answers: Value = bridge.post(Some(&session), one).send().await.unwrap().json().await.unwrap();
    assert_eq!(answers[0]["result"]["text"], "a");
    let twice = format!("[{0},{0}]", call(1, "echo", json!({})));
    assert_eq!(refusal(bridge.post(Some(&session), twice)).await.0, StatusCode::BAD_REQUEST);
    // The id that came twice is free again.
    bridge.result(&session, 1, "echo", json!({})).await;
    let session = bridge.session("2025-06-18").await;
    assert_eq!(refusal(bridge.post(Some(&session), batch)).await.0, StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn large_messages_pass_both_ways() {
    let bridge = Bridge::start(&[]);
    let session = bridge.session(NEWEST).await;
    let text = "é".repeat(6_000_000);
    let result = bridge.call(&session, 1, "echo", json!({"text": text})).await;
    let answer: Value = match result.headers()["content-type"].to_str().unwrap() {
        "application/json" => result.json().await.unwrap(),
        _ => Events::of(result).message().await,
    };
    assert!(answer["result"]["text"] == text);
}
