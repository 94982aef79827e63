//! What a token brings with it: an end, header fields for the upstream, and a passthrough list.

use access_log::TraceEvent;
use domain::token::Expiry;
use http::HeaderName;
use jiff::{SignedDuration, Timestamp};

use crate::client::{body, next};
use crate::harness::{Harness, Issued, count, path, until};
use crate::upstream::Upstream;

const PING: &str = r#"{"jsonrpc":"2.0","id":1,"method":"ping"}"#;

#[tokio::test]
async fn a_token_is_refused_and_its_stream_ends_when_its_time_is_over() {
    let (upstream, mut opened) = Upstream::streams().await;
    let mut harness = Harness::start().await;
    let instance = harness.hosted("everything", &upstream.url()).await;
    let token = harness.token(instance).await;
    let mut stream = harness.client().stream(&path(instance), &token.credential).await.into_body();
    let events = opened.recv().await.expect("the upstream was called");
    events.send(": still here\n\n").await.expect("the stream goes on");
    assert_eq!(next(&mut stream).await.expect("an event"), ": still here\n\n");

    // Nobody decides here that it has expired: the gateway has a clock.
    let at = Timestamp::now() + SignedDuration::from_millis(300);
    harness.edit_expiry(token.id, Expiry::At(at)).await;
    assert_eq!(next(&mut stream).await, None, "the stream ends");
    assert!(Timestamp::now() >= at, "not a moment too early");
    let answer = harness.client().send("POST", &path(instance), &token.credential, PING).await;
    assert_eq!(answer.status, 401);
    assert_eq!(answer.json()["error"]["data"]["code"], "token_expired");
    let challenge = &answer.headers["www-authenticate"];
    assert_eq!(
        challenge,
        r#"Bearer realm="mcpcan", error="invalid_token", error_description="the token has expired""#
    );

    let records = harness.traces(|records| count(records, TraceEvent::AuthFailed) == 1).await;
    let end = records.iter().find(|record| record.event == TraceEvent::SseEnd).expect("the stream has ended");
    assert_eq!(end.error, "the token has expired");
}

#[tokio::test]
async fn a_call_that_waits_is_answered_when_its_token_ends() {
    let (upstream, mut opened) = Upstream::streams().await;
    let harness = Harness::start().await;
    let instance = harness.hosted("everything", &upstream.url()).await;
    let token = harness.token(instance).await;
    let headers = [("authorization", &*format!("Bearer {}", token.credential))];
    let call = r#"{"jsonrpc":"2.0","id":"a \"call\"","method":"tools/call","params":{"name":"slow"}}"#;
    let answer = harness.client().open("POST", &path(instance), &headers, body(call)).await;
    let mut answer = answer.into_body();
    let events = opened.recv().await.expect("the upstream was called");
    let progress = "data: {\"jsonrpc\":\"2.0\",\"method\":\"notifications/progress\"}\n\n";
    events.send(progress).await.expect("the stream goes on");
    assert_eq!(next(&mut answer).await.expect("an event"), progress);

    harness.edit_expiry(token.id, Expiry::At(Timestamp::now())).await;
    assert_eq!(
        next(&mut answer).await.expect("an answer"),
        "data: {\"jsonrpc\":\"2.0\",\"id\":\"a \\\"call\\\"\",\"error\":{\"code\":-32000,\"message\":\"the token has expired\"}}\n\n"
    );
    assert_eq!(next(&mut answer).await, None);
}

/// What reached the upstream of one more request with these header fields.
async fn sent(
    harness: &Harness,
    upstream: &Upstream,
    path: &str,
    token: &Issued,
    headers: &[(&str, &str)],
) -> Vec<(String, String)> {
    let authorization = format!("Bearer {}", token.credential);
    let headers: Vec<_> = [("authorization", &*authorization)].iter().chain(headers).copied().collect();
    let answer = harness.client().send_with("POST", path, &headers, PING).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    let request = upstream.requests().pop().expect("the upstream was called");
    let usual = ["accept", "content-length", "content-type", "host", "traceparent", "x-trace-id"];
    let unusual = |name: &HeaderName| !usual.contains(&name.as_str());
    let fields = request.headers.iter().filter(|(name, _)| unusual(name));
    let text = |value: &http::HeaderValue| value.to_str().expect("visible ASCII").to_owned();
    let mut fields: Vec<_> = fields.map(|(name, value)| (name.to_string(), text(value))).collect();
    fields.sort_unstable();
    fields
}

fn fields(expected: &[(&str, &str)]) -> Vec<(String, String)> {
    expected.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

#[tokio::test]
async fn a_token_adds_header_fields_and_lets_listed_ones_through() {
    let upstream = Upstream::json("{}").await;
    let mut harness = Harness::start().await;
    let own = [("x-team", "the instance's"), ("x-instance", "kept")];
    let instance = harness.proxied("remote", &upstream.url(), &own).await;
    let path = path(instance);
    let listed = ["cookie", "x-api-key", "authorization", "connection"];
    let added = [("X-Team", "the token's"), ("x-user", "token-secret")];
    let token = harness.token_with(instance, &added, &listed).await;
    let plain = harness.token(instance).await;
    let client = [
        ("x-team", "the client's"),
        ("x-user", "the client's"),
        ("x-free", "passes anyway"),
        ("cookie", "session=1"),
        ("x-api-key", "the client's own"),
        ("api-key", "not listed"),
        ("connection", "keep-alive"),
    ];
    assert_eq!(
        sent(&harness, &upstream, &path, &token, &client).await,
        fields(&[
            ("cookie", "session=1"),
            ("x-api-key", "the client's own"),
            ("x-free", "passes anyway"),
            ("x-instance", "kept"),
            ("x-team", "the token's"),
            ("x-user", "token-secret"),
        ])
    );
    assert_eq!(
        sent(&harness, &upstream, &path, &plain, &client).await,
        fields(&[
            ("x-free", "passes anyway"),
            ("x-instance", "kept"),
            ("x-team", "the instance's"),
            ("x-user", "the client's"),
        ])
    );

    harness.edit_fields(token.id, &[("x-user", "changed")], &[]).await;
    let probe = [("authorization", &*format!("Bearer {}", token.credential))];
    until("the edit to arrive", || async {
        harness.client().send_with("POST", &path, &probe, PING).await;
        let request = upstream.requests().pop().expect("the upstream was called");
        (request.headers.get("x-user")? == "changed").then_some(())
    })
    .await;
    assert_eq!(
        sent(&harness, &upstream, &path, &token, &[("cookie", "session=1")]).await,
        fields(&[("x-instance", "kept"), ("x-team", "the instance's"), ("x-user", "changed")])
    );
    let records = harness.traces(|records| count(records, TraceEvent::Response) >= 3).await;
    assert!(!format!("{records:?}").contains("token-secret"));
}

#[tokio::test]
async fn of_a_token_a_replica_learns_only_whether_it_is_the_same() {
    let upstream = Upstream::json("{}").await;
    let harness = Harness::start().await;
    let instance = harness.hosted_with("everything", &upstream.url(), "replica-secret").await;
    let token = harness.token_with(instance, &[("authorization", "Bearer mine")], &["cookie"]).await;
    let path = path(instance);
    let other = harness.token_with(instance, &[], &[]).await;
    let mut clients = vec![];
    for token in [&token, &token, &other] {
        let own = [("cookie", "session=1"), ("mcpcan-client", "somebody else")];
        let mut sent = sent(&harness, &upstream, &path, token, &own).await;
        clients.extend(sent.extract_if(.., |(name, _)| name == "mcpcan-client"));
        assert_eq!(sent, fields(&[("authorization", "Bearer replica-secret")]));
    }
    let [first, second, other] = &clients[..] else { panic!("one name for each request: {clients:?}") };
    assert_eq!(first, second);
    assert!(first != other && first.1 != "somebody else");
}
