//! Rows by their places, as who follows a log asks for them.

use access_log::{ByPlace, Level, Place, TraceFilter, TraceRecord};

use crate::access_log_client::{at, migrated, record};
use crate::harness::Engine;

#[tokio::test]
async fn runs_of_places_are_read_in_order_whatever_the_times() {
    let engine = Engine::start();
    let client = migrated(&engine).await;
    // The clocks of gateways differ: what was stored later may have happened before.
    let row = |sequence: u64, index: u32| TraceRecord {
        place: Place { sequence, index },
        ..record(at(1000 - 10 * sequence as i64 + i64::from(index)), 1)
    };
    let rows: Vec<_> = (1..=6).flat_map(|sequence| (0..3).map(move |index| row(sequence, index))).collect();
    for batch in rows.chunks(6) {
        client.insert_traces(&format!("TRACES {}", batch[0].place), batch, |_| 7).await.unwrap();
    }
    let without_place = TraceRecord { place: Place::default(), ..record(at(1), 1) };
    client.insert_traces("TRACES old", &[without_place], |_| 7).await.unwrap();
    let all = TraceFilter::default();
    let run = async |from, before| TraceRecord::run(&client, &all, from, before).await.unwrap().rows;
    assert_eq!(run(Place::default(), 100).await, rows, "what has no place is in no run");
    assert_eq!(run(Place { sequence: 2, index: 1 }, 4).await, rows[4..9]);
    assert_eq!(run(Place { sequence: 3, index: 3 }, 5).await, rows[9..12]);
    assert_eq!(run(Place::first_of(6), 6).await, []);
    let newest = TraceRecord::newest(&client, &all, 4, 4).await.unwrap();
    let expected = [row(1, 0), row(1, 1), row(1, 2), row(2, 2)];
    assert_eq!(newest, expected, "newest by time, in the order of places");
    let errors = TraceFilter { level: Some(Level::Error), ..all.clone() };
    assert_eq!(TraceRecord::newest(&client, &errors, 100, 4).await.unwrap(), []);
}

#[tokio::test]
async fn a_run_of_large_rows_ends_early_and_is_gone_on_with() {
    const ROWS: u32 = 900;
    let engine = Engine::start();
    let client = migrated(&engine).await;
    let row = |index: u32| TraceRecord {
        place: Place { sequence: 1, index },
        body: "x".repeat(24 * 1024),
        ..record(at(1), 1)
    };
    let rows: Vec<_> = (0..ROWS).map(row).collect();
    client.insert_traces("TRACES 1", &rows, |_| 7).await.unwrap();
    let all = TraceFilter::default();
    let (mut found, mut runs, mut more) = (vec![], 0, true);
    while more {
        let from = found.last().map_or(Place::first_of(1), |last: &TraceRecord| last.place.next());
        let run = TraceRecord::run(&client, &all, from, 2).await.unwrap();
        found.extend(run.rows);
        (runs, more) = (runs + 1, run.more);
    }
    assert!(runs > 1, "so many rows of 24 KiB are more than one run");
    assert!(found == rows);
}
