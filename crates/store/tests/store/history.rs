//! Looking back: tails that end, moments, causes and consequences.

use domain::instance::{Event, InstanceDecider, Restarted, Stopped};
use domain::{Actor, InstanceId, Metadata};
use jiff::Timestamp;
use store::testing::TestServer;
use store::{End, Filter, Start, Store, Tail, TraceLimits, Write};

use crate::given::{created, instance_id, metadata};

const LIMITS: TraceLimits = TraceLimits { causes_max: 8, look_ahead_events: 100, consequences_max: 100 };

async fn append(store: &Store, id: InstanceId, at: u64, events: &[Event], metadata: &Metadata) -> u64 {
    store.append(&[Write::new::<InstanceDecider>(&id, at, events)], metadata).await.unwrap()
}

fn caused_by(sequence: u64) -> Metadata {
    let actor = Actor::Role("decider".to_owned());
    Metadata { causation_id: format!("event:{sequence}"), actor, ..metadata() }
}

async fn sequences(store: &Store, tail: &Tail) -> Vec<u64> {
    let (mut events, mut found) = (store.tail(tail).await.unwrap(), vec![]);
    while let Some(event) = events.next().await.unwrap() {
        found.push(event.sequence);
    }
    found
}

#[tokio::test]
async fn a_tail_with_an_end_ends_whatever_its_filter_lets_through() {
    let server = TestServer::start().await;
    let store = server.store().await;
    let (first, second) = (instance_id(), instance_id());
    append(&store, first, 0, &[created("first"), Event::Stopped(Stopped {})], &metadata()).await;
    append(&store, second, 0, &[created("second"), Event::Stopped(Stopped {})], &caused_by(2)).await;

    let tail = |filter: Filter, last| Tail { end: Some(End::Sequence(last)), ..Tail::all(filter) };
    let all = Filter::default();
    assert_eq!(sequences(&store, &tail(all.clone(), 3)).await, [1, 2, 3]);
    assert_eq!(sequences(&store, &tail(all.clone(), 0)).await, [] as [u64; 0]);
    let created_only = Filter { event: "instance.created".parse().ok(), ..all.clone() };
    assert_eq!(sequences(&store, &tail(created_only, 4)).await, [1, 3]);
    let first_only = Filter { id: first.to_string().parse().ok(), ..all.clone() };
    assert_eq!(sequences(&store, &tail(first_only.clone(), 4)).await, [1, 2], "nothing comes after it");
    let decider_only = Filter { actor: "role:decider".parse().ok(), ..all.clone() };
    assert_eq!(sequences(&store, &tail(decider_only, 4)).await, [3, 4]);

    // An end that is still to come: what happens until then is seen, and what passes no filter ends it, too.
    let awaiting = tail(first_only, 6);
    let awaited = sequences(&store, &awaiting);
    let appending = async {
        append(&store, first, 2, &[Event::Started(domain::instance::Started { generation: 2 })], &metadata())
            .await;
        append(&store, instance_id(), 0, &[created("third")], &metadata()).await;
    };
    assert_eq!(tokio::join!(awaited, appending).0, [1, 2, 5]);
    let soon = Timestamp::now() + jiff::SignedDuration::from_millis(50);
    let until_soon = Tail { end: Some(End::Time(soon)), ..Tail::all(all) };
    assert_eq!(sequences(&store, &until_soon).await, [1, 2, 3, 4, 5, 6]);
}

#[tokio::test]
async fn moments_divide_the_log_by_when_it_stored_its_events() {
    let server = TestServer::start().await;
    let store = server.store().await;
    assert_eq!(store.sequence_at(Timestamp::now()).await.unwrap(), 1, "of an empty log");
    // What an event says of itself does not count.
    let long_ago = Metadata { at: "2001-01-01T00:00:00Z".parse().unwrap(), ..metadata() };
    let mut last = append(&store, instance_id(), 0, &[created("first")], &long_ago).await;
    for name in ["second", "third"] {
        last = append(&store, instance_id(), 0, &[created(name)], &long_ago).await;
    }
    for sequence in 1..=last {
        let event = store.event(sequence).await.unwrap().unwrap();
        assert_eq!(store.sequence_at(event.stored_at).await.unwrap(), sequence);
    }
    assert_eq!(store.sequence_at(Timestamp::now()).await.unwrap(), last + 1);
    assert_eq!(store.event(last + 1).await.unwrap(), None);
    let second = store.event(2).await.unwrap().unwrap();
    let since = Tail {
        start: Start::Time(second.stored_at),
        end: Some(End::Time(Timestamp::now())),
        filter: Filter::default(),
    };
    assert_eq!(sequences(&store, &since).await, [2, 3]);
}

#[tokio::test]
async fn an_event_is_traced_to_its_root_and_to_what_it_led_to() {
    let server = TestServer::start().await;
    let store = server.store().await;
    let (id, other) = (instance_id(), instance_id());
    append(&store, id, 0, &[created("first")], &metadata()).await;
    append(&store, id, 1, &[Event::Restarted(Restarted { generation: 2 })], &caused_by(1)).await;
    let several = [3, 4, 5].map(|generation| Event::Restarted(Restarted { generation }));
    append(&store, id, 2, &several, &caused_by(2)).await;
    append(&store, other, 0, &[created("second")], &metadata()).await;
    append(&store, id, 5, &[Event::Stopped(Stopped {})], &caused_by(4)).await;
    append(&store, other, 6, &[Event::Stopped(Stopped {})], &caused_by(7)).await;

    let trace = store.trace(4, LIMITS).await.unwrap().unwrap();
    let numbers = |events: &[store::StoredEvent]| events.iter().map(|e| e.sequence).collect::<Vec<_>>();
    assert_eq!((numbers(&trace.causes), trace.causes_complete), (vec![1, 2], true));
    assert_eq!(numbers(&trace.same_command), [3, 5]);
    let led_to: Vec<_> = trace.consequences.iter().map(|(cause, event)| (*cause, event.sequence)).collect();
    assert_eq!(led_to, [(4, 7), (7, 8)]);
    assert_eq!((trace.looked_through, trace.last_event), (8, 8));

    let near = TraceLimits { causes_max: 1, look_ahead_events: 3, consequences_max: 100 };
    let trace = store.trace(4, near).await.unwrap().unwrap();
    assert_eq!((numbers(&trace.causes), trace.causes_complete), (vec![2], false));
    assert_eq!((trace.consequences.len(), trace.looked_through), (1, 7), "it says how far it has looked");
    assert!(store.trace(9, LIMITS).await.unwrap().is_none());
}

#[tokio::test]
async fn a_long_past_is_folded_up_to_a_moment() {
    let server = TestServer::start().await;
    let store = server.store().await;
    let id = instance_id();
    let mut last = append(&store, id, 0, &[created("first")], &metadata()).await;
    while last < 5000 {
        let restarts: Vec<_> =
            (1..=900).map(|step| Event::Restarted(Restarted { generation: last + step })).collect();
        last = append(&store, id, last, &restarts, &metadata()).await;
    }
    append(&store, instance_id(), 0, &[created("second")], &metadata()).await;
    for through in [0, 1, 1999, 2000, 2001, 4000, last, last + 1] {
        let past = store.row_at::<views::Instances>("instance", id, through).await.unwrap();
        let place = |place: Option<store::Place>| place.map(|place| place.sequence);
        assert_eq!(place(past.first), Some(1));
        assert_eq!(place(past.last).unwrap_or_default(), through.min(last));
        assert_eq!(past.folded.map(|row| row.sequence).unwrap_or_default(), through.min(last));
    }
    let never = store.row_at::<views::Instances>("instance", instance_id(), last).await.unwrap();
    assert_eq!((never.first, never.last, never.folded), (None, None, None));
}
