//! Commands take effect once, whatever happens to the request.

use std::collections::BTreeSet;
use std::time::Duration;

use futures_util::future::join_all;
use http::{Method, StatusCode};
use serde_json::json;

use crate::platform::{Platform, WAIT, hosted};

#[tokio::test]
async fn the_same_request_again_is_the_same_command() {
    let platform = Platform::start().await;
    let client = &platform.client;
    let first = client.post_as("key-1", "/instances", &hosted("everything")).await;
    assert_eq!(first.header("idempotency-key"), "key-1");
    let created = first.expect(StatusCode::CREATED);
    let again = client.post_as("key-1", "/instances", &hosted("everything")).await;
    assert_eq!(again.expect(StatusCode::CREATED), created);
    assert_eq!(again.header("location"), first.header("location"));

    let refused = client.post_as("key-2", "/instances", &hosted("everything")).await;
    let problem = refused.problem(StatusCode::CONFLICT, "name_taken");
    client.delete("/instances/everything").await.expect(StatusCode::OK);
    let again = client.post_as("key-2", "/instances", &hosted("everything")).await;
    assert_eq!(again.problem(StatusCode::CONFLICT, "name_taken"), problem, "a refusal stays one");
    let gone = client.post_as("key-1", "/instances", &hosted("everything")).await;
    gone.problem(StatusCode::GONE, "instance_deleted");
    platform.stop().await;
}

#[tokio::test]
async fn a_request_that_is_sent_many_times_at_once_creates_one_instance() {
    let platform = Platform::start().await;
    let body = hosted("everything");
    let answers = join_all((0..8).map(|_| platform.client.post_as("key", "/instances", &body))).await;
    let ids: BTreeSet<String> =
        answers.iter().map(|answer| answer.expect(StatusCode::CREATED)["id"].to_string()).collect();
    assert_eq!(ids.len(), 1, "{answers:?}");
    let list = platform.client.get("/instances").await.expect(StatusCode::OK);
    assert_eq!(list["items"].as_array().unwrap().len(), 1);
    platform.stop().await;
}

#[tokio::test]
async fn a_key_is_for_one_request_only() {
    let platform = Platform::start().await;
    let client = &platform.client;
    client.post_as("key", "/instances", &hosted("everything")).await.expect(StatusCode::CREATED);
    let mut other_secret = hosted("everything");
    other_secret["command"]["env"]["API_KEY"] = json!("hunter3");
    for (path, body) in [
        ("/instances", &hosted("other")),
        ("/instances", &other_secret),
        ("/instances/everything/tokens", &json!({"kind": "bearer"})),
        ("/instances/everything/stop", &json!({})),
    ] {
        let answer = client.post_as("key", path, body).await;
        answer.problem(StatusCode::UNPROCESSABLE_ENTITY, "idempotency_key_reused");
        assert_eq!(answer.header("idempotency-key"), "key");
    }
    let shown = client.get("/instances/everything").await.expect(StatusCode::OK);
    assert_eq!(shown["wanted"], true);
    // The order of members does not make another request of it, nor does a member that says what is so anyway.
    let same = r#"{"command":{"env":{"API_KEY":"hunter2"},"args":["-y","server"],"program":"npx"},
        "transport":"stdio","url":null,"access":"hosted","name":"everything"}"#;
    let request = client.request(Method::POST, "/instances").header("idempotency-key", "key");
    let answer = client.send(request.header("content-type", "application/json"), same).await;
    answer.expect(StatusCode::CREATED);
    platform.stop().await;
}

#[tokio::test]
async fn a_key_is_made_for_who_brings_none() {
    let platform = Platform::start().await;
    let first = platform.client.post("/instances", &hosted("everything")).await;
    let created = first.expect(StatusCode::CREATED);
    let key = first.header("idempotency-key");
    let again = platform.client.post_as(key, "/instances", &hosted("everything")).await;
    assert_eq!(again.expect(StatusCode::CREATED), created);
    platform.stop().await;
}

#[tokio::test]
async fn a_command_that_nobody_decides_in_time_can_be_sent_again() {
    let mut platform = Platform::start_without_decider(Duration::from_millis(200)).await;
    let answer = platform.client.post("/instances", &hosted("everything")).await;
    answer.problem(StatusCode::SERVICE_UNAVAILABLE, "undecided");
    assert!(answer.header("retry-after").parse::<u64>().unwrap() > 0);
    let key = answer.header("idempotency-key").to_owned();

    platform.start_decider().await;
    let deadline = tokio::time::Instant::now() + WAIT;
    loop {
        let again = platform.client.post_as(&key, "/instances", &hosted("everything")).await;
        if again.status == StatusCode::CREATED {
            break;
        }
        again.problem(StatusCode::SERVICE_UNAVAILABLE, "undecided");
        assert!(tokio::time::Instant::now() < deadline, "the decider runs and does not decide");
    }
    let list = platform.client.get("/instances").await.expect(StatusCode::OK);
    assert_eq!(list["items"].as_array().unwrap().len(), 1);
    platform.stop().await;
}

#[tokio::test]
async fn a_key_that_is_none_is_refused() {
    let platform = Platform::start().await;
    let too_long = "k".repeat(256);
    for key in ["", "two words", "t\u{e4}st", too_long.as_str()] {
        let request = platform.client.request(Method::POST, "/instances/x/start");
        let key = http::HeaderValue::from_bytes(key.as_bytes()).unwrap();
        let answer = platform.client.send(request.header("idempotency-key", key), "").await;
        answer.problem(StatusCode::BAD_REQUEST, "invalid_idempotency_key");
    }
    platform.stop().await;
}
