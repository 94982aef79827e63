//! An instance that answers no call before its records are safe.

use access_log::TraceEvent;
use domain::instance::{Capture, Logging};
use http_body_util::BodyExt as _;
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use crate::client::body;
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
    assert!(!answer.headers.contains_key("retry-after"), "the call has been made");
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

/// How many calls have a row in the stream that says that they have failed.
async fn stored_errors(harness: &Harness) -> usize {
    let stored = harness.stored_traces().await;
    stored.iter().filter(|row| row.http_method == "POST" && row.event == TraceEvent::Error).count()
}

/// An upstream that takes each call, answers so much, and hangs up.
async fn hanging_up(answer: &'static str) -> (String, JoinHandle<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("bind a port");
    let url = format!("http://{}/mcp", listener.local_addr().expect("the address"));
    let serving = tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.expect("accept a connection");
            stream.readable().await.expect("a request comes");
            stream.write_all(answer.as_bytes()).await.expect("answer");
        }
    });
    (url, serving)
}

#[tokio::test]
async fn a_refusal_of_a_call_that_went_on_waits_for_its_rows() {
    let (url, upstream) = hanging_up("").await;
    let mut harness = Harness::start().await;
    let instance = harness.hosted_logged("strict", &url, STRICT).await;
    let token = harness.token(instance).await;
    let code = async |harness: &Harness| {
        let answer = harness.client().send("POST", &path(instance), &token.credential, PING).await;
        (answer.status, answer.json()["error"]["data"]["code"].as_str().map(str::to_owned))
    };
    assert_eq!(code(&harness).await, (502, Some("upstream_broke".to_owned())));
    assert_eq!(stored_errors(&harness).await, 1);
    harness.server.kill();
    assert_eq!(code(&harness).await, (503, Some("log_unavailable".to_owned())));
    upstream.abort();
}

#[tokio::test]
async fn an_answer_that_breaks_off_ends_when_its_rows_are_safe() {
    let head =
        "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n1\r\n{\r\n";
    let (url, upstream) = hanging_up(head).await;
    let harness = Harness::start().await;
    let instance = harness.hosted_logged("strict", &url, STRICT).await;
    let token = harness.token(instance).await;
    let headers = [("authorization", &*format!("Bearer {}", token.credential))];
    let answer = harness.client().open("POST", &path(instance), &headers, body(PING)).await;
    assert_eq!(answer.status(), 200);
    answer.into_body().collect().await.expect_err("the answer breaks off");
    assert_eq!(stored_errors(&harness).await, 1);
    upstream.abort();
}
