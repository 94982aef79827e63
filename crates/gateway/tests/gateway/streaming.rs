//! Nothing is held: events and bytes come through as they are sent, in both directions, whatever their number.

use access_log::{Level, TraceEvent, TraceRecord};
use bytes::Bytes;
use futures_util::stream;
use http::Response;
use http_body_util::{BodyExt, StreamBody};
use hyper::body::Frame;
use tokio::sync::mpsc;

use crate::client::{empty, next};
use crate::harness::{Harness, count, path};
use crate::upstream::Upstream;

const PROGRESS: &str =
    "data: {\"jsonrpc\":\"2.0\",\"method\":\"notifications/progress\",\"params\":{\"progress\":1}}\n\n";
const RESULT: &str = "data: {\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{}}\n\n";

/// The bytes of a body that goes to the upstream and comes back.
const ECHO_BYTES: usize = 50 * 1024 * 1024;
const CHUNK_BYTES: usize = 64 * 1024;
/// How much more memory the process may need while they pass: it holds client, gateway and upstream, and other tests
/// run in it. A gateway that collects bodies would need all of them twice.
const MEMORY_BYTES_MAX: u64 = 24 * 1024 * 1024;

#[tokio::test]
async fn the_first_event_arrives_before_the_second_is_sent() {
    let (upstream, mut opened) = Upstream::streams().await;
    let mut harness = Harness::start().await;
    let instance = harness.hosted("everything", &upstream.url()).await;
    let token = harness.token(instance).await;
    let headers = [("authorization", &*format!("Bearer {}", token.credential))];
    let response = harness.client().open("POST", &path(instance), &headers, empty()).await;
    assert_eq!(response.headers()["content-type"], "text/event-stream");
    assert_eq!(response.headers()["x-accel-buffering"], "no");
    let events = opened.recv().await.expect("the upstream was called");
    let mut body = response.into_body();
    for event in [PROGRESS, RESULT] {
        events.send(event).await.expect("the gateway listens");
        assert_eq!(next(&mut body).await.expect("an event"), event);
    }
    drop(events);
    assert_eq!(next(&mut body).await, None);

    let records = harness.traces(|records| count(records, TraceEvent::Response) == 1).await;
    let found: Vec<_> = records.iter().map(|record| (record.event, record.status)).collect();
    assert_eq!(found, [(TraceEvent::Request, 0), (TraceEvent::SseStart, 200), (TraceEvent::Response, 200)]);
    assert_eq!(records[2].response_bytes, (PROGRESS.len() + RESULT.len()) as u64);
}

#[tokio::test]
async fn a_client_that_goes_once_it_has_its_answer_has_been_answered() {
    const FAILED: &str =
        "data: {\"jsonrpc\":\"2.0\",\"id\":1,\"error\":{\"code\":-32602,\"message\":\"no\"}}\n\n";
    let (upstream, mut opened) = Upstream::streams().await;
    let mut harness = Harness::start().await;
    let instance = harness.hosted("everything", &upstream.url()).await;
    let token = harness.token(instance).await;
    let headers = [("authorization", &*format!("Bearer {}", token.credential))];
    let mut ends = Vec::new();
    for event in [RESULT, FAILED, PROGRESS] {
        let response = harness.client().open("POST", &path(instance), &headers, empty()).await;
        // The upstream has not ended its answer when the client goes.
        let events = opened.recv().await.expect("the upstream was called");
        let mut body = response.into_body();
        events.send(event).await.expect("the gateway listens");
        assert_eq!(next(&mut body).await.expect("an event"), event);
        drop(body);
        events.closed().await;
        let is_end = |record: &TraceRecord| {
            matches!(record.event, TraceEvent::Response | TraceEvent::Error).then(|| record.clone())
        };
        let records = harness.traces(|records| records.iter().any(|record| is_end(record).is_some())).await;
        ends.extend(records.iter().find_map(is_end));
    }
    let ends: Vec<_> = ends.iter().map(|end| (end.event, end.level, end.error.as_str())).collect();
    let expected = [
        (TraceEvent::Response, Level::Info, ""),
        (TraceEvent::Response, Level::Warn, "json-rpc error -32602"),
        (TraceEvent::Error, Level::Warn, "the client went away"),
    ];
    assert_eq!(ends, expected);
}

#[tokio::test]
async fn a_large_body_passes_chunk_by_chunk_in_both_directions() {
    let upstream = Upstream::start(|request| async {
        let body = request.into_body().map_err(|error| panic!("the request breaks off: {error}"));
        Response::new(body.boxed())
    })
    .await;
    let harness = Harness::start().await;
    let instance = harness.hosted("everything", &upstream.url()).await;
    let token = harness.token(instance).await;
    let (chunks, receiver) = mpsc::channel::<Bytes>(1);
    let body = StreamBody::new(stream::unfold(receiver, |mut receiver| async {
        Some((Ok(Frame::data(receiver.recv().await?)), receiver))
    }));
    let headers = [("authorization", &*format!("Bearer {}", token.credential))];
    let response = harness.client().open("POST", &path(instance), &headers, BodyExt::boxed(body)).await;
    let mut echo = response.into_body();
    let (chunk, before) = (Bytes::from(vec![b' '; CHUNK_BYTES]), resident_bytes());
    let mut grown = 0;
    for _ in 0..ECHO_BYTES / CHUNK_BYTES {
        // The next chunk is only sent once this one has come back: whoever waits for the end waits for ever.
        chunks.send(chunk.clone()).await.expect("the gateway listens");
        let mut missing = CHUNK_BYTES;
        while missing > 0 {
            missing -= next(&mut echo).await.expect("the echo").len();
        }
        grown = grown.max(resident_bytes().saturating_sub(before));
    }
    drop(chunks);
    assert_eq!(next(&mut echo).await, None);
    assert!(grown < MEMORY_BYTES_MAX, "the process grew by {grown} bytes");
}

/// The memory of this process (proc(5), `/proc/pid/statm`, in pages of 4 KiB).
fn resident_bytes() -> u64 {
    let statm = std::fs::read_to_string("/proc/self/statm").expect("read statm");
    statm.split(' ').nth(1).and_then(|pages| pages.parse::<u64>().ok()).expect("resident pages") * 4096
}
