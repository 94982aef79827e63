//! Who gets in, and what happens to those who no longer may.

use access_log::{TraceEvent, TraceRecord};
use http_body_util::BodyExt;

use crate::client::{empty, next};
use crate::harness::{DEADLINE, Harness, count, hosted, path, until};
use crate::upstream::Upstream;

const PING: &str = r#"{"jsonrpc":"2.0","id":1,"method":"ping"}"#;
const PONG: &str = r#"{"jsonrpc":"2.0","id":1,"result":{}}"#;

#[tokio::test]
async fn only_the_token_of_this_instance_gets_in_and_every_refusal_looks_the_same() {
    let upstream = Upstream::json(PONG).await;
    let mut harness = Harness::start().await;
    let instance = harness.hosted("everything", &upstream.url()).await;
    let other = harness.create("other", hosted()).await;
    let (token, other_token) = (harness.token(instance).await, harness.token_for_any(other).await);
    let client = harness.client();
    for credential in [&other_token.credential, "mcp_unknown"] {
        for path in ["/mcp-gateway/everything/mcp", "/mcp-gateway/no-such-instance/mcp"] {
            let answer = client.send("POST", path, credential, PING).await;
            assert_eq!(answer.status, 401, "{path}");
            assert_eq!(answer.headers["www-authenticate"], r#"Bearer realm="mcpcan", error="invalid_token""#);
            let body = answer.json();
            assert_eq!(body["jsonrpc"], "2.0");
            assert_eq!(body["error"]["data"]["code"], "token_invalid");
            assert_eq!(body["error"]["message"], "the token is not valid for this address");
        }
    }
    for method in ["POST", "GET", "DELETE"] {
        let answer = client.send_with(method, &path(instance), &[], "").await;
        assert_eq!(answer.status, 401, "{method}");
        assert_eq!(answer.headers["www-authenticate"], r#"Bearer realm="mcpcan""#);
    }
    assert!(upstream.requests().is_empty(), "nothing was passed on");
    for path in [path(instance), format!("/mcp-gateway/{instance}/v1/stream")] {
        let answer = client.send("POST", &path, &token.credential, PING).await;
        assert_eq!((answer.status, answer.text()), (200, PONG));
    }

    let records = harness.traces(|records| count(records, TraceEvent::Response) == 2).await;
    let failed: Vec<&TraceRecord> =
        records.iter().filter(|record| record.event == TraceEvent::AuthFailed).collect();
    // The harness probes with a token until it is accepted, which may fail at first: those have another method.
    assert_eq!(failed.len(), 7, "{failed:#?}");
    assert!(failed.iter().all(|record| record.status == 401 && record.token_id.is_nil()));
    let text = format!("{records:?}");
    for secret in [&token.credential, &other_token.credential, "mcp_unknown", "no-such-instance"] {
        assert!(!text.contains(secret), "{secret} got into the log");
    }
}

#[tokio::test]
async fn a_token_in_the_query_is_refused_and_not_recorded() {
    let upstream = Upstream::json(PONG).await;
    let mut harness = Harness::start().await;
    let instance = harness.hosted("everything", &upstream.url()).await;
    let token = harness.token(instance).await;
    let queries = [format!("access_token={}", token.credential), format!("x={}", token.credential)];
    for query in &queries {
        let path = format!("{}?{query}", path(instance));
        // Not even beside a good header: the address is in somebody's log by now.
        let answer = harness.client().send("POST", &path, &token.credential, PING).await;
        assert_eq!(answer.status, 401);
        assert_eq!(answer.json()["error"]["data"]["code"], "credential_in_query");
    }
    let records = harness.traces(|records| count(records, TraceEvent::AuthFailed) >= 2).await;
    assert!(!format!("{records:?}").contains(&token.credential));
    assert!(upstream.requests().is_empty(), "nothing was passed on");
}

#[tokio::test]
async fn a_revoked_token_is_refused_and_its_streams_end() {
    let (upstream, mut opened) = Upstream::streams().await;
    let mut harness = Harness::start().await;
    let instance = harness.hosted("everything", &upstream.url()).await;
    let (token, kept) = (harness.token(instance).await, harness.token(instance).await);
    let mut stream = harness.client().stream(&path(instance), &token.credential).await.into_body();
    let ended = opened.recv().await.expect("the upstream was called");
    let mut kept_stream = harness.client().stream(&path(instance), &kept.credential).await.into_body();
    let going_on = opened.recv().await.expect("the upstream was called");

    harness.revoke(token.id).await;
    assert_eq!(next(&mut stream).await, None, "the stream ends");
    ended.closed().await;
    let answer = harness.client().send("POST", &path(instance), &token.credential, PING).await;
    assert_eq!(answer.status, 401, "the very next request is refused");
    going_on.send(": still here\n\n").await.expect("the other token's stream goes on");
    assert_eq!(next(&mut kept_stream).await.expect("an event"), ": still here\n\n");

    let records = harness.traces(|records| count(records, TraceEvent::AuthFailed) == 1).await;
    let ends: Vec<_> = records.iter().filter(|record| record.event == TraceEvent::SseEnd).collect();
    let [end] = &ends[..] else { panic!("one stream has ended: {records:#?}") };
    assert_eq!((end.token_id, end.error.as_str()), (token.id.0, "the token was revoked or rotated"));
}

#[tokio::test]
async fn a_stream_outlives_its_tokens_label_and_not_its_credential() {
    let (upstream, mut opened) = Upstream::streams().await;
    let mut harness = Harness::start().await;
    let instance = harness.hosted("everything", &upstream.url()).await;
    let token = harness.token(instance).await;
    let mut stream = harness.client().stream(&path(instance), &token.credential).await.into_body();
    let events = opened.recv().await.expect("the upstream was called");

    harness.edit(token.id, "continuous integration").await;
    // A token that is issued later is accepted later.
    harness.token(instance).await;
    events.send(": still here\n\n").await.expect("the stream goes on");
    assert_eq!(next(&mut stream).await.expect("an event"), ": still here\n\n");

    let credential = harness.rotate(token.id).await;
    assert_eq!(next(&mut stream).await, None, "the stream ends");
    let answer = harness.client().send("POST", &path(instance), &token.credential, PING).await;
    assert_eq!(answer.status, 401, "the old credential is refused");
    let mut stream = harness.client().stream(&path(instance), &credential).await.into_body();
    let events = opened.recv().await.expect("the upstream was called");
    events.send(": again\n\n").await.expect("the stream goes on");
    assert_eq!(next(&mut stream).await.expect("an event"), ": again\n\n");

    let two_starts = |records: &[TraceRecord]| count(records, TraceEvent::SseStart) == 2;
    let records = harness.traces(two_starts).await;
    let starts = records.iter().filter(|record| record.event == TraceEvent::SseStart);
    let labels: Vec<&str> = starts.map(|start| start.token_label.as_str()).collect();
    assert_eq!(labels, ["dev", "continuous integration"]);
}

#[tokio::test]
async fn the_streams_of_an_instance_end_with_it() {
    for delete in [false, true] {
        let (upstream, mut opened) = Upstream::streams().await;
        let harness = Harness::start().await;
        let instance = harness.hosted("everything", &upstream.url()).await;
        let token = harness.token(instance).await;
        let mut stream = harness.client().stream(&path(instance), &token.credential).await.into_body();
        let _open = opened.recv().await.expect("the upstream was called");
        if delete {
            harness.delete(instance).await;
        } else {
            harness.stop(instance).await;
        }
        assert_eq!(next(&mut stream).await, None, "the stream ends");
        let answer = harness.client().send("POST", &path(instance), &token.credential, PING).await;
        assert_eq!(answer.status, if delete { 401 } else { 503 });
    }
}

#[tokio::test]
async fn an_answer_that_does_not_end_breaks_off_with_its_token() {
    let (upstream, mut opened) = Upstream::streams_of("application/json").await;
    let mut harness = Harness::start().await;
    let instance = harness.hosted("everything", &upstream.url()).await;
    let token = harness.token(instance).await;
    let headers = [("authorization", &*format!("Bearer {}", token.credential))];
    let mut body = harness.client().open("POST", &path(instance), &headers, empty()).await.into_body();
    let pieces = opened.recv().await.expect("the upstream was called");
    pieces.send("{\"jsonrpc\":").await.expect("the gateway listens");
    assert_eq!(next(&mut body).await.expect("a piece"), "{\"jsonrpc\":");

    harness.revoke(token.id).await;
    let end = tokio::time::timeout(DEADLINE, body.frame()).await.expect("an end in time");
    assert!(matches!(end, Some(Err(_))), "half an answer does not pass for a whole one: {end:?}");
    pieces.closed().await;
    let records = harness.traces(|records| count(records, TraceEvent::Error) == 1).await;
    let end = records.iter().find(|record| record.event == TraceEvent::Error);
    assert_eq!(end.map(|end| end.error.as_str()), Some("the token was revoked or rotated"));
}

#[tokio::test]
async fn a_call_that_waits_for_its_answer_is_refused_when_its_token_goes() {
    let upstream = Upstream::start(|_| std::future::pending()).await;
    let harness = Harness::start().await;
    let instance = harness.hosted("everything", &upstream.url()).await;
    let token = harness.token(instance).await;
    let client = harness.client();
    let (path, credential) = (path(instance), token.credential);
    let call = tokio::spawn(async move { client.send("POST", &path, &credential, PING).await });
    until("the call to arrive", || async { (!upstream.requests().is_empty()).then_some(()) }).await;
    harness.revoke(token.id).await;
    assert_eq!(call.await.expect("the call ends").status, 401);
}
