//! Logs that are followed: history and what comes, each row once and in order, whatever the stream has dropped.

mod gap;

use std::collections::VecDeque;
use std::time::Duration;

use access_log::testing::Engine;
use access_log::{ContainerLine, Level, Place, Stream as Output, TraceEvent, TraceRecord};
use bytes::Bytes;
use http::{Method, StatusCode};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use jiff::Timestamp;
use mcp::sse::{Decoder, Event};
use serde_json::Value;
use store::{DataStream, Role, Store};
use tempfile::TempDir;
use uuid::Uuid;

use crate::platform::{Client, Platform, WAIT};

/// How many rows each message has.
const ROWS: u32 = 3;

/// How often a condition that is awaited is looked at.
const ASK_AGAIN: Duration = Duration::from_millis(20);

/// A platform with a ClickHouse, and somebody who writes log rows.
struct Logs {
    platform: Platform,
    writer: Store,
    engine: Engine,
    _data: TempDir,
}

impl Logs {
    async fn start() -> Self {
        Self::start_with(async |url| Platform::start_beside(&url).await).await
    }

    /// With a platform that is beside this ClickHouse.
    async fn start_with(platform: impl AsyncFnOnce(String) -> Platform) -> Self {
        let data = tempfile::tempdir().unwrap();
        let engine = Engine::start(&data.path().join("clickhouse"), "127.0.0.1:0");
        engine.client().migrate().await.unwrap();
        let platform = platform(engine.url()).await;
        let writer = platform.server.store_as(Role::Gateway).await;
        Logs { platform, writer, engine, _data: data }
    }

    async fn publish(&self, messages: std::ops::RangeInclusive<u64>) {
        publish(&self.writer, messages).await;
    }

    /// Waits until it is known that everything before this message has arrived, and has the stream drop it.
    async fn drop_before(&self, sequence: u64) {
        let store = self.platform.server.store_as(Role::Api).await;
        let deadline = tokio::time::Instant::now() + WAIT;
        while store.data_extent(DataStream::Traces).await.unwrap().arrived_before < sequence {
            assert!(tokio::time::Instant::now() < deadline, "what is before {sequence} does not arrive");
            tokio::time::sleep(ASK_AGAIN).await;
        }
        self.platform.server.drop_before("TRACES", sequence).await;
    }

    async fn tail(&self, query: &str) -> Tail {
        Tail::open(&self.platform.client, &format!("/access-logs/tail{query}"), None).await
    }
}

/// Publishes message after message, each with [`ROWS`] rows that name it.
pub(crate) async fn publish(writer: &Store, messages: std::ops::RangeInclusive<u64>) {
    for message in messages {
        let row = |index: u32| {
            let event = TraceEvent::ALL[index as usize];
            let mut row = TraceRecord::new(Timestamp::now(), event);
            row.tool = format!("tool-{message}");
            row.level = if index == 1 { Level::Error } else { Level::Info };
            row
        };
        let rows: Vec<_> = (0..ROWS).map(row).collect();
        let (id, rows) = (format!("message-{message}"), Bytes::from(store::encode(&rows)));
        writer.publish(DataStream::Traces, "gateway-1", &id, rows).await.unwrap();
    }
}

/// Every place of these messages, in order.
fn places(messages: std::ops::RangeInclusive<u64>) -> Vec<String> {
    messages.flat_map(|sequence| (0..ROWS).map(move |index| Place { sequence, index }.to_string())).collect()
}

/// An open stream.
struct Tail {
    body: Incoming,
    decoder: Decoder,
    events: VecDeque<Event>,
}

impl Tail {
    async fn open(client: &Client, path: &str, last: Option<&str>) -> Self {
        let request = client.request(Method::GET, path);
        let request = last.into_iter().fold(request, |request, last| request.header("last-event-id", last));
        let response = client.open(request, "").await;
        assert_eq!(response.status(), StatusCode::OK);
        assert_eq!(response.headers()["content-type"], "text/event-stream");
        Tail { body: response.into_body(), decoder: Decoder::default(), events: VecDeque::new() }
    }

    /// The next frame with its name.
    async fn frame(&mut self) -> (Option<String>, Value) {
        loop {
            if let Some(event) = self.events.pop_front() {
                let document: Value = serde_json::from_slice(&event.data).unwrap();
                if event.event.is_none() {
                    assert_eq!(event.id.as_deref(), document["place"].as_str(), "the id is the place");
                }
                return (event.event, document);
            }
            let frame = tokio::time::timeout(WAIT, self.body.frame()).await.expect("a frame in time");
            let frame = frame.expect("the stream goes on").unwrap();
            let mut decoded = vec![];
            self.decoder.feed(frame.data_ref().unwrap(), &mut decoded).unwrap();
            self.events.extend(decoded);
        }
    }

    async fn row(&mut self) -> Value {
        let (name, row) = self.frame().await;
        assert_eq!(name, None, "{row}");
        row
    }

    async fn places(&mut self, count: usize) -> Vec<String> {
        let mut places = vec![];
        for _ in 0..count {
            places.push(self.row().await["place"].as_str().unwrap().to_owned());
        }
        places
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_row_comes_once_and_in_order_while_rows_are_written_carried_and_dropped() {
    const MESSAGES: u64 = 240;
    let logs = Logs::start().await;
    logs.publish(1..=40).await;
    logs.drop_before(30).await;
    let mut whole = logs.tail("?since=1h").await;
    let writer = logs.writer.clone();
    let writing = tokio::spawn(async move { publish(&writer, 41..=MESSAGES).await });

    // One client stays, another breaks off again and again, and comes back when the stream has dropped what it missed.
    let (mut found, mut last) = (vec![], None);
    for part in [25, 1, 130, 7, 200, 57] {
        let path = "/access-logs/tail?since=1h";
        let mut broken = Tail::open(&logs.platform.client, path, last.as_deref()).await;
        found.extend(broken.places(part).await);
        drop(broken);
        last = found.last().cloned();
        let seen: Place = last.as_ref().unwrap().parse().unwrap();
        logs.drop_before((seen.sequence + 5).min(MESSAGES - 10)).await;
    }
    let all = places(1..=MESSAGES);
    assert_eq!(found, all[..found.len()], "none is missing, none comes twice, though the client broke off");
    assert_eq!(whole.places(all.len()).await, all, "nor for the one that stayed");
    writing.await.unwrap();
    let mut rest = logs.tail(&format!("?after={}", last.unwrap())).await;
    assert_eq!(rest.places(all.len() - found.len()).await, all[found.len()..]);
    logs.platform.stop().await;
}

#[tokio::test]
async fn the_newest_rows_come_first_and_then_what_passes_the_filter() {
    let logs = Logs::start().await;
    logs.publish(1..=4).await;
    logs.drop_before(3).await;
    let mut newest = logs.tail("?tail=8").await;
    let mut errors = logs.tail("?tail=3&level=error").await;
    let mut new = logs.tail("").await;
    assert_eq!(newest.places(8).await, places(1..=4)[4..], "from ClickHouse and from the stream");
    assert_eq!(errors.places(3).await, ["2-1", "3-1", "4-1"]);
    logs.publish(5..=6).await;
    assert_eq!(newest.places(6).await, places(5..=6));
    assert_eq!(errors.places(2).await, ["5-1", "6-1"]);
    assert_eq!(new.places(6).await, places(5..=6));
    let mut of_tool = logs.tail("?since=1h&tool=tool-5&event=request").await;
    assert_eq!(of_tool.row().await["place"], "5-0");
    let row = logs.platform.client.get("/access-logs?tool=tool-5&event=request").await.json()["items"].take();
    assert!(row.as_array().is_some_and(|rows| rows.iter().all(|row| row["place"] == "5-0")), "{row}");
    logs.platform.stop().await;
}

#[tokio::test]
async fn while_clickhouse_is_away_rows_are_shown_from_the_stream() {
    let platform = Platform::start().await;
    let writer = platform.server.store_as(Role::Gateway).await;
    publish(&writer, 1..=3).await;
    let client = &platform.client;
    // Nothing is carried, because ClickHouse is away: the stream is all there is.
    let mut tail = Tail::open(client, "/access-logs/tail?after=1-1", None).await;
    assert_eq!(tail.places(4).await, ["1-2", "2-0", "2-1", "2-2"]);
    drop(tail);
    let mut new = Tail::open(client, "/access-logs/tail", None).await;
    publish(&writer, 4..=4).await;
    assert_eq!(new.places(3).await, places(4..=4));
    client
        .get("/access-logs/tail?tail=1")
        .await
        .problem(StatusCode::SERVICE_UNAVAILABLE, "access_log_unavailable");
    platform.server.drop_before("TRACES", 4).await;
    let gone = client.get("/access-logs/tail?after=1-1").await;
    gone.problem(StatusCode::SERVICE_UNAVAILABLE, "access_log_unavailable");
    platform.stop().await;
}

#[tokio::test]
async fn the_output_of_one_instance_is_followed() {
    let logs = Logs::start().await;
    let instance = logs.platform.create("everything").await["id"].as_str().unwrap().to_owned();
    let instance: Uuid = instance.parse().unwrap();
    let (one, other) = (Uuid::from_u128(1), Uuid::from_u128(2));
    let worker = logs.platform.server.store_as(Role::Worker).await;
    let write = async |number: u32, instance: Uuid, replica: Uuid, output: Output, level| {
        let line = ContainerLine {
            level,
            ..ContainerLine::new(Timestamp::now(), instance, replica, output, number.to_string())
        };
        let rows = Bytes::from(store::encode(&vec![line]));
        worker.publish(DataStream::Logs, &instance.to_string(), &number.to_string(), rows).await.unwrap();
    };
    write(1, instance, one, Output::Stdout, None).await;
    write(2, Uuid::from_u128(7), one, Output::Stdout, None).await;
    let client = &logs.platform.client;
    let mut all = Tail::open(client, "/instances/everything/logs/tail?tail=10", None).await;
    let mut graver = Tail::open(client, "/instances/everything/logs/tail?level=warn", None).await;
    let mut of_other =
        Tail::open(client, &format!("/instances/{instance}/logs/tail?replica={other}&stream=stderr"), None)
            .await;
    assert_eq!(all.row().await["text"], "1");
    write(3, instance, one, Output::Stdout, Some(Level::Error)).await;
    write(4, instance, other, Output::Stdout, Some(Level::Info)).await;
    write(5, Uuid::from_u128(7), other, Output::Stderr, Some(Level::Error)).await;
    write(6, instance, other, Output::Stderr, None).await;
    for text in ["3", "4", "6"] {
        assert_eq!(all.row().await["text"], text);
    }
    assert_eq!(graver.row().await["text"], "3");
    assert_eq!(of_other.row().await["text"], "6");
    logs.platform.stop().await;
}

#[tokio::test]
async fn a_follower_that_begins_nowhere_is_refused() {
    let platform = Platform::start().await;
    let client = &platform.client;
    platform.create("everything").await;
    for path in ["/access-logs/tail", "/instances/everything/logs/tail"] {
        for query in ["after=1", "tail=1001", "tail=-1", "since=yesterday"] {
            let answer = client.get(&format!("{path}?{query}")).await;
            answer.problem(StatusCode::BAD_REQUEST, "invalid_request");
        }
        client.get(&format!("{path}?from=1")).await.problem(StatusCode::BAD_REQUEST, "invalid_query");
        let request = client.request(Method::GET, path).header("last-event-id", "x");
        client.send(request, "").await.problem(StatusCode::BAD_REQUEST, "invalid_request");
        let request = client.request(Method::GET, path).header("last-event-id", "7-0");
        client.send(request, "").await.problem(StatusCode::UNPROCESSABLE_ENTITY, "place_to_come");
    }
    let missing = client.get("/instances/nothing/logs/tail").await;
    missing.problem(StatusCode::NOT_FOUND, "instance_not_found");
    platform.stop().await;
}
