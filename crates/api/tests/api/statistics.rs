//! What a dashboard shows, out of the rollups of a real engine.

use access_log::testing::Engine;
use access_log::{Level, TraceEvent, TraceRecord};
use http::StatusCode;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::platform::Platform;

const TOKEN: Uuid = Uuid::from_u128(7);

fn ended(instance: Uuid, time: &str, milliseconds: u64, error_class: &str) -> TraceRecord {
    let mut row = TraceRecord::new(time.parse().unwrap(), TraceEvent::Response);
    (row.instance_id, row.token_id) = (instance, TOKEN);
    (row.rpc_method, row.tool) = ("tools/call".to_owned(), "echo".to_owned());
    row.latency_ns = milliseconds * 1_000_000;
    (row.request_bytes, row.response_bytes) = (10, 100);
    if !error_class.is_empty() {
        (row.level, row.error_class) = (Level::Error, error_class.to_owned());
        row.error = format!("{error_class} happened");
    }
    row
}

#[tokio::test]
async fn statistics_count_calls_by_time_tool_token_instance_and_error() {
    let directory = tempfile::tempdir().unwrap();
    let engine = Engine::start(&directory.path().join("clickhouse"), "127.0.0.1:0");
    engine.client().migrate().await.unwrap();
    let platform = Platform::start_beside(&engine.url()).await;
    let client = &platform.client;
    let id = platform.create("everything").await["id"].as_str().unwrap().to_owned();
    let (one, other): (Uuid, Uuid) = (id.parse().unwrap(), Uuid::from_u128(9));
    let mut rows: Vec<_> = (1..=100).map(|number| ended(one, "2026-11-20T10:00:30Z", number, "")).collect();
    rows.push(ended(one, "2026-11-20T10:07:00Z", 5, "timeout"));
    rows.push(ended(other, "2026-11-20T10:08:00Z", 5, "timeout"));
    rows.push(ended(other, "2026-11-20T12:00:00Z", 5, "later"));
    engine.client().insert_traces("TRACES 1", &rows, |_| 100).await.unwrap();

    let range = "since=2026-11-20T10:00:00Z&until=2026-11-20T10:10:00Z";
    let all = client.get(&format!("/statistics?{range}&step=300")).await.expect(StatusCode::OK);
    assert_eq!((&all["since"], &all["step_seconds"]), (&json!("2026-11-20T10:00:00Z"), &json!(300)));
    assert_eq!(all["instances"].as_object().unwrap().values().filter_map(Value::as_u64).sum::<u64>(), 1);
    assert_eq!(numbers(&all["total"]), [102, 2, 0, 1_020, 10_200]);
    let buckets: Vec<_> =
        all["buckets"].as_array().unwrap().iter().map(|bucket| numbers(bucket)[0]).collect();
    assert_eq!(buckets, [100, 2]);
    assert_eq!(all["buckets"][1]["start"], "2026-11-20T10:05:00Z");
    for (quantile, expected) in [("p50_ns", 50e6), ("p95_ns", 95e6), ("p99_ns", 99e6)] {
        let found = all["buckets"][0]["latency"][quantile].as_f64().unwrap();
        assert!((found / expected - 1.0).abs() < 0.03, "{quantile} is {found}");
    }
    let tool = &all["top_tools"][0];
    assert_eq!(
        (&tool["tool"], &tool["rpc_method"], &tool["calls"]),
        (&json!("echo"), &json!("tools/call"), &json!(102))
    );
    assert_eq!((&all["top_tokens"][0]["id"], &all["top_tokens"][0]["name"]), (&json!(TOKEN), &Value::Null));
    assert_eq!(
        (&all["top_instances"][0]["name"], &all["top_instances"][0]["calls"]),
        (&json!("everything"), &json!(101))
    );
    assert_eq!(all["top_instances"][1]["id"], json!(other));
    let error = &all["top_errors"][0];
    assert_eq!(
        (&error["error_class"], &error["errors"], &error["example"]),
        (&json!("timeout"), &json!(2), &json!("timeout happened"))
    );
    assert_eq!(error["last_at"], "2026-11-20T10:08:00Z");

    let of_one =
        client.get(&format!("/instances/everything/statistics?{range}")).await.expect(StatusCode::OK);
    assert_eq!(numbers(&of_one["total"]), [101, 1, 0, 1_010, 10_100]);
    assert_eq!(of_one["buckets"].as_array().unwrap().len(), 10, "by the minute, also those without a call");
    assert_eq!(of_one["top_instances"].as_array().unwrap().len(), 1);
    let none = client.get("/statistics?until=2026-11-01T00:00:00Z").await.expect(StatusCode::OK);
    assert_eq!(numbers(&none["total"]), [0; 5]);
    assert_eq!(none["total"]["latency"], Value::Null);
    platform.stop().await;
}

fn numbers(calls: &Value) -> [u64; 5] {
    ["calls", "errors", "refused", "request_bytes", "response_bytes"]
        .map(|name| calls[name].as_u64().unwrap())
}

#[tokio::test]
async fn a_range_that_is_none_is_refused() {
    let platform = Platform::start().await;
    let client = &platform.client;
    for query in ["since=x", "step=61", "step=0", "step=x"] {
        let answer = client.get(&format!("/statistics?{query}")).await;
        answer.problem(StatusCode::BAD_REQUEST, "invalid_request");
    }
    for query in ["since=1h&until=2h", "since=2020-01-01T00:00:00Z", "since=30d&step=60"] {
        let answer = client.get(&format!("/statistics?{query}")).await;
        answer.problem(StatusCode::UNPROCESSABLE_ENTITY, "unprocessable_request");
    }
    client.get("/statistics").await.problem(StatusCode::SERVICE_UNAVAILABLE, "access_log_unavailable");
    client.get("/instances/x/statistics").await.problem(StatusCode::NOT_FOUND, "instance_not_found");
    platform.stop().await;
}
