//! An instance that answers no call before its records are safe.

use access_log::TraceEvent;
use domain::instance::{Capture, Logging};
use http_body_util::BodyExt as _;

use crate::harness::{Harness, count, path};
use crate::upstream::{Upstream, event_stream};

const PING: &str = r#"{"jsonrpc":"2.0","id":1,"method":"ping"}"#;
const STRICT: Logging = Logging { capture: Capture::Metadata, strict: true };

#[tokio::test]
async fn an_answer_comes_when_both_its_records_are_safe() {
    let upstream = Upstream::json("{}").await;
    let mut harness = Harness::start().await;
    let instance = harness.hosted_logged("strict", &upstream.url(), STRICT).await;
    let (path, token) = (path(instance), harness.token(instance).await);
    for calls in 1..=3 {
        let answer = harness.client().send("POST", &path, &token.credential, PING).await;
        assert_eq!((answer.status, answer.text()), (200, "{}"));
        let stored = harness.stored_traces().await;
        let own = stored.iter().filter(|record| record.http_method == "POST").count();
        assert_eq!(own, 2 * calls, "whoever has the answer finds its records in the stream");
    }
    let records = harness.traces(|records| count(records, TraceEvent::Response) == 3).await;
    assert_eq!(records.len(), 6);
}

#[tokio::test]
async fn an_event_stream_that_answers_a_call_begins_and_ends_with_safe_records() {
    let upstream = Upstream::start(|request| async move {
        request.into_body().collect().await.expect("the whole request");
        let (pieces, response) = event_stream();
        pieces.send("data: {\"id\":1,\"result\":{}}\n\n").await.expect("the gateway listens");
        response
    })
    .await;
    let harness = Harness::start().await;
    let instance = harness.hosted_logged("strict", &upstream.url(), STRICT).await;
    let token = harness.token(instance).await;
    let answer = harness.client().send("POST", &path(instance), &token.credential, PING).await;
    assert_eq!((answer.status, answer.text()), (200, "data: {\"id\":1,\"result\":{}}\n\n"));
    let stored = harness.stored_traces().await;
    assert_eq!(count(&stored, TraceEvent::SseStart), 1);
    assert_eq!(count(&stored, TraceEvent::Response), 1);
}

#[tokio::test]
async fn a_call_whose_record_is_not_safe_is_refused_and_recorded_later() {
    let upstream = Upstream::json("{}").await;
    let mut harness = Harness::start().await;
    let strict = harness.hosted_logged("strict", &upstream.url(), STRICT).await;
    let other = harness.hosted("other", &upstream.url()).await;
    let (token, other_token) = (harness.token(strict).await, harness.token(other).await);
    harness.server.kill();
    let answer = harness.client().send("POST", &path(strict), &token.credential, PING).await;
    assert_eq!((answer.status, &answer.json()["error"]["data"]["code"]), (503, &"log_unavailable".into()));
    let answer = harness.client().send("POST", &path(other), &other_token.credential, PING).await;
    assert_eq!(answer.status, 200, "others do not wait");
    harness.server.restart().await;
    let records = harness.traces(|records| count(records, TraceEvent::Error) == 1).await;
    let own: Vec<_> = records.iter().filter(|record| record.instance_id == strict.0).collect();
    assert_eq!(
        own.iter().map(|record| record.event).collect::<Vec<_>>(),
        [TraceEvent::Request, TraceEvent::Error]
    );
    assert_eq!((own[1].status, &*own[1].error_class), (503, "log_unavailable"));
}

#[tokio::test]
async fn what_lies_in_the_spool_holds_no_call_up() {
    let upstream = Upstream::json("{}").await;
    // A segment that cannot be read, so that the spool never gets empty.
    let harness = Harness::start_with(|config| {
        std::fs::create_dir_all(config.spool_dir.join("00000000000000000001.spool"))
            .expect("make a directory");
    })
    .await;
    let instance = harness.hosted_logged("strict", &upstream.url(), STRICT).await;
    let token = harness.token(instance).await;
    let answer = harness.client().send("POST", &path(instance), &token.credential, PING).await;
    assert_eq!((answer.status, answer.text()), (200, "{}"));
}
