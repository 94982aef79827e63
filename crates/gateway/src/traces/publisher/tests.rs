//! Goal: what NATS takes never meets the disk, however much comes at once.

use std::net::{IpAddr, Ipv4Addr};

use access_log::{Level, TraceEvent, TraceRecord};
use domain::instance::Capture;
use http::{HeaderMap, Method};
use jiff::Timestamp;
use store::testing::TestServer;

use super::*;
use crate::masking::Masking;
use crate::trace_context::TraceContext;
use crate::traces::{Answer, Call, Head, Receipt, Rpc, Traces};

/// More batches than may be in flight.
const ENTRIES: usize = 20 * batch::RECORDS_MAX as usize;

fn entry(call: &Arc<Call>) -> Entry {
    Entry {
        call: call.clone(),
        time: Timestamp::UNIX_EPOCH,
        event: TraceEvent::Request,
        level: Level::Info,
        latency_ns: 0,
        first_byte_ns: 0,
        rpc: Arc::<Rpc>::default(),
        destination: None,
        answer: Answer::default(),
        request_bytes: 0,
        response_bytes: 0,
        error_class: "",
        error: String::new(),
        is_first: true,
        answer_head: None,
        body: None,
        acknowledge: None,
    }
}

fn call() -> Call {
    Call {
        started: Timestamp::UNIX_EPOCH,
        client: IpAddr::V4(Ipv4Addr::LOCALHOST),
        method: Method::POST,
        path: "/".to_owned(),
        query: String::new(),
        head: Head::default(),
        trace: TraceContext::of(&HeaderMap::new()),
        route: None,
        grant: None,
        presented: None,
        session: String::new(),
        capture: Capture::Off,
    }
}

/// A publisher whose spool takes nothing: what is put aside counts as lost.
async fn publisher(server: &TestServer, directory: &std::path::Path) -> (Traces, Publisher, Arc<Losses>) {
    let losses = Arc::<Losses>::default();
    let (traces, entries) = Traces::queue(losses.clone());
    let recorder = Recorder { gateway_id: "test".to_owned(), masking: Masking::new([]) };
    let spool = Spool::open(directory, 0).await.expect("open a spool");
    let publisher = Publisher::new(server.store().await, recorder, entries, losses.clone(), spool);
    (traces, publisher, losses)
}

async fn stored(server: &TestServer) -> usize {
    let messages = server.rows(DataStream::Traces).await;
    let counts =
        messages.iter().map(|message| store::decode::<Vec<TraceRecord>>(message).expect("traces").len());
    counts.sum()
}

#[tokio::test]
async fn what_comes_faster_than_nats_takes_it_waits_in_the_queue() {
    let (server, directory) = (TestServer::start().await, tempfile::tempdir().expect("a directory"));
    let (traces, publisher, losses) = publisher(&server, directory.path()).await;
    let call = Arc::new(call());
    for _ in 0..ENTRIES {
        traces.push(entry(&call));
    }
    let running = tokio::spawn(publisher.run(CancellationToken::new()));
    let mut receipt = Receipt::default();
    traces.push(Entry { acknowledge: Some(receipt.ask()), ..entry(&call) });
    assert!(receipt.arrives().await, "a call that waits for its row is not held up by those before it");
    drop(traces);
    running.await.expect("the publisher ends when nobody can hand in anything");
    assert_eq!(
        (losses.by_instance(), stored(&server).await),
        (std::collections::BTreeMap::new(), ENTRIES + 1)
    );
}

#[tokio::test]
async fn what_is_left_at_the_end_is_sent_however_much_it_is() {
    let (server, directory) = (TestServer::start().await, tempfile::tempdir().expect("a directory"));
    let (traces, publisher, losses) = publisher(&server, directory.path()).await;
    let call = Arc::new(call());
    for _ in 0..ENTRIES {
        traces.push(entry(&call));
    }
    let finish = CancellationToken::new();
    finish.cancel();
    publisher.run(finish).await;
    assert_eq!((losses.by_instance(), stored(&server).await), (std::collections::BTreeMap::new(), ENTRIES));
}
