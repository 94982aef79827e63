//! Who gets in, and what is there.

use std::time::Duration;

use http::{Method, StatusCode, header};

use crate::platform::{ADMIN_KEY, Platform, WAIT};

/// How often a condition that is awaited is looked at.
const ASK_AGAIN: Duration = Duration::from_millis(50);

const ROUTES: [(&str, &str); 24] = [
    ("GET", "/instances"),
    ("POST", "/instances"),
    ("GET", "/instances/x"),
    ("DELETE", "/instances/x"),
    ("POST", "/instances/x/start"),
    ("POST", "/instances/x/stop"),
    ("POST", "/instances/x/restart"),
    ("GET", "/instances/x/tokens"),
    ("POST", "/instances/x/tokens"),
    ("GET", "/instances/x/tokens/y"),
    ("PATCH", "/instances/x/tokens/y"),
    ("DELETE", "/instances/x/tokens/y"),
    ("POST", "/instances/x/tokens/y/rotate"),
    ("GET", "/instances/x/config"),
    ("GET", "/instances/x/logs"),
    ("GET", "/instances/x/logs/tail"),
    ("GET", "/instances/x/logs/export"),
    ("GET", "/access-logs/export"),
    ("GET", "/instances/x/statistics"),
    ("GET", "/statistics"),
    ("GET", "/access-logs"),
    ("GET", "/access-logs/counts"),
    ("GET", "/access-logs/traces/x"),
    ("GET", "/access-logs/tail"),
];

#[tokio::test]
async fn nothing_is_served_without_the_admin_key() {
    let platform = Platform::start().await;
    let routes = ROUTES.into_iter().chain([("GET", "/events"), ("GET", "/nothing"), ("PATCH", "/instances")]);
    for (method, path) in routes {
        let method: Method = method.parse().unwrap();
        let wrong_keys = ["", "Bearer", "Bearer wrong", "Basic YWRtaW4=", ADMIN_KEY];
        for key in wrong_keys {
            let request = platform.client.anonymous(method.clone(), &format!("/api/v1{path}"));
            let answer = platform.client.send(request.header(header::AUTHORIZATION, key), "").await;
            answer.problem(StatusCode::UNAUTHORIZED, "unauthorized");
            assert_eq!(answer.header("www-authenticate"), "Bearer realm=\"mcpcan\"");
        }
        let query = format!("/api/v1{path}?token={ADMIN_KEY}&access_token={ADMIN_KEY}");
        let answer = platform.client.send(platform.client.anonymous(method, &query), "").await;
        answer.problem(StatusCode::UNAUTHORIZED, "unauthorized");
    }
    platform.stop().await;
}

#[tokio::test]
async fn health_is_for_everybody() {
    let platform = Platform::start().await;
    let healthy = platform.client.send(platform.client.anonymous(Method::GET, "/healthz"), "").await;
    assert_eq!((healthy.status, &healthy.body[..]), (StatusCode::OK, &b"ok\n"[..]));
    let ready = platform.client.send(platform.client.anonymous(Method::GET, "/readyz"), "").await;
    assert_eq!(ready.expect(StatusCode::OK)["roles"]["api"], true);
    platform.stop().await;
}

#[tokio::test]
async fn what_is_not_there_and_what_cannot_be_done_are_told_apart() {
    let platform = Platform::start().await;
    let client = &platform.client;
    for path in ["/", "/instances/", "/instances/x/y", "/instances/x/tokens/y/z", "/nothing"] {
        client.get(path).await.problem(StatusCode::NOT_FOUND, "unknown_route");
    }
    for path in ["/", "/api", "/api/v2/instances", "/healthz/"] {
        let answer = client.send(client.anonymous(Method::GET, path), "").await;
        answer.problem(StatusCode::NOT_FOUND, "unknown_route");
    }
    for (method, path, allowed) in [
        (Method::PUT, "/instances", "GET,HEAD,POST"),
        (Method::POST, "/instances/x", "GET,HEAD,PATCH,DELETE"),
        (Method::GET, "/instances/x/start", "POST"),
        (Method::DELETE, "/access-logs", "GET,HEAD"),
    ] {
        let answer = client.send(client.request(method, path), "").await;
        answer.problem(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed");
        assert_eq!(answer.header("allow"), allowed);
    }
    let answer = client.send(client.anonymous(Method::POST, "/healthz"), "").await;
    answer.problem(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed");
    platform.stop().await;
}

#[tokio::test]
async fn an_access_log_that_is_away_is_said_to_be_away() {
    let platform = Platform::start().await;
    platform.create("everything").await;
    for path in [
        "/access-logs?instance=everything&since=5m",
        "/access-logs/counts?level=error",
        "/access-logs/traces/0af7651916cd43dd8448eb211c80319c",
        "/instances/everything/logs",
    ] {
        let answer = platform.client.get(path).await;
        answer.problem(StatusCode::SERVICE_UNAVAILABLE, "access_log_unavailable");
        assert_eq!(answer.header("retry-after"), "1");
    }
    platform.stop().await;
}

#[tokio::test]
async fn a_filter_that_is_not_known_or_given_twice_is_refused() {
    let platform = Platform::start().await;
    for query in ["instanse=x", "level=info&level=warn", "since=1h&since=2h", "limit=1&limit=2"] {
        let answer = platform.client.get(&format!("/access-logs?{query}")).await;
        answer.problem(StatusCode::BAD_REQUEST, "invalid_query");
    }
    platform.stop().await;
}

#[tokio::test]
async fn an_api_that_is_cut_off_from_the_log_does_not_count_as_ready() {
    let mut platform = Platform::start().await;
    platform.create("everything").await;
    let client = platform.client.clone();
    let ready = async |expected| {
        let deadline = tokio::time::Instant::now() + WAIT;
        loop {
            let answer = client.send(client.anonymous(Method::GET, "/readyz"), "").await;
            if answer.status == expected {
                return;
            }
            assert!(tokio::time::Instant::now() < deadline, "it stays {answer:?}");
            tokio::time::sleep(ASK_AGAIN).await;
        }
    };
    ready(StatusCode::OK).await;
    platform.server.kill();
    ready(StatusCode::SERVICE_UNAVAILABLE).await;
    platform.server.restart().await;
    ready(StatusCode::OK).await;
    platform.stop().await;
}
