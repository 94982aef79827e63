//! Requests that mean harm, or that nobody thought of: each gets an answer that says what is wrong, and none a 500.

use http::{Method, StatusCode, header};
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::platform::{ADMIN_KEY, Answer, Platform, WAIT, hosted};

#[track_caller]
fn is_a_clear_refusal(answer: &Answer, what: &str) {
    assert!(answer.status.is_client_error(), "{what}: {answer:?}");
    assert_eq!(answer.header("content-type"), "application/problem+json", "{what}");
    assert!(answer.json()["code"].is_string(), "{what}: {answer:?}");
}

#[tokio::test]
async fn all_that_is_wrong_with_an_instance_is_named_at_once() {
    let platform = Platform::start().await;
    let body = json!({
        "name": "Not A Name", "access": "hosted", "transport": "stdio", "url": "http://h",
        "command": {"program": "", "args": ["\u{0}"], "env": {"1A": "x", "MCPCAN_A": "x"}},
    });
    let answer = platform.client.post("/instances", &body).await;
    let problem = answer.problem(StatusCode::BAD_REQUEST, "invalid_request");
    let errors = problem["errors"].as_array().unwrap();
    let places: Vec<_> = errors.iter().map(|error| error["pointer"].as_str().unwrap()).collect();
    assert_eq!(
        places,
        ["/name", "/url", "/command/program", "/command/args/0", "/command/env/1A", "/command/env/MCPCAN_A"]
    );
    assert!(errors.iter().all(|error| error["detail"].as_str().is_some_and(|detail| !detail.is_empty())));

    let mut body = hosted("a");
    body["colour"] = json!("red");
    let problem = platform.client.post("/instances", &body).await;
    let problem = problem.problem(StatusCode::BAD_REQUEST, "invalid_request");
    assert_eq!(problem["errors"][0]["pointer"], "/colour");
    assert!(problem["errors"][0]["detail"].as_str().unwrap().starts_with("unknown field `colour`"));
    platform.stop().await;
}

#[tokio::test]
async fn no_body_is_too_strange() {
    let platform = Platform::start().await;
    platform.create("everything").await;
    let deep = "[".repeat(200_000);
    let long = format!("{{\"name\": \"{}\"}}", "x".repeat(1024 * 1024));
    let wide = format!("{{{}}}", (0..50_000).map(|i| format!("\"k{i}\":0")).collect::<Vec<_>>().join(","));
    let bodies: [&[u8]; 18] = [
        b"",
        b" ",
        b"null",
        b"[]",
        b"0",
        b"\"\"",
        b"{",
        b"{}",
        b"{}{}",
        b"\xff\xfe",
        b"\0",
        b"{\"name\": 1e999}",
        b"{\"name\": \"\\ud800\"}",
        br#"{"name": "a", "name": "b"}"#,
        br#"{"kind": "bearer", "label": {}}"#,
        deep.as_bytes(),
        long.as_bytes(),
        wide.as_bytes(),
    ];
    for path in ["/instances", "/instances/everything/tokens"] {
        for body in bodies {
            let request = platform.client.request(Method::POST, path);
            let request = request.header(header::CONTENT_TYPE, "application/json; charset=utf-8");
            let answer = platform.client.send(request, body.to_vec()).await;
            is_a_clear_refusal(&answer, &String::from_utf8_lossy(&body[..body.len().min(40)]));
        }
        for media_type in
            ["", "text/plain", "application/x-www-form-urlencoded", "application/jsonx", "\u{ff}"]
        {
            let media_type = http::HeaderValue::from_bytes(media_type.as_bytes()).unwrap();
            let request =
                platform.client.request(Method::POST, path).header(header::CONTENT_TYPE, media_type);
            let answer = platform.client.send(request, "{}").await;
            answer.problem(StatusCode::UNSUPPORTED_MEDIA_TYPE, "not_json");
        }
    }
    let answer = platform.client.post("/instances", &json!({"name": "x".repeat(1024 * 1024)})).await;
    answer.problem(StatusCode::PAYLOAD_TOO_LARGE, "body_too_large");
    platform.stop().await;
}

#[tokio::test]
async fn no_path_and_no_query_is_too_strange() {
    let platform = Platform::start().await;
    platform.create("everything").await;
    let long = "x".repeat(8000);
    let paths = [
        "/instances/%00",
        "/instances/%FF",
        "/instances/..%2F..%2Fetc",
        "/instances/*",
        "/instances/%3E",
        "/instances/EVERYTHING",
        &format!("/instances/{long}"),
        "/instances/everything/tokens/%FF%FE",
        "/instances/everything/tokens/*",
        "/instances?limit=0",
        "/instances?limit=-1",
        "/instances?limit=1&limit=2",
        "/instances?cursor=%00",
        "/instances?cursor=bnVsbA",
        "/instances?unknown=1",
        "/instances/everything/tokens?cursor=e30",
        "/instances/everything/config?token=none",
        "/instances/everything/logs?tail=1000000",
        "/instances/everything/logs?since=yesterday",
        "/access-logs?level=loud",
        "/access-logs?event=party",
        "/access-logs?status=99999",
        "/access-logs?replica=everything",
        "/access-logs?min_latency=-5ms",
        "/access-logs?min_latency=soon",
        "/access-logs/counts?limit=1",
        "/access-logs/counts?instance=nobody",
        &format!("/access-logs/traces/{long}"),
        &format!("/access-logs?text={long}"),
        "/access-logs?since=-5m",
        "/access-logs?until=2026-13-01T00:00:00Z",
        "/access-logs?since=9999-01-01T00:00:00Z",
        "/access-logs?cursor=%FF",
        "/access-logs?instance=nobody",
        "/access-logs?unknown=1",
        &format!("/access-logs?trace={long}"),
        "/events?from=-1",
        "/events?from=18446744073709551616",
        "/events?aggregate=*",
        "/events?aggregate=weather",
        "/events?id=*",
        "/events?id=a.b",
        "/events?aggregate=instance_name&id=%3E",
        "/events?unknown=1",
    ];
    for path in paths {
        is_a_clear_refusal(&platform.client.get(path).await, path);
    }
    let request = platform.client.request(Method::GET, "/events").header("last-event-id", "x");
    is_a_clear_refusal(&platform.client.send(request, "").await, "last-event-id");
    for verb in ["start", "stop", "restart", "tokens"] {
        let answer =
            platform.client.post(&format!("/instances/%2e%2e/{verb}"), &json!({"kind": "bearer"})).await;
        is_a_clear_refusal(&answer, verb);
    }
    platform.stop().await;
}

#[tokio::test]
async fn no_label_is_too_strange() {
    let platform = Platform::start().await;
    platform.create("everything").await;
    let too_long = "ü".repeat(101);
    for label in ["a\nb", "\u{0}", " a", "0199f000-0000-7000-8000-000000000000", too_long.as_str()] {
        let body = json!({"kind": "bearer", "label": label});
        let answer = platform.client.post("/instances/everything/tokens", &body).await;
        let problem = answer.problem(StatusCode::BAD_REQUEST, "invalid_request");
        assert_eq!(problem["errors"][0]["pointer"], "/label");
    }
    platform.issue("everything", &"ü".repeat(100)).await;
    let answer = platform.client.post("/instances/everything/tokens", &json!({"kind": "smoke"})).await;
    answer.problem(StatusCode::BAD_REQUEST, "invalid_request");
    platform.stop().await;
}

/// What a client that knows no HTTP library can do: the answer's first line, or nothing.
async fn raw(address: &str, request: &[u8]) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(request).await.unwrap();
    stream.shutdown().await.unwrap();
    let mut answer = vec![];
    let read = tokio::time::timeout(WAIT, stream.read_to_end(&mut answer)).await.expect("an end in time");
    drop(read);
    String::from_utf8_lossy(&answer).lines().next().unwrap_or_default().to_owned()
}

#[tokio::test]
async fn no_connection_is_too_strange() {
    let platform = Platform::start().await;
    let address = platform.client.address();
    let head = format!("POST /api/v1/instances HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {ADMIN_KEY}\r\n");
    let json = "Content-Type: application/json\r\n";
    let many_headers = "X: y\r\n".repeat(1000);
    for request in [
        String::new(),
        "\r\n\r\n\r\n".to_owned(),
        "GET\r\n\r\n".to_owned(),
        "GET /api/v1/instances HTTP/9.9\r\n\r\n".to_owned(),
        "\u{16}\u{3}\u{1}\u{2}".to_owned(),
        format!("{head}{json}Content-Length: 10\r\n\r\n{{"),
        format!("{head}{json}Content-Length: x\r\n\r\n{{}}"),
        format!("{head}{json}Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n{{}}"),
        format!("{head}{json}Transfer-Encoding: chunked\r\n\r\nzz\r\n"),
        format!("{head}{many_headers}\r\n"),
        format!("{head}Idempotency-Key: \u{1}\r\n\r\n"),
    ] {
        let answer = raw(address, request.as_bytes()).await;
        let refused = answer.starts_with("HTTP/1.1 4") || answer.is_empty();
        assert!(refused, "{:?}: {answer}", request.chars().take(80).collect::<String>());
    }
    platform.create("everything").await;
    platform.stop().await;
}
