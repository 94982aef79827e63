//! Nobody can ask more of a gateway than its limits say, and what fails is left alone.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use access_log::{Level, TraceEvent};
use bytes::Bytes;
use futures_util::stream;
use http::{Method, Response};
use http_body_util::{BodyExt, StreamBody};
use hyper::body::Frame;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use crate::client::{Answer, next};
use crate::harness::{Harness, count, hosted, path, until};
use crate::upstream::{Upstream, full, json};

const PING: &str = r#"{"jsonrpc":"2.0","id":1,"method":"ping"}"#;

fn code(answer: &Answer) -> String {
    answer.json()["error"]["data"]["code"].as_str().expect("a code").to_owned()
}

/// The status, and for how long to stay away.
fn verdict(answer: &Answer) -> (u16, Option<&str>) {
    let retry_after = answer.headers.get("retry-after");
    (answer.status, retry_after.map(|value| value.to_str().expect("visible ASCII")))
}

#[tokio::test]
async fn an_address_that_fails_too_often_is_told_to_wait_and_valid_tokens_pass() {
    let upstream = Upstream::json("{}").await;
    let rate = "1:3".parse().expect("a rate");
    let mut harness = Harness::start_with(|config| config.limits.failures = None).await;
    let instance = harness.hosted("everything", &upstream.url()).await;
    let token = harness.token(instance).await;
    let mut config = gateway::Config::new("strict".to_owned(), harness.directory.path().join("strict"));
    config.limits.failures = Some(rate);
    let strict = crate::harness::Gateway::start(config, harness.server.store_as(store::Role::Gateway).await);
    let client = crate::client::Client::new(strict.await.address);
    let send = async |credential: &str| client.send("POST", &path(instance), credential, PING).await;
    let mut answers = vec![];
    for _ in 0..4 {
        answers.push(send("mcpcan_wrong").await);
    }
    assert_eq!(answers.iter().map(|answer| answer.status).collect::<Vec<_>>(), [401, 401, 401, 429]);
    assert_eq!((verdict(&answers[3]), code(&answers[3]).as_str()), ((429, Some("1")), "too_many_failures"));
    assert_eq!(send(&token.credential).await.status, 200, "many clients may share an address");
    let limited = TraceEvent::RateLimited;
    let records = harness.traces(|records| count(records, limited) == 1).await;
    let failed = [TraceEvent::AuthFailed, limited];
    let failed: Vec<_> = records.iter().filter(|record| failed.contains(&record.event)).collect();
    assert!(failed.iter().all(|record| record.level == Level::Warn && record.client_address == "127.0.0.1"));
    assert_eq!((failed.len(), failed[3].status, failed[3].event), (4, 429, limited));
    assert_eq!(failed[3].error_class, "too_many_failures");
}

#[tokio::test]
async fn behind_a_trusted_proxy_every_client_is_an_address_of_its_own() {
    let upstream = Upstream::json("{}").await;
    let mut harness = Harness::start_with(|config| {
        config.trusted_proxies = vec!["127.0.0.0/8".parse().expect("a network")];
        config.limits.failures = Some("1:1".parse().expect("a rate"));
    })
    .await;
    let instance = harness.hosted("everything", &upstream.url()).await;
    let client = harness.client();
    let mut statuses = vec![];
    for forwarded_for in ["198.51.100.1", "198.51.100.1", "203.0.113.9, 198.51.100.2"] {
        let headers = [("authorization", "Bearer mcpcan_wrong"), ("x-forwarded-for", forwarded_for)];
        statuses.push(client.send_with("POST", &path(instance), &headers, PING).await.status);
    }
    assert_eq!(statuses, [401, 429, 401]);
    let failed = TraceEvent::AuthFailed;
    let records = harness.traces(|records| count(records, failed) == 2).await;
    let addresses: Vec<_> = records
        .iter()
        .filter(|record| record.event == failed)
        .map(|record| record.client_address.as_str())
        .collect();
    assert_eq!(addresses, ["198.51.100.1", "198.51.100.2"]);
}

#[tokio::test]
async fn requests_beyond_a_rate_are_429_until_it_is_kept_again() {
    let upstream = Upstream::json("{}").await;
    let rate = || Some("1:5".parse().expect("a rate"));
    for (is_instance, expected) in [(false, "token_too_fast"), (true, "instance_too_fast")] {
        let harness = Harness::start_with(|config| match is_instance {
            true => config.limits.requests_per_instance = rate(),
            false => config.limits.requests_per_token = rate(),
        })
        .await;
        let instance = harness.hosted("everything", &upstream.url()).await;
        let token = harness.token(instance).await;
        let send = async || harness.client().send("POST", &path(instance), &token.credential, PING).await;
        let refused = until("the rate to be passed", || async {
            let answer = send().await;
            (answer.status != 200).then_some(answer)
        })
        .await;
        assert_eq!((verdict(&refused), code(&refused).as_str()), ((429, Some("1")), expected));
        until("the rate to be kept again", || async { (send().await.status == 200).then_some(()) }).await;
    }
}

#[tokio::test]
async fn a_token_has_only_so_many_requests_open() {
    let (upstream, mut opened) = Upstream::streams().await;
    let harness = Harness::start_with(|config| config.limits.open_per_token_max = 1).await;
    let instance = harness.hosted("everything", &upstream.url()).await;
    let (token, other) = (harness.token(instance).await, harness.token(instance).await);
    let mut stream = harness.client().stream(&path(instance), &token.credential).await.into_body();
    let events = opened.recv().await.expect("the upstream was called");
    events.send(": here\n\n").await.expect("the stream goes on");
    assert!(next(&mut stream).await.is_some());
    let refused = harness.client().send("POST", &path(instance), &token.credential, PING).await;
    assert_eq!((verdict(&refused), code(&refused).as_str()), ((429, Some("1")), "too_many_open"));
    let others = harness.client().stream(&path(instance), &other.credential).await;
    assert_eq!(others.status(), 200, "another token has room of its own");
    drop((others, opened.recv().await));
    drop((stream, events));
    until("the stream to be over", || async {
        let answer = harness.client().send("PUT", &path(instance), &token.credential, "").await;
        (answer.status == 405).then_some(())
    })
    .await;
    let again = harness.client().stream(&path(instance), &token.credential).await;
    assert_eq!(again.status(), 200);
}

#[tokio::test]
async fn a_session_beyond_the_bound_is_ended_at_its_server() {
    let sessions = Arc::new(AtomicUsize::new(0));
    let upstream = Upstream::start(move |request| {
        let number = sessions.fetch_add(usize::from(request.method() == Method::POST), Ordering::Relaxed);
        let answer = Response::builder().header("mcp-session-id", format!("session-{number}"));
        async move { answer.body(full("{}")).expect("a response") }
    })
    .await;
    let harness = Harness::start_with(|config| config.limits.sessions_per_token_max = 2).await;
    let instance = harness.hosted("everything", &upstream.url()).await;
    let token = harness.token(instance).await;
    let (client, path) = (harness.client(), path(instance));
    let first = client.send("POST", &path, &token.credential, PING).await;
    assert_eq!(client.send("POST", &path, &token.credential, PING).await.status, 200);
    let refused = client.send("POST", &path, &token.credential, PING).await;
    assert_eq!((verdict(&refused), code(&refused).as_str()), ((429, Some("1")), "too_many_sessions"));
    assert!(!refused.headers.contains_key("mcp-session-id"));
    until("the session to be ended", || async {
        let deleted = |request: &http::request::Parts| {
            request.method == Method::DELETE && request.headers["mcp-session-id"] == "session-2"
        };
        upstream.requests().iter().any(deleted).then_some(())
    })
    .await;

    let authorization = format!("Bearer {}", token.credential);
    let session = first.headers["mcp-session-id"].to_str().expect("visible ASCII");
    let fields = [("authorization", &*authorization), ("mcp-session-id", session)];
    assert_eq!(client.send_with("DELETE", &path, &fields, "").await.status, 200);
    assert_eq!(client.send("POST", &path, &token.credential, PING).await.status, 200, "there is room again");
}

#[tokio::test]
async fn an_upstream_that_is_silent_is_not_waited_for_for_ever() {
    let silent = Upstream::start(|_| std::future::pending()).await;
    let (quiet, mut opened) = Upstream::streams().await;
    let harness = Harness::start_with(|config| {
        config.limits.answer_wait = Duration::from_millis(200);
        config.limits.stream_idle = Duration::from_millis(200);
    })
    .await;
    let instance = harness.hosted("silent", &silent.url()).await;
    let token = harness.token(instance).await;
    let answer = harness.client().send("POST", &path(instance), &token.credential, PING).await;
    assert_eq!((answer.status, code(&answer).as_str()), (504, "upstream_answer_timeout"));

    let instance = harness.hosted("quiet", &quiet.url()).await;
    let token = harness.token(instance).await;
    let mut stream = harness.client().stream(&path(instance), &token.credential).await.into_body();
    let events = opened.recv().await.expect("the upstream was called");
    events.send(": here\n\n").await.expect("the stream goes on");
    assert!(next(&mut stream).await.is_some());
    assert_eq!(next(&mut stream).await, None, "the stream ends in order");
    events.closed().await;
}

#[tokio::test]
async fn a_client_that_does_not_read_costs_little_and_not_for_ever() {
    const CHUNK_BYTES: usize = 64 * 1024;
    let (sent, gone) = (Arc::new(AtomicU64::new(0)), Arc::new(()));
    let (counted, alive) = (sent.clone(), Arc::downgrade(&gone));
    let upstream = Upstream::start(move |_| {
        let state = (counted.clone(), gone.clone());
        let endless = stream::unfold(state, |state| async move {
            state.0.fetch_add(CHUNK_BYTES as u64, Ordering::Relaxed);
            Some((Ok(Frame::data(Bytes::from(vec![b' '; CHUNK_BYTES]))), state))
        });
        let body = BodyExt::boxed(StreamBody::new(endless));
        let answer = Response::builder().header("content-type", "text/event-stream").body(body);
        async move { answer.expect("a response") }
    })
    .await;
    let harness = Harness::start_with(|config| config.limits.write_wait = Duration::from_millis(500)).await;
    let instance = harness.hosted("everything", &upstream.url()).await;
    let token = harness.token(instance).await;
    let mut slow = TcpStream::connect(harness.gateway.address).await.expect("connect");
    let request = format!(
        "GET {} HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {}\r\naccept: text/event-stream\r\n\r\n",
        path(instance),
        token.credential
    );
    slow.write_all(request.as_bytes()).await.expect("send a request");
    let mut head = [0; 16];
    slow.read_exact(&mut head).await.expect("an answer begins");
    assert!(head.starts_with(b"HTTP/1.1 200"), "{}", String::from_utf8_lossy(&head));
    // One is held by the server's own closure.
    until("the gateway to let go of the answer", || async { (alive.strong_count() == 1).then_some(()) })
        .await;
    let megabytes = sent.load(Ordering::Relaxed) / 1024 / 1024;
    assert!(megabytes < 64, "buffers of three sockets and no more: {megabytes} MiB");
}

#[tokio::test]
async fn an_upstream_that_fails_in_a_row_is_left_alone_and_tried_again() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("bind a port");
    let address = listener.local_addr().expect("the address");
    drop(listener);
    let harness = Harness::start().await;
    let instance = harness.proxied("remote", &format!("http://{address}/mcp"), &[]).await;
    let token = harness.token(instance).await;
    let send = async || harness.client().send("POST", &path(instance), &token.credential, PING).await;
    for _ in 0..5 {
        assert_eq!(send().await.status, 502);
    }
    let refused = send().await;
    assert_eq!((verdict(&refused), code(&refused).as_str()), ((503, Some("5")), "upstream_failing"));
    let upstream = Upstream::start_at(address, |_| async { json("{}") }).await;
    until("the upstream to be tried again", || async { (send().await.status == 200).then_some(()) }).await;
    assert_eq!(upstream.requests().len(), 1, "while it was left alone nothing reached it");
    assert_eq!(send().await.status, 200);
}

#[tokio::test]
async fn a_call_whose_outcome_is_unknown_is_sent_once() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("bind a port");
    let url = format!("http://{}/mcp", listener.local_addr().expect("the address"));
    let calls = Arc::new(AtomicUsize::new(0));
    let counted = calls.clone();
    // It answers the first request of a connection, and ends the connection once it has read the second.
    let server = tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.expect("accept a connection");
            let counted = counted.clone();
            tokio::spawn(async move {
                read_call(&mut stream).await;
                counted.fetch_add(1, Ordering::Relaxed);
                let answer =
                    "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 2\r\n\r\n{}";
                stream.write_all(answer.as_bytes()).await.expect("answer");
                read_call(&mut stream).await;
                counted.fetch_add(1, Ordering::Relaxed);
            });
        }
    });
    let harness = Harness::start().await;
    let instance = harness.create("everything", hosted()).await;
    harness.replica(instance, &url).await;
    let token = harness.token(instance).await;
    let send = async || harness.client().send("POST", &path(instance), &token.credential, PING).await;
    assert_eq!(send().await.status, 200);
    let broken = send().await;
    assert_eq!((broken.status, code(&broken).as_str()), (502, "upstream_broke"));
    assert_eq!(calls.load(Ordering::Relaxed), 2, "nobody has asked again");
    server.abort();
}

async fn read_call(stream: &mut TcpStream) {
    let mut read = vec![];
    while !read.ends_with(PING.as_bytes()) {
        assert_ne!(stream.read_buf(&mut read).await.expect("read a request"), 0, "a whole request");
    }
}
