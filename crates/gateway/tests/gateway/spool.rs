//! NATS is away: calls go on, and every trace event arrives once it is back.

use std::collections::BTreeSet;

use access_log::{TraceEvent, TraceRecord};
use gateway::Config;
use store::Role;

use crate::harness::{Gateway, Harness, Issued, count, path};
use crate::upstream::Upstream;

const PING: &str = r#"{"jsonrpc":"2.0","id":1,"method":"ping"}"#;
const CALLS: usize = 20;

async fn call(harness: &Harness, path: &str, token: &Issued) {
    for _ in 0..CALLS {
        let answer = harness.client().send("POST", path, &token.credential, PING).await;
        assert_eq!(answer.status, 200, "calls do not need NATS");
    }
}

/// Every call has its two records, each once.
#[track_caller]
fn assert_complete(records: &[TraceRecord], calls: usize) {
    assert_eq!(records.len(), 2 * calls, "{records:#?}");
    let spans: BTreeSet<&str> = records.iter().map(|record| record.span_id.as_str()).collect();
    assert_eq!(spans.len(), calls);
    assert_eq!(count(records, TraceEvent::Request), calls);
}

#[tokio::test]
async fn what_is_spooled_while_nats_is_away_arrives_when_it_is_back() {
    let upstream = Upstream::json("{}").await;
    let mut harness = Harness::start().await;
    let instance = harness.hosted("everything", &upstream.url()).await;
    let (path, token) = (path(instance), harness.token(instance).await);
    call(&harness, &path, &token).await;
    harness.server.kill();
    call(&harness, &path, &token).await;
    harness.spool_until(|bytes| bytes > 0).await;
    call(&harness, &path, &token).await;
    harness.server.restart().await;
    let records = harness.traces(|records| records.len() >= 6 * CALLS).await;
    assert_complete(&records, 3 * CALLS);
    harness.spool_until(|bytes| bytes == 0).await;
}

#[tokio::test]
async fn the_spool_survives_the_gateway() {
    let upstream = Upstream::json("{}").await;
    let mut harness = Harness::start().await;
    let instance = harness.hosted("everything", &upstream.url()).await;
    let (path, token) = (path(instance), harness.token(instance).await);
    harness.server.kill();
    call(&harness, &path, &token).await;
    harness.gateway.stop().await;
    assert!(harness.spooled_bytes() > 0, "what could not be published is on disk");
    harness.server.restart().await;
    let config = Config::new("test".to_owned(), harness.spool_dir());
    harness.gateway = Gateway::start(config, harness.server.store_as(Role::Gateway).await).await;
    let records = harness.traces(|records| records.len() >= 2 * CALLS).await;
    assert_complete(&records, CALLS);
}

#[tokio::test]
async fn what_does_not_fit_into_the_spool_is_counted_by_instance() {
    let losses = std::sync::Arc::new(gateway::Losses::default());
    let (upstream, counted) = (Upstream::json("{}").await, losses.clone());
    let mut harness = Harness::start_with(|config| {
        config.spool_bytes_max = 0;
        config.losses = counted;
    })
    .await;
    let instance = harness.hosted("everything", &upstream.url()).await;
    let (path, token) = (path(instance), harness.token(instance).await);
    harness.server.kill();
    call(&harness, &path, &token).await;
    harness.gateway.stop().await;
    let lost = losses.by_instance();
    assert!(lost[&instance.0] >= 2 * CALLS as u64, "{lost:?}");
}
