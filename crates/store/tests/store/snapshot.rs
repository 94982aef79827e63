//! Snapshots: a long aggregate is loaded by a shorter way, and is the same by every way.

use async_nats::jetstream::kv;
use domain::instance::{Event, InstanceDecider, Restarted, State};
use domain::{CommandId, InstanceId};
use store::testing::TestServer;
use store::{Aggregate, Store, Stored, Write};

use crate::given::{created, given, instance_id, metadata};

/// JetStream takes at most 1000 messages in one atomic batch.
const BATCH_EVENTS: u64 = 1000;

/// Appends restarts up to a generation, each batch under a command of its own; gives the first batch's command and
/// its last sequence.
async fn restart_until(
    store: &Store,
    id: InstanceId,
    from: &Aggregate<InstanceDecider>,
    last: u64,
) -> (CommandId, u64) {
    let mut sequence = from.last_sequence;
    let mut generation = from.state.live().map_or(1, |live| live.generation);
    let mut first = None;
    while generation < last {
        let until = last.min(generation + BATCH_EVENTS);
        let events: Vec<Event> =
            (generation + 1..=until).map(|generation| Event::Restarted(Restarted { generation })).collect();
        let metadata = metadata();
        let write = Write::new::<InstanceDecider>(&id, sequence, &events);
        sequence = store.append(&[write], &metadata).await.unwrap();
        first.get_or_insert((metadata.command_id, sequence));
        generation = until;
    }
    first.unwrap()
}

/// Loads on a connection of its own: it remembers nothing, and has only the bucket.
async fn load_afresh(server: &TestServer, id: InstanceId) -> Aggregate<InstanceDecider> {
    load(&server.store().await, id).await
}

async fn load(store: &Store, id: InstanceId) -> Aggregate<InstanceDecider> {
    store.load::<InstanceDecider>(&id, given().command_id).await.unwrap()
}

/// An instance of so many events.
async fn long(store: &Store, events: u64) -> (InstanceId, CommandId, u64) {
    let id = instance_id();
    let create = Write::new::<InstanceDecider>(&id, 0, &[created("everything")]);
    store.append(&[create], &metadata()).await.unwrap();
    let (command, sequence) = restart_until(store, id, &load(store, id).await, events).await;
    (id, command, sequence)
}

async fn snapshots(server: &TestServer) -> kv::Store {
    let nats = async_nats::jetstream::new(server.nats().await);
    nats.get_key_value("snapshots").await.unwrap()
}

fn key(id: InstanceId) -> String {
    format!("instance.v{}.{id}", InstanceDecider::SNAPSHOT_VERSION)
}

fn same(one: &Aggregate<InstanceDecider>, other: &Aggregate<InstanceDecider>) {
    assert_eq!(one.state, other.state);
    assert_eq!(one.last_sequence, other.last_sequence);
}

#[tokio::test]
async fn an_aggregate_of_a_hundred_thousand_events_is_loaded_from_its_snapshot() {
    let server = TestServer::start().await;
    let store = server.store().await;
    let (id, _, _) = long(&store, 100_000).await;
    let bucket = snapshots(&server).await;
    assert!(bucket.get(key(id)).await.unwrap().is_none(), "only a load writes it");

    let whole = load(&store, id).await;
    assert_eq!(whole.state.live().unwrap().generation, 100_000);
    let snapshot = bucket.entry(key(id)).await.unwrap().unwrap();
    let other = server.store().await;
    let started = std::time::Instant::now();
    same(&load(&other, id).await, &whole);
    println!("100000 events loaded in {:?}", started.elapsed());

    // What came after it is folded on top of it, and it is not made anew for a few events.
    restart_until(&store, id, &whole, 100_010).await;
    let later = load(&store, id).await;
    assert_eq!(later.state.live().unwrap().generation, 100_010);
    assert_eq!(bucket.entry(key(id)).await.unwrap().unwrap().revision, snapshot.revision);
    restart_until(&store, id, &later, 101_000).await;
    assert_eq!(load(&other, id).await.state.live().unwrap().generation, 101_000);
    assert_ne!(bucket.entry(key(id)).await.unwrap().unwrap().revision, snapshot.revision);
}

#[tokio::test]
async fn a_snapshot_never_hides_what_a_command_has_led_to() {
    let server = TestServer::start().await;
    let store = server.store().await;
    let (id, first_command, first_sequence) = long(&store, 3000).await;
    load(&store, id).await;
    assert!(snapshots(&server).await.get(key(id)).await.unwrap().is_some());
    for store in [store, server.store().await] {
        let again = store.load::<InstanceDecider>(&id, first_command).await.unwrap();
        assert_eq!(again.done_by_command, Some(first_sequence));
        assert_eq!(again.state.live().unwrap().generation, 3000);
    }
}

#[tokio::test]
async fn a_snapshot_that_does_not_hold_is_passed_over_and_replaced() {
    let server = TestServer::start().await;
    let store = server.store().await;
    let (id, _, _) = long(&store, 2000).await;
    let (other, _, _) = long(&store, 3000).await;
    let bucket = snapshots(&server).await;
    let whole = load(&store, id).await;
    load(&store, other).await;
    let good = bucket.get(key(id)).await.unwrap().unwrap();
    let foreign = bucket.get(key(other)).await.unwrap().unwrap();
    let mut damaged = good.to_vec();
    *damaged.last_mut().unwrap() ^= 1;

    for bad in [damaged, good[..40].to_vec(), vec![], b"no snapshot at all".to_vec(), foreign.to_vec()] {
        bucket.put(key(id), bad.into()).await.unwrap();
        same(&load_afresh(&server, id).await, &whole);
        assert_eq!(bucket.get(key(id)).await.unwrap().unwrap(), good, "it was replaced");
    }

    // A program with another form of the state has a place of its own.
    bucket.delete(key(id)).await.unwrap();
    bucket.put(format!("instance.v0.{id}"), foreign).await.unwrap();
    same(&load_afresh(&server, id).await, &whole);
    assert_eq!(bucket.get(key(id)).await.unwrap().unwrap(), good);
}

#[tokio::test]
async fn a_snapshot_of_a_stream_that_was_made_anew_is_not_believed() {
    let server = TestServer::start().await;
    let store = server.store().await;
    let (id, _, _) = long(&store, 2000).await;
    let log = load(&store, id).await;
    server.delete_stream("EVENTS").await;
    store.provision(1).await.unwrap();

    assert_eq!(load(&store, id).await.state, State::Absent);
    let create = Write::new::<InstanceDecider>(&id, 0, &[created("another")]);
    store.append(&[create], &metadata()).await.unwrap();
    restart_until(&store, id, &load(&store, id).await, 2000).await;
    let anew = load(&store, id).await;
    assert_eq!(anew.last_sequence, log.last_sequence, "the old snapshot fits by sequence");
    assert_eq!(anew.state.live().unwrap().name.as_str(), "another");
    same(&load_afresh(&server, id).await, &anew);
}
