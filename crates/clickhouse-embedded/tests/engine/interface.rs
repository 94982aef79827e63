//! What HTTP clients of ClickHouse rely on, byte by byte.

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;

use crate::harness::{Engine, PASSWORD};

async fn send(engine: &Engine, method: &str, path: &str, body: &str, password: &str) -> Response<String> {
    let request = Request::builder()
        .method(method)
        .uri(format!("{}{path}", engine.url))
        .header("x-clickhouse-user", "default")
        .header("x-clickhouse-key", password)
        .body(Full::new(Bytes::from(body.to_owned())))
        .unwrap();
    let response = Client::builder(TokioExecutor::new()).build_http().request(request).await.unwrap();
    let (parts, body) = response.into_parts();
    let body = body.collect().await.unwrap().to_bytes();
    Response::from_parts(parts, String::from_utf8(body.to_vec()).unwrap())
}

async fn post(engine: &Engine, path: &str, body: &str) -> Response<String> {
    send(engine, "POST", path, body, PASSWORD).await
}

fn code(response: &Response<String>) -> &str {
    response.headers()["x-clickhouse-exception-code"].to_str().unwrap()
}

#[tokio::test]
async fn ping_needs_no_password_and_everything_else_does() {
    let engine = Engine::start();
    assert_eq!(send(&engine, "GET", "/ping", "", "").await.body(), "Ok.\n");
    let refused = send(&engine, "POST", "/", "SELECT 1", "guess").await;
    assert_eq!((refused.status(), code(&refused)), (StatusCode::FORBIDDEN, "516"));
    assert_eq!(post(&engine, "/", "SELECT 1").await.body(), "1\n");
}

#[tokio::test]
async fn the_query_may_be_in_the_url_in_the_body_or_in_both() {
    let engine = Engine::start();
    assert_eq!(send(&engine, "GET", "/?query=SELECT%201", "", PASSWORD).await.body(), "1\n");
    assert_eq!(post(&engine, "/?query=SELECT%201,", "2").await.body(), "1\t2\n");
    let named = post(&engine, "/?default_format=CSV", "SELECT 1, 'x'").await;
    assert_eq!(
        (named.body().as_str(), &named.headers()["x-clickhouse-format"]),
        ("1,\"x\"\n", &"CSV".parse().unwrap())
    );
    let own = post(&engine, "/?default_format=CSV", "SELECT 1 AS a FORMAT JSONEachRow").await;
    assert_eq!(
        (own.body().as_str(), &own.headers()["x-clickhouse-format"]),
        ("{\"a\":1}\n", &"JSONEachRow".parse().unwrap())
    );
}

#[tokio::test]
async fn inserts_take_their_rows_from_wherever_they_are() {
    let engine = Engine::start();
    post(&engine, "/", "CREATE TABLE t (a UInt8, b String) ENGINE = MergeTree ORDER BY a").await;
    for (path, body) in [
        ("/?query=INSERT+INTO+t+FORMAT+CSV", "1,one"),
        ("/", "INSERT INTO t FORMAT CSV\n2,two\n"),
        ("/?query=INSERT+INTO+t+VALUES", "(3, 'three')"),
        ("/", "INSERT INTO t SELECT 4, 'four'"),
    ] {
        let inserted = post(&engine, path, body).await;
        assert_eq!(inserted.status(), StatusCode::OK, "{path} {body}: {}", inserted.body());
    }
    assert_eq!(
        post(&engine, "/", "SELECT * FROM t ORDER BY a").await.body(),
        "1\tone\n2\ttwo\n3\tthree\n4\tfour\n"
    );
    let broken = post(&engine, "/?query=INSERT+INTO+t+FORMAT+CSV", "x,y").await;
    assert_eq!((broken.status(), code(&broken)), (StatusCode::BAD_REQUEST, "27"), "{}", broken.body());
}

#[tokio::test]
async fn refusals_have_the_status_the_code_and_the_form_of_clickhouse() {
    let engine = Engine::start();
    for (path, body, status, expected) in [
        ("/", "SELEC 1", StatusCode::BAD_REQUEST, "62"),
        ("/", "", StatusCode::BAD_REQUEST, "62"),
        ("/", "exit", StatusCode::BAD_REQUEST, "62"),
        ("/", "SELECT 1; SELECT 2", StatusCode::BAD_REQUEST, "62"),
        ("/", "SELECT * FROM nowhere.t", StatusCode::NOT_FOUND, "81"),
        ("/?nonsense=1", "SELECT 1", StatusCode::NOT_FOUND, "115"),
        ("/?database=nowhere", "SELECT 1", StatusCode::NOT_FOUND, "81"),
        ("/?session_id=1", "SELECT 1", StatusCode::NOT_IMPLEMENTED, "48"),
        (
            "/?max_execution_time=0.2",
            "SELECT count() FROM system.numbers",
            StatusCode::REQUEST_TIMEOUT,
            "159",
        ),
    ] {
        let refused = post(&engine, path, body).await;
        assert_eq!(
            (refused.status(), code(&refused)),
            (status, expected),
            "{path} {body}: {}",
            refused.body()
        );
        assert!(
            refused.body().starts_with(&format!("Code: {expected}. DB::Exception: ")),
            "{}",
            refused.body()
        );
        assert!(refused.body().ends_with("(embedded))\n"), "{}", refused.body());
    }
    let too_large = post(&engine, "/", &format!("SELECT '{}'", "x".repeat(2 << 20))).await;
    assert_eq!((too_large.status(), code(&too_large)), (StatusCode::PAYLOAD_TOO_LARGE, "223"));
    assert_eq!(post(&engine, "/nowhere", "").await.status(), StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn a_get_cannot_change_anything() {
    let engine = Engine::start();
    let refused = send(&engine, "GET", "/?query=CREATE%20DATABASE%20x&readonly=0", "", PASSWORD).await;
    assert_eq!(code(&refused), "164", "{}", refused.body());
    assert_eq!(post(&engine, "/", "EXISTS DATABASE x").await.body(), "0\n");
}
