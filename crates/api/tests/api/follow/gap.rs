//! What followers are shown while the sink stands, and where the stream has dropped messages.

use access_log::{Level, Place, TraceEvent, TraceRecord};
use bytes::Bytes;
use jiff::Timestamp;
use serde_json::json;
use store::DataStream;
use store::testing::TestServer;

use super::{Logs, ROWS, places};
use crate::platform::Platform;

async fn start_without_sink() -> Logs {
    Logs::start_with(async |url| {
        Platform::start_api_alone(TestServer::start().await, &url, api::COMMAND_WAIT).await
    })
    .await
}

#[tokio::test]
async fn a_gap_is_named_when_rows_are_in_neither_place() {
    // Nothing carries rows but the test, which leaves some of them out.
    let logs = start_without_sink().await;
    logs.publish(1..=3).await;
    let mut tail = logs.tail("?since=1h").await;
    let mut first: Vec<TraceRecord> = vec![];
    for _ in 0..2 * ROWS {
        first.push(serde_json::from_value(tail.row().await).unwrap());
    }
    assert_eq!(tail.places(3).await, places(3..=3));
    logs.engine.client().insert_traces("TRACES 1", &first, |_| 7).await.unwrap();
    logs.platform.server.drop_before("TRACES", 4).await;
    let mut resumed = logs.tail("?after=2-1").await;
    let gap = json!({"from": "2-2", "before": "4-0"});
    assert_eq!(resumed.frame().await, (Some("gap".to_owned()), gap));
    assert_eq!(resumed.places(1).await, ["2-2"], "what is there is shown all the same");
    logs.publish(4..=4).await;
    assert_eq!(resumed.places(3).await, places(4..=4));
    assert_eq!(tail.places(3).await, places(4..=4), "who was there has missed nothing that could be read");
    logs.platform.stop().await;
}

#[tokio::test]
async fn there_is_no_gap_where_the_last_that_was_dropped_lies_with_the_dead_letters() {
    let logs = Logs::start().await;
    logs.publish(1..=2).await;
    // What cannot be read is buried, so ClickHouse never has it.
    let rows = Bytes::from_static(b"no rows");
    logs.writer.publish(DataStream::Traces, "gateway-1", "message-3", rows).await.unwrap();
    logs.drop_before(4).await;
    let mut resumed = logs.tail("?after=2-1").await;
    logs.publish(4..=4).await;
    assert_eq!(resumed.places(4).await, ["2-2", "4-0", "4-1", "4-2"]);
    logs.platform.stop().await;
}

#[tokio::test]
async fn the_newest_rows_come_at_once_while_the_sink_stands_before_very_many() {
    const MESSAGES: u64 = 2_100;
    let logs = start_without_sink().await;
    logs.publish(1..=MESSAGES).await;
    let mut newest = logs.tail("?tail=4").await;
    assert_eq!(newest.places(4).await, places(MESSAGES - 1..=MESSAGES)[2..]);
    let mut errors = logs.tail("?tail=1000&level=error&tool=tool-1").await;
    let mut row = TraceRecord::new(Timestamp::now(), TraceEvent::Error);
    (row.tool, row.level) = ("tool-1".to_owned(), Level::Error);
    let rows = Bytes::from(store::encode(&vec![row]));
    logs.writer.publish(DataStream::Traces, "gateway-1", "the-last", rows).await.unwrap();
    let place = Place::first_of(MESSAGES + 1).to_string();
    assert_eq!(errors.places(1).await, [place], "what is too far behind is not looked for");
    logs.platform.stop().await;
}
