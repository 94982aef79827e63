//! `access-log` on the real engine: migrations, inserts that take effect once, searches.

use std::collections::HashMap;

use access_log::migration::statements_on;
use access_log::trace_filter::MAX_FILTER_BYTES;
use access_log::{
    Cluster, ContainerLine, Cursor, Error, Fields, Level, LevelCounts, LineFilter, LineQuery,
    MAX_ROWS_PER_INSERT, Place, Stream, TokenUsage, TraceEvent, TraceFilter, TraceQuery, TraceRecord,
};
use jiff::Timestamp;
use uuid::Uuid;

use crate::harness::{Engine, PASSWORD};

/// The `number`th nanosecond of a day in the future, so that no row expires under a test.
pub(crate) fn at(number: i64) -> Timestamp {
    Timestamp::from_nanosecond(i128::from(number) + 4_070_908_800_000_000_000).unwrap()
}

pub(crate) fn record(time: Timestamp, number: i64) -> TraceRecord {
    let fields = |name: &str| {
        Fields::from([(name.to_owned(), "ü".to_owned()), ("x-number".to_owned(), number.to_string())])
    };
    TraceRecord {
        place: Place { sequence: 7, index: u32::try_from(number).unwrap() },
        time,
        level: Level::Info,
        event: TraceEvent::Request,
        trace_id: format!("{:032x}", number + 1),
        span_id: format!("{:016x}", number + 1),
        parent_span_id: "00f067aa0ba902b7".to_owned(),
        replica_id: Uuid::from_u128(3),
        instance_id: Uuid::from_u128(1),
        instance_name: "everything".to_owned(),
        token_id: Uuid::from_u128(2),
        token_label: "dev".to_owned(),
        token_header: "authorization: bearer".to_owned(),
        gateway_id: "gateway-1".to_owned(),
        session_id: "5f2c".to_owned(),
        protocol_version: "2025-11-25".to_owned(),
        http_method: "POST".to_owned(),
        path: "/mcp-gateway/everything/mcp".to_owned(),
        rpc_method: "tools/call".to_owned(),
        rpc_id: number.to_string(),
        tool: "echo".to_owned(),
        status: 0,
        rpc_error_code: -32602,
        is_error: number % 2 == 1,
        latency_ns: 0,
        first_byte_ns: 1,
        request_bytes: 120,
        response_bytes: 0,
        client_address: "127.0.0.1".to_owned(),
        user_agent: "node".to_owned(),
        content_type: "application/json".to_owned(),
        error_class: "json_rpc".to_owned(),
        error: String::new(),
        headers: fields("accept"),
        response_headers: fields("vary"),
        cookies: fields("theme"),
        form: fields("code"),
        body: "{\"jsonrpc\":\"2.0\"}".to_owned(),
        is_body_cut: number % 3 == 1,
    }
}

pub(crate) async fn migrated(engine: &Engine) -> access_log::Client {
    let client = engine.access_log();
    client.migrate().await.unwrap();
    client
}

async fn number(engine: &Engine, sql: &str) -> u64 {
    engine.client().query(sql).fetch_one().await.unwrap()
}

#[tokio::test]
async fn migrations_run_once_however_often_and_however_many_start() {
    let engine = Engine::start();
    let (client, other) = (engine.access_log(), engine.access_log());
    let (one, two) = tokio::join!(client.migrate(), other.migrate());
    let (one, two) = (one.unwrap(), two.unwrap());
    let again = client.migrate().await.unwrap();
    assert_eq!(again.already_applied[0], "0001_access_log");
    assert_eq!(again.applied, [""; 0]);
    let all = &again.already_applied;
    assert!(one.applied == *all || two.applied == *all, "{one:?} {two:?}");
    assert_eq!(number(&engine, "SELECT count() FROM mcpcan.migrations").await, all.len() as u64);
}

/// There is no cluster here, but the engine knows the language.
#[tokio::test]
async fn every_migration_has_a_form_for_clusters_that_can_be_read() {
    let engine = Engine::start();
    let statements = statements_on(&Cluster::new("logs").unwrap()).unwrap();
    assert!(statements.iter().any(|statement| statement.contains("ENGINE = Distributed")));
    for statement in statements {
        assert!(statement.contains("ON CLUSTER 'logs'"), "{statement}");
        let query = engine.client().query("SELECT formatQuery(?)").bind(&statement);
        let formatted = query.fetch_one::<String>().await.expect(&statement);
        assert!(formatted.contains("ON CLUSTER logs"), "{formatted}");
    }
}

#[tokio::test]
async fn an_edited_migration_is_noticed() {
    let engine = Engine::start();
    let client = migrated(&engine).await;
    let edit = "ALTER TABLE mcpcan.migrations UPDATE checksum = 'edited' WHERE name = '0001_access_log' \
                SETTINGS mutations_sync = 1";
    engine.client().query(edit).execute().await.unwrap();
    let error = client.migrate().await.unwrap_err();
    assert!(matches!(&error, Error::MigrationChanged { name, .. } if name == "0001_access_log"), "{error}");
}

#[tokio::test]
async fn a_full_batch_is_one_block_and_the_same_token_adds_nothing() {
    let engine = Engine::start();
    let client = migrated(&engine).await;
    let batch: Vec<_> = (0..MAX_ROWS_PER_INSERT as i64).map(|n| record(at(n), n)).collect();
    client.insert_traces("TRACES 1-100000", &batch, |_| 7).await.unwrap();
    let parts = "SELECT count() FROM system.parts WHERE database = 'mcpcan' AND table = 'access_log'";
    assert_eq!(number(&engine, parts).await, 1);
    client.insert_traces("TRACES 1-100000", &batch, |_| 7).await.unwrap();
    assert_eq!(number(&engine, "SELECT count() FROM mcpcan.access_log").await, batch.len() as u64);
    assert_eq!(number(&engine, "SELECT uniqExact(span_id) FROM mcpcan.access_log").await, batch.len() as u64);
}

#[tokio::test]
async fn many_small_batches_over_several_days_are_each_deduplicated() {
    let engine = Engine::start();
    let client = migrated(&engine).await;
    const HOUR_NS: i64 = 3_600_000_000_000;
    // Each batch reaches over midnight, so it is a block in each of two partitions.
    let batches: Vec<Vec<_>> = (0..100_i64)
        .map(|batch| {
            (0..1_000)
                .map(|n| record(at(batch % 3 * 24 * HOUR_NS + n % 30 * HOUR_NS + n), batch * 1_000 + n))
                .collect()
        })
        .collect();
    for _retry in 0..2 {
        for (position, batch) in batches.iter().enumerate() {
            client.insert_traces(&format!("TRACES {position}"), batch, |_| 7).await.unwrap();
        }
    }
    assert_eq!(number(&engine, "SELECT count() FROM mcpcan.access_log").await, 100_000);
    assert_eq!(number(&engine, "SELECT uniqExact(span_id) FROM mcpcan.access_log").await, 100_000);
}

#[tokio::test]
async fn a_repeated_batch_is_not_counted_twice_behind_a_materialised_view() {
    let engine = Engine::start();
    let client = migrated(&engine).await;
    for sql in [
        "CREATE TABLE mcpcan.sums (instance_id UUID, calls UInt64) ENGINE = SummingMergeTree ORDER BY instance_id \
         SETTINGS non_replicated_deduplication_window = 1000",
        "CREATE MATERIALIZED VIEW mcpcan.sums_view TO mcpcan.sums AS \
         SELECT instance_id, count() AS calls FROM mcpcan.access_log GROUP BY instance_id",
    ] {
        engine.client().query(sql).execute().await.unwrap();
    }
    // Two batches whose rollup is the same row: told apart by their tokens, not by their content.
    for token in ["TRACES 1-10", "TRACES 11-20", "TRACES 1-10", "TRACES 11-20"] {
        let batch: Vec<_> = (0..10).map(|n| record(at(n), n)).collect();
        client.insert_traces(token, &batch, |_| 7).await.unwrap();
    }
    assert_eq!(number(&engine, "SELECT count() FROM mcpcan.access_log").await, 20);
    assert_eq!(number(&engine, "SELECT sum(calls) FROM mcpcan.sums").await, 20);
}

#[tokio::test]
async fn calls_and_errors_are_counted_once_and_outlive_their_rows() {
    let engine = Engine::start();
    let client = migrated(&engine).await;
    let midnight = at(0).checked_add(jiff::SignedDuration::from_hours(24)).unwrap();
    let end = |time, number: i64, event, error: &str| TraceRecord {
        event,
        error: error.to_owned(),
        error_class: error.to_owned(),
        latency_ns: 1_000_000 * (number as u64 + 1),
        ..record(time, number)
    };
    // Half of them on the day before, so that one insert is two blocks.
    let time = |n: i64| if n % 2 == 0 { midnight } else { midnight - jiff::SignedDuration::from_nanos(1) };
    let mut batch: Vec<_> = (0..100).map(|n| end(time(n), n, TraceEvent::Response, "")).collect();
    batch.push(end(midnight, 100, TraceEvent::Error, "upstream_unreachable"));
    batch.push(end(midnight, 101, TraceEvent::RateLimited, "rate_limited"));
    batch.push(end(midnight, 102, TraceEvent::SseEnd, ""));
    batch.push(TraceRecord { http_method: "GET".to_owned(), ..end(midnight, 103, TraceEvent::Response, "") });
    for token in ["TRACES 1-104", "TRACES 1-104", "TRACES 105-208", "TRACES 105-208"] {
        client.insert_traces(token, &batch, |_| 7).await.unwrap();
    }
    engine.client().query("TRUNCATE TABLE mcpcan.access_log").execute().await.unwrap();
    let calls = |what: &str| format!("SELECT toUInt64({what}) FROM mcpcan.calls_per_minute");
    for (what, expected) in [
        ("sum(calls)", 204),
        ("uniqExact(minute)", 2),
        ("sum(errors)", 2),
        ("sum(refused)", 2),
        ("sum(request_bytes)", 204 * 120),
        ("round(quantilesDDMerge(0.01, 0.5, 0.95, 0.99)(latency_ns)[2] / 1e6 / 3)", 95 / 3 + 1),
    ] {
        assert_eq!(number(&engine, &calls(what)).await, expected, "{what}");
    }
    let errors = "SELECT toUInt64(sum(errors)) FROM mcpcan.errors_per_hour WHERE error_class = example";
    assert_eq!(number(&engine, errors).await, 4);
}

#[tokio::test]
async fn the_use_of_a_token_is_counted_once_and_outlives_its_rows() {
    let engine = Engine::start();
    let client = migrated(&engine).await;
    let (used, other) = (Uuid::from_u128(2), Uuid::from_u128(3));
    let mut batch: Vec<_> = (0..10).map(|n| record(at(n), n)).collect();
    batch.push(TraceRecord { event: TraceEvent::Response, ..record(at(99), 10) });
    batch.push(TraceRecord { token_id: Uuid::nil(), event: TraceEvent::AuthFailed, ..record(at(99), 11) });
    for token in ["TRACES 1-12", "TRACES 1-12", "TRACES 13-24", "TRACES 13-24"] {
        client.insert_traces(token, &batch, |_| 7).await.unwrap();
    }
    let expected = HashMap::from([(used, TokenUsage { requests: 20, last_used_at: at(9) })]);
    assert_eq!(client.token_usage(&[used, other, Uuid::nil()]).await.unwrap(), expected);
    engine.client().query("TRUNCATE TABLE mcpcan.access_log").execute().await.unwrap();
    assert_eq!(client.token_usage(&[used]).await.unwrap(), expected);
    assert_eq!(client.token_usage(&[]).await.unwrap(), HashMap::new());
}

#[tokio::test]
async fn what_an_insert_cannot_carry_is_refused_before_it_starts() {
    let engine = Engine::start();
    let client = migrated(&engine).await;
    let one = record(at(0), 0);
    assert!(matches!(
        client.insert_traces("", std::slice::from_ref(&one), |_| 7).await,
        Err(Error::EmptyDeduplicationToken)
    ));
    let too_many = vec![one; MAX_ROWS_PER_INSERT + 1];
    assert!(matches!(client.insert_traces("x", &too_many, |_| 7).await, Err(Error::TooManyRows { .. })));
    assert_eq!(number(&engine, "SELECT count() FROM mcpcan.access_log").await, 0);
}

/// Twelve rows that differ in everything one can search for, the newest last.
fn varied() -> Vec<TraceRecord> {
    (0..12)
        .map(|n| {
            let mut row = record(at(n * 1_000_000_000), n);
            row.level = Level::ALL[n as usize % 5];
            row.event = TraceEvent::ALL[n as usize % 7];
            row.instance_id = Uuid::from_u128(n as u128 % 3);
            row.token_id = Uuid::from_u128(n as u128 % 4);
            row.token_label = format!("label '{}'?", n % 4);
            row.rpc_method = if n % 2 == 0 { "tools/call" } else { "ping" }.to_owned();
            row.tool = format!("tool-{}", n % 3);
            row.status = 200 + (n % 2) as u16;
            row.replica_id = Uuid::from_u128(5 + n as u128 % 2);
            row.session_id = format!("session-{}", n % 2);
            row.token_header = ["authorization: bearer", "x-api-key"][n as usize % 2].to_owned();
            row.latency_ns = 1_000 * n as u64;
            row.error_class = ["", "tool"][n as usize % 2].to_owned();
            row.error = ["", "'Ö\\\n\0", "'ö\\\n\0"][n as usize % 3].to_owned();
            row.body = format!("{{\"id\":\"Order_{}%\"}}", n % 3);
            row
        })
        .collect()
}

#[tokio::test]
async fn every_filter_finds_its_rows_newest_first() {
    let engine = Engine::start();
    let client = migrated(&engine).await;
    let rows = varied();
    client.insert_traces("TRACES 1-12", &rows, |_| 7).await.unwrap();

    let text = |text: &str| Some(text.to_owned());
    let all = TraceFilter::default();
    let filters = [
        all.clone(),
        TraceFilter { instance_id: Some(Uuid::from_u128(1)), ..all.clone() },
        TraceFilter { replica_id: Some(Uuid::from_u128(6)), ..all.clone() },
        TraceFilter { trace_id: Some(format!("{:032x}", 5)), ..all.clone() },
        TraceFilter { session_id: text("session-1"), ..all.clone() },
        TraceFilter { token_id: Some(Uuid::from_u128(3)), ..all.clone() },
        TraceFilter { token_label: text("label '2'?"), ..all.clone() },
        TraceFilter { token_header: text("x-api-key"), ..all.clone() },
        TraceFilter { level: Some(Level::Warn), ..all.clone() },
        TraceFilter { event: Some(TraceEvent::SseEnd), ..all.clone() },
        TraceFilter { rpc_method: text("ping"), ..all.clone() },
        TraceFilter { tool: text("tool-2"), ..all.clone() },
        TraceFilter { status: Some(201), ..all.clone() },
        TraceFilter { error_class: text("tool"), ..all.clone() },
        TraceFilter { latency_min_ns: Some(7_000), ..all.clone() },
        TraceFilter { text: text("ORDER_1%"), ..all.clone() },
        TraceFilter { text: text("'ö\\"), ..all.clone() },
        TraceFilter { since: Some(at(5_000_000_000)), ..all.clone() },
        TraceFilter { until: Some(at(5_000_000_000)), ..all.clone() },
        TraceFilter { status: Some(200), tool: text("tool-0"), level: Some(Level::Debug), ..all },
    ];
    for (number, filter) in filters.into_iter().enumerate() {
        let mut expected: Vec<_> = rows.iter().filter(|row| filter.matches(row)).cloned().collect();
        expected.reverse();
        let some_but_not_all = !expected.is_empty() && expected.len() < rows.len();
        assert!(number == 0 || some_but_not_all, "{filter:?}");
        assert_eq!(client.search(&filter.clone().into()).await.unwrap(), expected, "{filter:?}");
        let of = |level| expected.iter().filter(|row| row.level == level).count() as u64;
        let counts = LevelCounts {
            trace: of(Level::Trace),
            debug: of(Level::Debug),
            info: of(Level::Info),
            warn: of(Level::Warn),
            error: of(Level::Error),
        };
        assert_eq!(client.count_by_level(&filter).await.unwrap(), counts, "{filter:?}");
    }
}

#[tokio::test]
async fn a_text_may_be_as_long_as_its_bound() {
    let engine = Engine::start();
    let client = migrated(&engine).await;
    let text = Some("0".repeat(MAX_FILTER_BYTES));
    let filter = TraceFilter { text, ..TraceFilter::default() };
    assert_eq!(client.count_by_level(&filter).await.unwrap(), LevelCounts::default());
    assert_eq!(client.search(&filter.into()).await.unwrap(), []);
}

#[tokio::test]
async fn a_trace_is_shown_in_the_order_in_which_it_happened() {
    let engine = Engine::start();
    let client = migrated(&engine).await;
    let rows: Vec<_> = (0..9_i64)
        .map(|n| TraceRecord { trace_id: ["a", "b"][n as usize % 2].to_owned(), ..record(at(n / 4), n) })
        .collect();
    client.insert_traces("TRACES 1-9", &rows, |_| 7).await.unwrap();
    let of = |trace: &str| rows.iter().filter(|row| row.trace_id == trace).cloned().collect::<Vec<_>>();
    assert_eq!(client.trace("a").await.unwrap(), of("a"));
    assert_eq!(client.trace("c").await.unwrap(), []);
}

#[tokio::test]
async fn paging_gives_every_row_once_though_times_are_equal_and_rows_arrive() {
    let engine = Engine::start();
    let client = migrated(&engine).await;
    let rows: Vec<_> = (0..25).map(|n| record(at(n / 10), n)).collect();
    client.insert_traces("TRACES 1-25", &rows, |_| 7).await.unwrap();

    let mut query = TraceQuery { limit: 7, ..TraceQuery::default() };
    let mut found = Vec::new();
    loop {
        let page = client.search(&query).await.unwrap();
        let Some(last) = page.last() else { break };
        let cursor = Cursor::after(last).unwrap().to_string();
        query.after = Some(cursor.parse().unwrap());
        found.extend(page);
        let newer = record(at(1_000 + found.len() as i64), 1_000 + found.len() as i64);
        client.insert_traces(&format!("newer {}", found.len()), &[newer], |_| 7).await.unwrap();
    }
    let mut expected = rows;
    expected.reverse();
    assert_eq!(found, expected);
}

#[tokio::test]
async fn lines_come_in_the_order_they_were_written() {
    let engine = Engine::start();
    let client = migrated(&engine).await;
    let lines: Vec<_> = (0..30_u128)
        .map(|n| {
            let text = format!("line {n}: {}", "ü".repeat(n as usize));
            let (instance, replica) = (Uuid::from_u128(n % 2), Uuid::from_u128(n % 3));
            ContainerLine {
                place: Place { sequence: 1, index: n as u32 },
                level: [None, Some(Level::Trace), Some(Level::Error)][n as usize % 3],
                module: ["", "mcp.server"][n as usize % 2].to_owned(),
                ..ContainerLine::new(at(n as i64), instance, replica, Stream::ALL[n as usize % 2], text)
            }
        })
        .collect();
    client.insert_lines("LOGS 1-30", &lines, |_| 3).await.unwrap();
    client.insert_lines("LOGS 1-30", &lines, |_| 3).await.unwrap();

    let one = LineFilter::of(Uuid::from_u128(1));
    let last = client.lines(&LineQuery { last: 4, ..one.clone().into() }).await.unwrap();
    let of_one: Vec<_> = lines.iter().filter(|line| one.matches(line)).cloned().collect();
    assert_eq!(last, of_one[11..]);
    for filter in [
        one.clone(),
        LineFilter { replica_id: Some(Uuid::from_u128(2)), since: Some(at(10)), ..one.clone() },
        LineFilter { until: Some(at(10)), ..one.clone() },
        LineFilter { level: Some(Level::Trace), ..one.clone() },
        LineFilter { level: Some(Level::Debug), ..one.clone() },
        LineFilter { stream: Some(Stream::Stderr), ..one.clone() },
        LineFilter { stream: Some(Stream::Stdout), ..LineFilter::of(Uuid::nil()) },
    ] {
        let expected: Vec<_> = lines.iter().filter(|line| filter.matches(line)).cloned().collect();
        assert!(expected.len() < lines.len(), "{filter:?}");
        assert_eq!(client.lines(&filter.clone().into()).await.unwrap(), expected, "{filter:?}");
    }
}

#[tokio::test]
async fn expired_rows_go_without_being_asked_for() {
    let engine = Engine::start();
    let client = migrated(&engine).await;
    let old = record("2020-01-01T00:00:00Z".parse().unwrap(), 1);
    client.insert_traces("TRACES 1", &[old, record(at(1), 2)], |_| 7).await.unwrap();
    engine.client().query("OPTIMIZE TABLE mcpcan.access_log FINAL").execute().await.unwrap();
    assert_eq!(number(&engine, "SELECT count() FROM mcpcan.access_log").await, 1);
    let kept =
        "SELECT toUInt64(expires_at = toDateTime(time, 'UTC') + toIntervalDay(7)) FROM mcpcan.access_log";
    assert_eq!(number(&engine, kept).await, 1);
}

#[tokio::test]
async fn each_row_is_kept_for_as_long_as_its_instance_says() {
    let engine = Engine::start();
    let client = migrated(&engine).await;
    let of = |instance: u128| TraceRecord { instance_id: Uuid::from_u128(instance), ..record(at(1), 1) };
    let line = |instance| {
        ContainerLine::new(at(1), Uuid::from_u128(instance), Uuid::nil(), Stream::Stdout, String::new())
    };
    let days = |instance: Uuid| instance.as_u128() as u16;
    for _retry in 0..2 {
        client.insert_traces("TRACES 1", &[of(30), of(1)], days).await.unwrap();
        client.insert_lines("LOGS 1", &[line(30), line(1)], days).await.unwrap();
    }
    // The type of the column ends in 2106.
    client.insert_traces("TRACES 2", &[of(3650)], days).await.unwrap();
    // A repetition under another plan is still a repetition.
    client.insert_lines("LOGS 1", &[line(30), line(1)], |_| 100).await.unwrap();
    for (table, instance, expected) in [
        ("access_log", 30, 30 * 86_400),
        ("access_log", 1, 86_400),
        ("access_log", 3650, i64::from(u32::MAX) - at(1).as_second()),
        ("container_log", 30, 30 * 86_400),
        ("container_log", 1, 86_400),
    ] {
        let sql = format!(
            "SELECT toUInt64(sum(toUnixTimestamp(expires_at) - toUnixTimestamp(toDateTime(time, 'UTC')))) \
             FROM mcpcan.{table} WHERE instance_id = '{}'",
            Uuid::from_u128(instance)
        );
        assert_eq!(number(&engine, &sql).await, expected as u64, "{table} {instance}");
    }
}

#[tokio::test]
async fn a_server_that_is_away_or_not_migrated_or_closed_to_us_is_worth_a_retry() {
    let engine = Engine::start();
    let rows = [record(at(1), 1)];
    let error = engine.access_log().insert_traces("TRACES 1", &rows, |_| 7).await.unwrap_err();
    assert!(error.is_retryable(), "not migrated: {error:?}");

    let stranger = access_log::Client::connect(&engine.url, "default", "guess").unwrap();
    assert!(stranger.ping().await.unwrap_err().is_retryable());

    let client = migrated(&engine).await;
    client.ping().await.unwrap();
    let url = engine.url.clone();
    drop(engine.kill());
    let client_again = access_log::Client::connect(&url, "default", PASSWORD).unwrap();
    for client in [client, client_again] {
        assert!(client.ping().await.unwrap_err().is_retryable());
        assert!(client.insert_traces("TRACES 1", &rows, |_| 7).await.unwrap_err().is_retryable());
    }
}
