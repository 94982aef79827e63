//! Logs as files: everything once, in order, under the names of fields, whole or from where a file broke off.

use std::collections::HashMap;

use access_log::testing::Engine;
use access_log::{ContainerLine, Level, Place, Stream, TraceEvent, TraceRecord};
use bytes::Bytes;
use http::{Request, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper_util::client::legacy::Client as HttpClient;
use hyper_util::rt::TokioExecutor;
use jiff::Timestamp;
use serde_json::{Value, json};
use tempfile::TempDir;
use uuid::Uuid;

use crate::platform::{Answer, Platform};

/// More than one run has.
const ROWS: u32 = 12_000;

struct Logs {
    platform: Platform,
    engine: Engine,
    _data: TempDir,
}

impl Logs {
    async fn start() -> Self {
        let data = tempfile::tempdir().unwrap();
        let engine = Engine::start(&data.path().join("clickhouse"), "127.0.0.1:0");
        engine.client().migrate().await.unwrap();
        let platform = Platform::start_beside(&engine.url()).await;
        Logs { platform, engine, _data: data }
    }

    async fn get(&self, path: &str) -> Answer {
        self.platform.client.get(path).await
    }

    /// Asks ClickHouse itself.
    async fn ask(&self, sql: &str, body: Bytes) -> String {
        let http = HttpClient::builder(TokioExecutor::new()).build_http();
        let mut url = url::Url::parse(&self.engine.url()).unwrap();
        url.query_pairs_mut().append_pair("query", sql).append_pair("input_format_skip_unknown_fields", "1");
        let request = Request::post(url.as_str()).body(Full::new(body)).unwrap();
        let answer = http.request(request).await.unwrap();
        let status = answer.status();
        let said = answer.into_body().collect().await.unwrap().to_bytes();
        let said = String::from_utf8_lossy(&said).into_owned();
        assert!(status.is_success(), "{sql}: {said}");
        said
    }
}

/// Rows in clusters: many at one moment, some close together, some days apart.
fn row(number: u32) -> TraceRecord {
    let start: Timestamp = "2026-11-18T10:00:00Z".parse().unwrap();
    let days = number / 5_000;
    let time = start
        + jiff::SignedDuration::from_hours(24 * i64::from(days))
        + jiff::SignedDuration::from_nanos(i64::from(number % 5_000 / 7));
    let mut row = TraceRecord::new(time, TraceEvent::Response);
    row.place = Place { sequence: 1 + u64::from(number / 100), index: number % 100 };
    row.tool = format!("tool-{number}");
    row.level = if number % 100 == 3 { Level::Error } else { Level::Info };
    if number.is_multiple_of(1_000) {
        row.error = "a \"quoted\", torn\r\nline\n".to_owned();
        row.headers = [("accept".to_owned(), "text/\"x\",\n".to_owned())].into();
        row.status = 200;
    }
    row
}

fn lines(body: &Bytes) -> Vec<Value> {
    let text = std::str::from_utf8(body).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[tokio::test]
async fn the_access_log_is_exported_whole_in_every_format() {
    let logs = Logs::start().await;
    let rows: Vec<_> = (0..ROWS).map(row).collect();
    logs.engine.client().insert_traces("TRACES 1", &rows, |_| 100).await.unwrap();
    let expected: Vec<_> = rows.iter().map(|row| serde_json::to_value(row).unwrap()).collect();

    let whole = logs.get("/access-logs/export").await;
    assert_eq!((whole.status, whole.header("x-row-count")), (StatusCode::OK, "12000"));
    assert_eq!(whole.header("content-disposition"), "attachment; filename=\"access-log.jsonl\"");
    assert!(lines(&whole.body) == expected, "each row once, in order, as answers have it");
    // A file that broke off goes on after its last row, also between rows of one moment.
    for last in [&expected[0], &expected[4_999], &expected[7_003], &expected[11_999]] {
        let after = format!("{}/{}", last["time"].as_str().unwrap(), last["place"].as_str().unwrap());
        let rest = lines(&logs.get(&format!("/access-logs/export?after={after}")).await.body);
        let position = expected.iter().position(|row| row == last).unwrap();
        assert!(rest == expected[position + 1..], "{after}");
    }
    let errors = lines(&logs.get("/access-logs/export?level=error&since=2026-11-19T00:00:00Z").await.body);
    let graver = |row: &&Value| row["level"] == "error" && row["time"].as_str().unwrap() > "2026-11-19";
    assert!(errors == expected.iter().filter(graver).cloned().collect::<Vec<_>>());

    let csv = logs.get("/access-logs/export?format=csv").await;
    let mut reader = csv::Reader::from_reader(&csv.body[..]);
    let found: Vec<HashMap<String, String>> = reader.deserialize().collect::<Result<_, _>>().unwrap();
    assert_eq!(found.len(), expected.len());
    for (found, expected) in found.iter().zip(&expected) {
        for (name, value) in expected.as_object().unwrap() {
            let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            assert_eq!(found[name], value, "{name}");
        }
    }

    let parquet = logs.get("/access-logs/export?format=parquet").await;
    assert_eq!(parquet.header("content-type"), "application/vnd.apache.parquet");
    logs.ask(
        "CREATE TABLE back (place String, time DateTime64(9, 'UTC'), level String, tool String, error String, \
         headers Map(String, String), instance_id UUID, is_error Bool) ENGINE = MergeTree ORDER BY tuple()",
        Bytes::new(),
    )
    .await;
    logs.ask("INSERT INTO back FORMAT Parquet", parquet.body.clone()).await;
    let same = logs
        .ask(
            "SELECT count() FROM back AS b JOIN mcpcan.access_log AS a ON a.tool = b.tool WHERE a.time = b.time \
             AND toString(a.level) = b.level AND a.error = b.error \
             AND concat(toString(a.sequence), '-', toString(a.index)) = b.place \
             AND toJSONString(a.headers) = toJSONString(b.headers)",
            Bytes::new(),
        )
        .await;
    assert_eq!(same.trim(), ROWS.to_string());
    logs.platform.stop().await;
}

#[tokio::test]
async fn the_output_of_a_server_is_exported_as_text_and_otherwise() {
    let logs = Logs::start().await;
    let instance = logs.platform.create("everything").await["id"].as_str().unwrap().to_owned();
    let id: Uuid = instance.parse().unwrap();
    let time: Timestamp = "2026-11-20T10:00:00Z".parse().unwrap();
    let line = |index: u32, text: &str| ContainerLine {
        place: Place { sequence: 1, index },
        ..ContainerLine::new(time, id, Uuid::nil(), Stream::ALL[index as usize % 2], text.to_owned())
    };
    let written = [line(0, "started"), line(1, "a \"b\", c"), line(2, "")];
    logs.engine.client().insert_lines("LOGS 1", &written, |_| 100).await.unwrap();
    let text = logs.get("/instances/everything/logs/export").await;
    let expected = "2026-11-20T10:00:00Z stdout started\n2026-11-20T10:00:00Z stderr a \"b\", c\n\
                    2026-11-20T10:00:00Z stdout \n";
    assert_eq!(std::str::from_utf8(&text.body).unwrap(), expected);
    assert_eq!(text.header("content-type"), "text/plain; charset=utf-8");
    let rows = lines(&logs.get("/instances/everything/logs/export?format=jsonl&stream=stdout").await.body);
    assert_eq!(rows, [json!(written[0]), json!(written[2])]);
    let csv = logs.get("/instances/everything/logs/export?format=csv&until=2026-11-20T10:00:00Z").await;
    assert_eq!(&csv.body[..], b"place,time,instance_id,replica_id,stream,level,module,text\n");
    logs.get("/instances/everything/logs/export?format=parquet")
        .await
        .body
        .starts_with(b"PAR1")
        .then_some(())
        .unwrap();
    logs.platform.stop().await;
}

#[tokio::test]
async fn what_cannot_be_exported_is_refused() {
    let platform = Platform::start().await;
    let client = &platform.client;
    for query in ["format=xml", "after=1-1", "format=parquet&after=2026-01-31T14:05:00Z/1-0", "since=x"] {
        let answer = client.get(&format!("/access-logs/export?{query}")).await;
        answer.problem(StatusCode::BAD_REQUEST, "invalid_request");
    }
    let away = client.get("/access-logs/export").await;
    away.problem(StatusCode::SERVICE_UNAVAILABLE, "access_log_unavailable");
    let missing = client.get("/instances/nothing/logs/export").await;
    missing.problem(StatusCode::NOT_FOUND, "instance_not_found");
    platform.stop().await;
}
