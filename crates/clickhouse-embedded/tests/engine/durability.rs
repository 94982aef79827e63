//! What was acknowledged is there after a crash, exactly once; an end in peace is one.

use crate::access_log_client::{at, record};
use crate::harness::Engine;
use access_log::TraceQuery;

async fn count(engine: &Engine) -> u64 {
    engine.client().query("SELECT count() FROM mcpcan.access_log").fetch_one().await.unwrap()
}

#[tokio::test]
async fn a_retry_after_a_crash_adds_nothing() {
    let engine = Engine::start();
    engine.access_log().migrate().await.unwrap();
    let batch: Vec<_> = (0..5_000).map(|number| record(at(number), number)).collect();
    engine.access_log().insert_traces("TRACES 1-5000", &batch).await.unwrap();

    let engine = Engine::start_on(engine.kill());
    engine.access_log().insert_traces("TRACES 1-5000", &batch).await.unwrap();
    assert_eq!(count(&engine).await, 5_000);

    engine.terminate();
    let (status, data) = engine.wait();
    assert!(status.success(), "{status}");
    let engine = Engine::start_on(data);
    engine.access_log().insert_traces("TRACES 1-5000", &batch).await.unwrap();
    engine.access_log().insert_traces("TRACES 5001-10000", &batch).await.unwrap();
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
                    if client.insert_traces(&format!("TRACES {first}"), &records).await.is_err() {
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
        let found = client.search(&TraceQuery { trace_id, ..TraceQuery::default() }).await.unwrap();
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
async fn a_second_engine_on_the_same_data_is_refused() {
    let engine = Engine::start();
    let refused = std::process::Command::new(env!("CARGO_BIN_EXE_clickhouse-embedded"))
        .arg(crate::harness::library())
        .arg(engine.data())
        .arg("127.0.0.1:0")
        .stdin(std::process::Stdio::null())
        .output()
        .unwrap();
    assert!(!refused.status.success());
    let stderr = String::from_utf8_lossy(&refused.stderr);
    assert!(stderr.contains("the engine did not open"), "{stderr}");
}
