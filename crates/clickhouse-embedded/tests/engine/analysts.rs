//! What analysts get: views, and a page of queries that work.

use access_log::{ContainerLine, Level, Stream, TraceEvent, TraceRecord};
use jiff::{SignedDuration, Timestamp};
use uuid::Uuid;

use crate::access_log_client::{at, record};
use crate::harness::Engine;

const QUERIES: &str = include_str!("../../../../clickhouse/queries.md");
const ANALYST: &str = include_str!("../../../../clickhouse/analyst.sql");
const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";

/// The queries of the page.
fn queries() -> Vec<&'static str> {
    let blocks = QUERIES.split("```sql\n").skip(1);
    blocks.map(|block| block.split("```").next().expect("a block has an end")).collect()
}

/// A call that has just ended in each of the three ways, and two lines that a server wrote meanwhile.
async fn fill(client: &access_log::Client) {
    let now = Timestamp::now() - SignedDuration::from_secs(1);
    let call = |number, event, error: &str| TraceRecord {
        time: now,
        trace_id: TRACE.to_owned(),
        event,
        error: error.to_owned(),
        error_class: error.to_owned(),
        latency_ns: 5_000_000,
        ..record(at(0), number)
    };
    let calls = [
        call(0, TraceEvent::Response, ""),
        call(1, TraceEvent::Error, "upstream_unreachable"),
        call(2, TraceEvent::AuthFailed, "unauthorized"),
        TraceRecord { error: String::new(), ..call(3, TraceEvent::Response, "upstream_status") },
    ];
    client.insert_traces("TRACES 1", &calls, |_| 7).await.unwrap();
    let during = now - SignedDuration::from_millis(2);
    let line = |text: &str| ContainerLine {
        level: Some(Level::Error),
        ..ContainerLine::new(during, calls[0].instance_id, Uuid::nil(), Stream::Stderr, text.to_owned())
    };
    client.insert_lines("LOGS 1", &[line("one"), line("two")], |_| 3).await.unwrap();
}

#[tokio::test]
async fn every_query_of_the_page_runs_and_finds_something() {
    let engine = Engine::start();
    let client = engine.access_log();
    client.migrate().await.unwrap();
    fill(&client).await;
    let queries = queries();
    assert!(queries.len() >= 12, "{} queries", queries.len());
    for query in queries {
        let count = format!("SELECT count() FROM ({query})");
        let rows: u64 = engine.client().query_raw(&count).fetch_one().await.expect(query);
        assert!(rows > 0, "finds nothing:\n{query}");
    }
}

#[tokio::test]
async fn the_views_of_analysts_say_how_a_call_went() {
    let engine = Engine::start();
    let client = engine.access_log();
    client.migrate().await.unwrap();
    fill(&client).await;
    let outcomes = "SELECT groupArray(outcome) FROM (SELECT outcome FROM mcpcan.calls ORDER BY outcome)";
    let outcomes: Vec<String> = engine.client().query_raw(outcomes).fetch_one().await.unwrap();
    assert_eq!(outcomes, ["failed", "failed", "ok", "refused"]);
    let errors = "SELECT sum(errors), sum(refused) FROM mcpcan.usage_by_minute";
    assert_eq!(engine.client().query_raw(errors).fetch_one::<(u64, u64)>().await.unwrap(), (2, 1));
    let named = "SELECT count() FROM (SELECT token FROM mcpcan.calls WHERE method != '' AND instance != '' AND tool != '')";
    assert_eq!(engine.client().query_raw(named).fetch_one::<u64>().await.unwrap(), 4);
    let latency = "SELECT round(latency_p50_ms) FROM mcpcan.usage_by_minute";
    let latency: f64 = engine.client().query_raw(latency).fetch_one().await.unwrap();
    assert!((latency - 5.0).abs() < 0.1, "{latency}");
}

/// The engine has no users to make, but it knows the language.
#[tokio::test]
async fn the_statements_for_an_analyst_can_be_read() {
    let engine = Engine::start();
    let text: String = ANALYST.lines().filter(|line| !line.starts_with("--")).collect::<Vec<_>>().join("\n");
    let statements: Vec<&str> = text.split(";\n").map(str::trim).filter(|text| !text.is_empty()).collect();
    assert_eq!(statements.len(), 5);
    for statement in statements {
        let sql = format!("SELECT formatQuery({})", literal(&statement.replace("{password:String}", "'x'")));
        let formatted: String = engine.client().query_raw(&sql).fetch_one().await.expect(statement);
        assert!(!formatted.is_empty());
    }
}

fn literal(text: &str) -> String {
    format!("'{}'", text.replace('\\', r"\\").replace('\'', r"\'"))
}
