//! The official client library works unchanged, with its compression off.

use clickhouse::{Client, Row};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::harness::Engine;

#[derive(Row, Serialize, Deserialize, Debug, PartialEq, Clone)]
struct Reading {
    number: u64,
    name: String,
    #[serde(with = "clickhouse::serde::uuid")]
    id: Uuid,
    taken: Option<i32>,
    parts: Vec<u16>,
    time: i64,
}

fn reading(number: u64) -> Reading {
    Reading {
        number,
        name: format!("nämé '{number}' \\ \n \0"),
        id: Uuid::from_u128(u128::from(number) << 64 | 7),
        taken: number.is_multiple_of(3).then_some(-5),
        parts: (0..(number % 4) as u16).collect(),
        time: 1_763_700_000_000_000_000 + number as i64,
    }
}

async fn with_table(engine: &Engine) -> Client {
    let client = engine.client();
    client.query("CREATE DATABASE lab").execute().await.unwrap();
    client
        .query(
            "CREATE TABLE lab.readings (number UInt64, name String, id UUID, taken Nullable(Int32), \
             parts Array(UInt16), time DateTime64(9)) ENGINE = MergeTree ORDER BY number",
        )
        .execute()
        .await
        .unwrap();
    client.with_database("lab")
}

async fn insert(
    client: &Client,
    readings: impl IntoIterator<Item = Reading>,
) -> clickhouse::error::Result<()> {
    let mut insert = client.insert::<Reading>("readings").await?;
    for reading in readings {
        insert.write(&reading).await?;
    }
    insert.end().await
}

#[tokio::test]
async fn rows_come_back_as_they_went_in_with_and_without_validation() {
    let engine = Engine::start();
    let client = with_table(&engine).await;
    let rows: Vec<Reading> = (0..50_000).map(reading).collect();
    insert(&client, rows.clone()).await.unwrap();
    insert(&client.clone().with_validation(false), (50_000..60_000).map(reading)).await.unwrap();

    let query = "SELECT ?fields FROM readings WHERE number < ? ORDER BY number";
    let validated = client.query(query).bind(50_000).fetch_all::<Reading>().await.unwrap();
    assert!(validated == rows, "50,000 rows differ from what went in");
    let plain = client.clone().with_validation(false);
    let plain = plain.query(query).bind(60_000).fetch_all::<Reading>().await.unwrap();
    assert_eq!(plain.len(), 60_000);
    assert_eq!(plain.last(), Some(&reading(59_999)));
}

#[tokio::test]
async fn parameters_and_settings_reach_the_engine_and_end_with_the_request() {
    let engine = Engine::start();
    let client = engine.client();
    let text = "it's {x} \\ \t a\nb";
    let (echoed, setting) = client
        .query("SELECT {text: String}, toUInt64(getSetting('max_block_size'))")
        .param("text", text)
        .with_setting("max_block_size", "123")
        .fetch_one::<(String, u64)>()
        .await
        .unwrap();
    assert_eq!((echoed.as_str(), setting), (text, 123));
    let setting =
        client.query("SELECT toUInt64(getSetting('max_block_size'))").fetch_one::<u64>().await.unwrap();
    assert_ne!(setting, 123);
}

#[tokio::test]
async fn errors_carry_the_servers_code_before_and_within_an_answer() {
    let engine = Engine::start();
    let client = with_table(&engine).await;
    let error = client.query("SELECT * FROM nowhere").execute().await.unwrap_err().to_string();
    assert!(error.contains("Code: 60.") && error.contains("UNKNOWN_TABLE"), "{error}");

    // So many rows that the head of the answer has long been sent.
    let mut rows =
        client.query("SELECT throwIf(number = 3000000) FROM numbers(4000000)").fetch::<u8>().unwrap();
    let mut read = 0_u32;
    let error = loop {
        match rows.next().await {
            Ok(Some(_)) => read += 1,
            Ok(None) => panic!("the answer ended after {read} rows without an error"),
            Err(error) => break error.to_string(),
        }
    };
    assert!(read > 0, "the error came before the rows: {error}");
    assert!(error.contains("Code: 395."), "{error}");
}

#[tokio::test]
async fn an_insert_that_is_given_up_stores_nothing() {
    let engine = Engine::start();
    let client = with_table(&engine).await;
    let mut cut = client.insert::<Reading>("readings").await.unwrap();
    for number in 0..20_000 {
        cut.write(&reading(number)).await.unwrap();
    }
    drop(cut);
    insert(&client, [reading(1)]).await.unwrap();
    let count = client.query("SELECT count() FROM readings").fetch_one::<u64>().await.unwrap();
    assert_eq!(count, 1);
}

#[tokio::test]
async fn many_readers_and_writers_do_not_disturb_each_other() {
    let engine = Engine::start();
    let client = with_table(&engine).await;
    let writers = (0..6_u64).map(|writer| {
        let client = client.clone();
        tokio::spawn(async move {
            for batch in 0..10 {
                let first = writer * 100_000 + batch * 1_000;
                insert(&client, (first..first + 1_000).map(reading)).await.unwrap();
            }
        })
    });
    let readers = (1..=6_u64).map(|reader| {
        let client = client.clone();
        tokio::spawn(async move {
            for round in 0..20 {
                let rows = 1 + reader * 997 * (round + 1);
                let numbers = client
                    .query("SELECT number + ? FROM numbers(?) ORDER BY number")
                    .bind(reader)
                    .bind(rows)
                    .fetch_all::<u64>()
                    .await
                    .unwrap();
                assert!(numbers.into_iter().eq(reader..reader + rows), "reader {reader} got another's rows");
            }
        })
    });
    let tasks: Vec<_> = writers.chain(readers).collect();
    for task in tasks {
        task.await.unwrap();
    }
    let count = client.query("SELECT count() FROM readings").fetch_one::<u64>().await.unwrap();
    assert_eq!(count, 60_000);
}
