//! What was acknowledged is there after a crash, exactly once; an end in peace is one.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use access_log::TraceFilter;

use crate::access_log_client::{at, record};
use crate::harness::{self, Engine};

async fn count(engine: &Engine) -> u64 {
    engine.client().query("SELECT count() FROM mcpcan.access_log").fetch_one().await.unwrap()
}

#[tokio::test]
async fn a_retry_after_a_crash_adds_nothing() {
    let engine = Engine::start();
    engine.access_log().migrate().await.unwrap();
    let batch: Vec<_> = (0..5_000).map(|number| record(at(number), number)).collect();
    engine.access_log().insert_traces("TRACES 1-5000", &batch, |_| 7).await.unwrap();

    let engine = Engine::start_on(engine.kill());
    engine.access_log().insert_traces("TRACES 1-5000", &batch, |_| 7).await.unwrap();
    assert_eq!(count(&engine).await, 5_000);

    engine.terminate();
    let (status, data) = engine.wait();
    assert!(status.success(), "{status}");
    let engine = Engine::start_on(data);
    engine.access_log().insert_traces("TRACES 1-5000", &batch, |_| 7).await.unwrap();
    engine.access_log().insert_traces("TRACES 5001-10000", &batch, |_| 7).await.unwrap();
    assert_eq!(count(&engine).await, 10_000);
}

#[tokio::test]
async fn every_acknowledged_batch_survives_a_kill_in_the_middle_of_inserts() {
    let engine = Engine::start();
    engine.access_log().migrate().await.unwrap();
    let (acknowledged, mut seen) = tokio::sync::mpsc::unbounded_channel();
    let writers: Vec<_> = (0..4_i64)
        .map(|writer| {
            let (client, acknowledged) = (engine.access_log(), acknowledged.clone());
            tokio::spawn(async move {
                for batch in 0.. {
                    let first = writer * 1_000_000 + batch * 100;
                    let records: Vec<_> =
                        (first..first + 100).map(|number| record(at(number), number)).collect();
                    // The first error is the kill.
                    if client.insert_traces(&format!("TRACES {first}"), &records, |_| 7).await.is_err() {
                        return;
                    }
                    acknowledged.send(first).unwrap();
                }
            })
        })
        .collect();
    let mut batches = Vec::new();
    while batches.len() < 20 {
        batches.push(seen.recv().await.unwrap());
    }
    let data = engine.kill();
    for writer in writers {
        writer.await.unwrap();
    }
    drop(acknowledged);
    while let Some(batch) = seen.recv().await {
        batches.push(batch);
    }

    let engine = Engine::start_on(data);
    let client = engine.access_log();
    for first in &batches {
        let trace_id = Some(record(at(*first), *first).trace_id);
        let filter = TraceFilter { trace_id, ..TraceFilter::default() };
        let found = client.search(&filter.into()).await.unwrap();
        assert_eq!(found.len(), 1, "batch {first}");
    }
    assert!(count(&engine).await >= 100 * batches.len() as u64);
}

#[tokio::test]
async fn the_end_of_the_parent_ends_the_engine_in_peace() {
    let mut engine = Engine::start();
    engine.access_log().migrate().await.unwrap();
    engine.cut_lifeline();
    let (status, _data) = engine.wait();
    assert!(status.success(), "{status}");
}

#[tokio::test]
async fn a_statement_that_would_never_end_does_not_hold_the_shutdown() {
    let engine = Engine::start();
    let endless = engine.client().query("SELECT count() FROM system.numbers");
    let endless = tokio::spawn(endless.fetch_one::<u64>());
    let running = "SELECT count() FROM system.processes WHERE query LIKE '%FROM system.numbers%' \
                   AND query NOT LIKE '%system.processes%'";
    let seen = async {
        while engine.client().query(running).fetch_one::<u64>().await.unwrap() == 0 {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), seen).await.expect("the statement runs");
    engine.terminate();
    let (status, _data) = engine.wait();
    assert!(status.success(), "{status}");
    assert!(endless.await.unwrap().is_err());
}

#[tokio::test]
async fn a_missing_library_is_a_clear_refusal() {
    let data = tempfile::tempdir().unwrap();
    let refused = start_by_hand(Path::new("/nowhere/libchdb.so"), data.path());
    assert!(
        refused.contains("open the ClickHouse engine /nowhere/libchdb.so: `make tools` fetches it"),
        "{refused}"
    );
}

#[tokio::test]
async fn a_second_engine_on_the_same_data_is_refused() {
    let engine = Engine::start();
    let refused = start_by_hand(&harness::library(), engine.data());
    assert!(refused.contains("the engine did not open"), "{refused}");
}

/// What an engine that cannot start writes to stderr.
fn start_by_hand(library: &Path, data: &Path) -> String {
    let refused = Command::new(env!("CARGO_BIN_EXE_clickhouse-embedded"))
        .arg(library)
        .arg(data)
        .arg("127.0.0.1:0")
        .stdin(Stdio::null())
        .output()
        .unwrap();
    assert!(!refused.status.success());
    String::from_utf8_lossy(&refused.stderr).into_owned()
}
