//! One long aggregate: what it was at a moment, and what it is, beside reading its events and doing nothing with them.

use std::time::Instant;

use domain::InstanceId;
use domain::instance::{Event, InstanceDecider, Restarted};
use store::Store;
use store::testing::{TestServer, append_each, given};
use uuid::Uuid;
use views::Instances;

use crate::figure::{Figures, Goal, median, quantile};
use crate::peer::{Raw, milliseconds};
use crate::replay::created;

/// How many events the aggregate has.
const EVENTS: u64 = 100_000;
/// JetStream takes a thousand messages in one atomic batch.
const BATCH_EVENTS: u64 = 1000;
const ROUNDS: usize = 5;
const LOADS: usize = 50;
/// How long a load from the snapshot may take, in milliseconds.
const LOAD_MS_MAX: f64 = 10.0;

#[expect(clippy::cast_precision_loss, reason = "a count of events")]
pub(crate) async fn run(figures: &mut Figures) {
    let server = TestServer::start().await;
    let store = server.store().await;
    let (id, last) = fill(&store).await;
    let raw = Raw::connect(&server).await;
    let (mut read, mut told) = (vec![], vec![]);
    for _ in 0..ROUNDS {
        read.push(EVENTS as f64 / raw.consume_events(&format!("events.instance.{id}")).await * 1000.0);
        let started = Instant::now();
        let past = store.row_at::<Instances>("instance", id, last).await.expect("the past can be told");
        told.push(milliseconds(started));
        assert_eq!(past.folded.map(|row| row.sequence), Some(last), "the whole past was told");
    }
    let (read, told) = (median(&read), median(&told));
    figures.add("state: bare ordered consumer, 100,000 events", read, "ms", Goal::None);
    figures.add("state: state --at, 100,000 events", told, "ms", Goal::None);
    figures.add("state: ratio", read / told, "", Goal::None);

    let (first, loads) = load(&store, id).await;
    figures.add("state: load without a snapshot, 100,000 events", first, "ms", Goal::None);
    figures.add("state: load p50", quantile(&loads, 0.5), "ms", Goal::AtMost(LOAD_MS_MAX));
    figures.add("state: load p99", quantile(&loads, 0.99), "ms", Goal::None);
}

/// The first load, which leaves a snapshot behind, and those after it.
async fn load(store: &Store, id: InstanceId) -> (f64, Vec<f64>) {
    let mut times = vec![];
    for _ in 0..=LOADS {
        let (command, started) = (given().command_id, Instant::now());
        let loaded = store.load::<InstanceDecider>(&id, command).await.expect("it can be loaded");
        times.push(milliseconds(started));
        assert_eq!(loaded.state.live().map(|live| live.generation), Some(EVENTS), "all of it was loaded");
    }
    (times.remove(0), times)
}

/// An instance of so many events, each by a command of its own.
async fn fill(store: &Store) -> (InstanceId, u64) {
    let id = InstanceId(Uuid::now_v7());
    let mut events = vec![created("long".parse().expect("a legal name"))];
    events.extend((2..=EVENTS).map(|generation| Event::Restarted(Restarted { generation })));
    let mut last = 0;
    for batch in events.chunks(usize::try_from(BATCH_EVENTS).expect("a small number")) {
        last = append_each::<InstanceDecider>(store, &id, last, batch).await;
    }
    (id, last)
}
