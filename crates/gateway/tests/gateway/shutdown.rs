//! The end of a gateway: calls end, streams are ended, trace events are not lost.

use std::sync::Arc;
use std::time::Duration;

use access_log::TraceEvent;
use tokio::sync::Notify;

use crate::client::next;
use crate::harness::{Harness, count, path, until};
use crate::upstream::{Upstream, event_stream, json};

const PING: &str = r#"{"jsonrpc":"2.0","id":1,"method":"ping"}"#;

#[tokio::test]
async fn a_call_ends_while_the_gateway_drains_and_a_stream_is_ended() {
    let finish = Arc::new(Notify::new());
    let finished = finish.clone();
    let upstream = Upstream::start(move |request| {
        let finished = finished.clone();
        async move {
            if request.method() == http::Method::GET {
                let (events, response) = event_stream();
                // It would never end by itself.
                std::mem::forget(events);
                return response;
            }
            finished.notified().await;
            json("{}")
        }
    })
    .await;
    let mut harness = Harness::start().await;
    let instance = harness.hosted("everything", &upstream.url()).await;
    let token = harness.token(instance).await;
    let mut stream = harness.client().stream(&path(instance), &token.credential).await.into_body();
    let (client, path, credential) = (harness.client(), path(instance), token.credential.clone());
    let call = tokio::spawn(async move { client.send("POST", &path, &credential, PING).await });
    until("both requests to arrive", || async { (upstream.requests().len() == 2).then_some(()) }).await;

    harness.gateway.shutdown.cancel();
    assert_eq!(next(&mut stream).await, None, "the stream ends at once");
    finish.notify_one();
    assert_eq!(call.await.expect("the call ends").status, 200);
    harness.gateway.stop().await;
    let records = harness.traces(|records| records.len() == 5).await;
    let of = |event| count(&records, event);
    assert_eq!((of(TraceEvent::Request), of(TraceEvent::SseStart)), (2, 1));
    assert_eq!((of(TraceEvent::SseEnd), of(TraceEvent::Response)), (1, 1));
}

#[tokio::test]
async fn a_call_that_outlasts_the_grace_is_cut_off() {
    let upstream = Upstream::start(|_| std::future::pending()).await;
    let mut harness = Harness::start_with(|config| config.grace = Duration::from_millis(50)).await;
    let instance = harness.hosted("everything", &upstream.url()).await;
    let token = harness.token(instance).await;
    let (client, path) = (harness.client(), path(instance));
    let call = tokio::spawn(async move { client.send("POST", &path, &token.credential, PING).await });
    until("the call to arrive", || async { (!upstream.requests().is_empty()).then_some(()) }).await;
    harness.gateway.stop().await;
    let answer = call.await.expect("the call ends");
    assert_eq!(answer.status, 503);
    assert_eq!(answer.json()["error"]["data"]["code"], "shutting_down");
    let records = harness.traces(|records| count(records, TraceEvent::Error) == 1).await;
    assert!(records.iter().any(|record| record.status == 503), "{records:#?}");
}
