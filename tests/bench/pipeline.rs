//! Rows on their whole way, as a gateway hands them in: TRACES, sink, ClickHouse; beside the same rows inserted directly.

use std::time::{Duration, Instant};

use access_log::testing::Engine;
use access_log::{Client, Fields, MAX_ROWS_PER_INSERT, TraceEvent, TraceRecord};
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use harness::{Deployment, Replicas};
use jiff::Timestamp;
use store::{DataStream, Store};
use tempfile::TempDir;
use uuid::Uuid;

use crate::figure::{Figures, Goal, median};

const REPLICAS: Replicas = Replicas { apis: 1, deciders: 1, projectors: 1, gateways: 1 };
/// Rows of one round.
const ROWS: usize = 400_000;
/// Rows of a message and messages in flight, as the publisher of a gateway has them.
const ROWS_EACH: usize = 256;
const IN_FLIGHT: usize = 8;
const ROUNDS: usize = 3;
/// How long a round may take.
const DEADLINE: Duration = Duration::from_secs(300);
/// What of direct inserts has to be reached.
const RATIO_MIN: f64 = 0.7;

#[expect(clippy::cast_precision_loss, reason = "a count of rows")]
pub(crate) async fn run(figures: &mut Figures) {
    let (carried_data, direct_data) =
        (TempDir::new().expect("a directory"), TempDir::new().expect("a directory"));
    let (carried_engine, direct_engine) =
        (Engine::start(carried_data.path(), "127.0.0.1:0"), Engine::start(direct_data.path(), "127.0.0.1:0"));
    let direct = direct_engine.client();
    for client in [&carried_engine.client(), &direct] {
        client.migrate().await.expect("make the tables");
    }
    let deployment = Deployment::start_with(REPLICAS, &carried_engine.url()).await;
    let store = deployment.server.store().await;
    let (mut through, mut inserted) = (vec![], vec![]);
    for round in 0..ROUNDS {
        let rows: Vec<TraceRecord> = (0..ROWS).map(|number| row(round * ROWS + number)).collect();
        inserted.push(ROWS as f64 / insert(&direct, round, &rows).await);
        through.push(ROWS as f64 / carry(&store, &carried_engine.url(), round, &rows).await);
    }
    let (through, inserted) = (median(&through), median(&inserted));
    figures.add("pipeline: rows inserted directly", inserted, "/s", Goal::None);
    figures.add("pipeline: rows over TRACES and the sink", through, "/s", Goal::None);
    figures.add("pipeline: ratio", through / inserted, "", Goal::AtLeast(RATIO_MIN));
}

/// Hands in the rows as fast as TRACES takes them; gives the seconds until the last of them is in ClickHouse.
async fn carry(store: &Store, clickhouse: &str, round: usize, rows: &[TraceRecord]) -> f64 {
    let started = Instant::now();
    stream::iter(rows.chunks(ROWS_EACH).enumerate())
        .map(|(batch, rows)| async move {
            let id = format!("{round}-{batch}");
            store.publish(DataStream::Traces, "gateway-0", &id, store::encode(&rows).into()).await
        })
        .buffer_unordered(IN_FLIGHT)
        .try_collect::<()>()
        .await
        .expect("TRACES takes the rows");
    let http = harness::http();
    harness::until("every row has arrived", DEADLINE, async || {
        // The parts know how many rows they have: nothing is read.
        let answer = http.post(clickhouse).body("SELECT count() FROM mcpcan.access_log").send().await.ok()?;
        let count: usize = answer.text().await.ok()?.trim().parse().ok()?;
        (count >= (round + 1) * ROWS).then_some(())
    })
    .await;
    started.elapsed().as_secs_f64()
}

async fn insert(client: &Client, round: usize, rows: &[TraceRecord]) -> f64 {
    let started = Instant::now();
    for (batch, rows) in rows.chunks(MAX_ROWS_PER_INSERT).enumerate() {
        client.insert_traces(&format!("{round}-{batch}"), rows, |_| 7).await.expect("insert rows");
    }
    started.elapsed().as_secs_f64()
}

/// A row as ordinary traffic makes it: every other one the end of the call before.
fn row(number: usize) -> TraceRecord {
    let (call, is_end) = (number / 2, number % 2 == 1);
    let id = |kind: u128, of: usize| Uuid::from_u128(kind << 64 | of as u128);
    let fields = |fields: [(&str, String); 3]| {
        fields.into_iter().map(|(name, value)| (name.to_owned(), value)).collect::<Fields>()
    };
    let headers = fields([
        ("accept", "application/json, text/event-stream".to_owned()),
        ("accept-encoding", "gzip, deflate, br".to_owned()),
        ("content-length", (150 + call % 300).to_string()),
    ]);
    let event = if is_end { TraceEvent::Response } else { TraceEvent::Request };
    TraceRecord {
        trace_id: format!("{:032x}", u128::from(blend(call)) << 64 | u128::from(blend(call + 1))),
        span_id: format!("{:016x}", blend(call)),
        instance_id: id(1, call % 50),
        instance_name: format!("instance-{}", call % 50),
        token_id: id(2, call % 250),
        token_label: format!("token-{}", call % 250),
        token_header: "authorization: bearer".to_owned(),
        gateway_id: "gateway-0".to_owned(),
        session_id: format!("{:016x}", blend(call / 200)),
        protocol_version: "2025-11-25".to_owned(),
        http_method: "POST".to_owned(),
        path: format!("/mcp-gateway/instance-{}/mcp", call % 50),
        rpc_method: "tools/call".to_owned(),
        rpc_id: (call % 3000).to_string(),
        tool: format!("tool-{}", call % 17),
        status: if is_end { 200 } else { 0 },
        latency_ns: if is_end { blend(call) % 50_000_000 } else { 0 },
        request_bytes: 150 + (call % 300) as u64,
        response_bytes: if is_end { 200 + blend(call) % 3000 } else { 0 },
        client_address: format!("10.0.0.{}", call % 250),
        user_agent: "client/1.0".to_owned(),
        content_type: "application/json".to_owned(),
        headers: if is_end { Fields::new() } else { headers },
        ..TraceRecord::new(Timestamp::now(), event)
    }
}

/// A number that looks like chance (the finaliser of splitmix64).
fn blend(number: usize) -> u64 {
    let mixed = (number as u64).wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}
