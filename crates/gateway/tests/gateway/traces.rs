//! What a call leaves in TRACES.

use access_log::{Fields, Level, TraceEvent, TraceRecord};
use http_body_util::BodyExt;

use crate::harness::{Harness, count, hosted, path};
use crate::upstream::{Upstream, full, json};

const CALL: &str =
    r#"{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"name":"echo","arguments":{"message":"hi"}}}"#;
const TRACEPARENT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
const RESULT: &str = r#"{"jsonrpc":"2.0","id":7,"result":{"content":[{"type":"text","text":"Echo: hi"}]}}"#;

fn ended(records: &[TraceRecord]) -> bool {
    count(records, TraceEvent::Response) == 1
}

/// Each has the header fields of its side, masked.
fn assert_fields(request: &TraceRecord, response: &TraceRecord, host: &str) {
    let length = CALL.len().to_string();
    let expected = [
        ("accept", "application/json, text/event-stream"),
        ("authorization", "***"),
        ("content-length", &length),
        ("content-type", "application/json"),
        ("host", host),
        ("mcp-protocol-version", "2025-11-25"),
        ("traceparent", TRACEPARENT),
        ("user-agent", "test/1"),
    ];
    let expected = expected.map(|(name, value)| (name.to_owned(), value.to_owned()));
    assert_eq!(request.headers, Fields::from(expected));
    let mut answered: Vec<_> = response.response_headers.keys().map(String::as_str).collect();
    answered.retain(|name| *name != "date");
    assert_eq!(answered, ["content-type", "mcp-session-id", "x-trace-id"]);
    assert_eq!(response.response_headers["mcp-session-id"], "***");
}

#[tokio::test]
async fn a_call_leaves_its_request_and_its_response() {
    let upstream = Upstream::start(|request| async move {
        request.into_body().collect().await.expect("the whole request");
        let mut response = json(RESULT);
        let session = http::HeaderValue::from_static("a-session-id-nobody-may-read");
        response.headers_mut().insert("mcp-session-id", session);
        response
    })
    .await;
    let mut harness = Harness::start().await;
    let instance = harness.create("everything", hosted()).await;
    let replica = harness.replica(instance, &upstream.url()).await;
    let token = harness.token(instance).await;
    let headers = [
        ("authorization", &*format!("Bearer {}", token.credential)),
        ("mcp-protocol-version", "2025-11-25"),
        ("user-agent", "test/1"),
        ("traceparent", TRACEPARENT),
    ];
    let answer = harness.client().send_with("POST", "/mcp-gateway/everything/mcp", &headers, CALL).await;
    assert_eq!((answer.status, answer.text()), (200, RESULT));
    let trace_id = answer.headers["x-trace-id"].to_str().expect("a trace id").to_owned();
    assert_eq!(trace_id.len(), 32, "{trace_id}");

    let records = harness.traces(ended).await;
    let [request, response] = &records[..] else { panic!("two records, not {records:#?}") };
    let expected = TraceRecord {
        headers: request.headers.clone(),
        parent_span_id: "00f067aa0ba902b7".to_owned(),
        replica_id: replica.0,
        token_header: "authorization: bearer".to_owned(),
        trace_id,
        span_id: request.span_id.clone(),
        instance_id: instance.0,
        instance_name: "everything".to_owned(),
        token_id: token.id.0,
        token_label: "dev".to_owned(),
        gateway_id: "test".to_owned(),
        protocol_version: "2025-11-25".to_owned(),
        http_method: "POST".to_owned(),
        path: "/mcp-gateway/everything/mcp".to_owned(),
        rpc_method: "tools/call".to_owned(),
        rpc_id: "7".to_owned(),
        tool: "echo".to_owned(),
        request_bytes: CALL.len() as u64,
        client_address: "127.0.0.1".to_owned(),
        user_agent: "test/1".to_owned(),
        content_type: "application/json".to_owned(),
        ..TraceRecord::new(request.time, TraceEvent::Request)
    };
    assert_eq!(*request, expected);
    assert!(response.latency_ns > 0 && response.time > request.time);
    assert!((1..=response.latency_ns).contains(&response.first_byte_ns));
    assert_fields(request, response, &harness.gateway.address.to_string());
    assert_eq!(response.session_id.len(), 16, "a short digest");
    let expected = TraceRecord {
        time: response.time,
        event: TraceEvent::Response,
        status: 200,
        latency_ns: response.latency_ns,
        first_byte_ns: response.first_byte_ns,
        headers: Fields::new(),
        response_headers: response.response_headers.clone(),
        session_id: response.session_id.clone(),
        response_bytes: RESULT.len() as u64,
        ..expected
    };
    assert_eq!(*response, expected);
}

#[tokio::test]
async fn an_answer_that_is_an_error_is_told_from_one_that_is_not() {
    let upstream = Upstream::start(|request| async move {
        match request.headers()["x-answer"].as_bytes() {
            b"rpc" => json(r#"{"jsonrpc":"2.0","id":7,"error":{"code":-32602,"message":"no such tool"}}"#),
            b"tool" => json(r#"{"jsonrpc":"2.0","id":7,"result":{"content":[],"isError":true}}"#),
            _ => http::Response::builder().status(404).body(full("no such thing")).expect("a response"),
        }
    })
    .await;
    let mut harness = Harness::start().await;
    let instance = harness.hosted("everything", &upstream.url()).await;
    let token = harness.token(instance).await;
    let authorization = format!("Bearer {}", token.credential);
    for wanted in ["rpc", "tool", "gone"] {
        let headers = [("authorization", &*authorization), ("x-answer", wanted)];
        harness.client().send_with("POST", &path(instance), &headers, CALL).await;
    }
    let records = harness.traces(|records| count(records, TraceEvent::Response) == 3).await;
    let ends = records.iter().filter(|record| record.event == TraceEvent::Response);
    let ends: Vec<_> = ends
        .map(|end| (end.status, end.rpc_error_code, end.is_error, &*end.error_class, &*end.error))
        .collect();
    assert_eq!(
        ends,
        [
            (200, -32602, false, "rpc_error", "json-rpc error -32602"),
            (200, 0, true, "tool_error", "the tool reported an error"),
            (404, 0, false, "upstream_status", "the upstream answered with status 404"),
        ]
    );
    let is_end = |record: &&TraceRecord| record.event == TraceEvent::Response;
    assert!(records.iter().filter(is_end).all(|end| end.level == Level::Warn));
}

#[tokio::test]
async fn a_clients_trace_id_is_kept_and_goes_on_to_the_upstream() {
    const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
    let upstream = Upstream::json(RESULT).await;
    let mut harness = Harness::start().await;
    let instance = harness.hosted("everything", &upstream.url()).await;
    let token = harness.token(instance).await;
    let authorization = format!("Bearer {}", token.credential);
    let traceparent = format!("00-{TRACE}-00f067aa0ba902b7-01");
    for own in [("traceparent", &*traceparent), ("x-trace-id", "order-4711")] {
        let headers = [("authorization", &*authorization), own];
        let answer = harness.client().send_with("POST", &path(instance), &headers, CALL).await;
        let expected = if own.0 == "traceparent" { TRACE } else { own.1 };
        assert_eq!(answer.headers["x-trace-id"], expected);
    }
    let records = harness.traces(|records| count(records, TraceEvent::Response) == 2).await;
    let traces: Vec<&str> = records.iter().map(|record| record.trace_id.as_str()).collect();
    assert_eq!(traces, [TRACE, TRACE, "order-4711", "order-4711"]);
    let seen = upstream.requests();
    let expected = format!("00-{TRACE}-{}-01", records[0].span_id);
    assert_eq!(seen[0].headers["traceparent"], expected);
    assert_eq!(seen[1].headers["x-trace-id"], "order-4711");
    assert!(!seen[1].headers.contains_key("traceparent"));
}

#[tokio::test]
async fn what_clients_say_on_their_own_is_below_what_somebody_asked_for() {
    let upstream = Upstream::json(RESULT).await;
    let mut harness = Harness::start().await;
    let instance = harness.hosted("everything", &upstream.url()).await;
    let token = harness.token(instance).await;
    for method in ["tools/call", "tools/list", "ping", "notifications/initialized"] {
        let message = format!(r#"{{"jsonrpc":"2.0","id":7,"method":"{method}"}}"#);
        harness.client().send("POST", &path(instance), &token.credential, &message).await;
    }
    let records = harness.traces(|records| count(records, TraceEvent::Response) == 4).await;
    let levels: Vec<_> = records.iter().map(|record| (&*record.rpc_method, record.level)).collect();
    for (method, level) in [
        ("tools/call", Level::Info),
        ("tools/list", Level::Debug),
        ("ping", Level::Trace),
        ("notifications/initialized", Level::Trace),
    ] {
        assert_eq!(levels.iter().filter(|found| **found == (method, level)).count(), 2, "{levels:?}");
    }
}
