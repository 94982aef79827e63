//! Taking over the events of another log.

use domain::instance::{Event, InstanceDecider, Stopped};
use jiff::{SignedDuration, Timestamp};
use store::archive::EventRecord;
use store::testing::TestServer;
use store::{AppendError, Compared, Store, Write};

use crate::given::{created, instance_id, metadata};

async fn records(store: &Store) -> Vec<EventRecord> {
    store.events_from(1, 1000).await.unwrap().into_iter().map(EventRecord::from).collect()
}

#[tokio::test]
async fn events_of_another_log_are_appended_where_they_stood() {
    let (source, target) = (TestServer::start().await, TestServer::start().await);
    let (source, target) = (source.store().await, target.store().await);
    let id = instance_id();
    let events = [created("everything"), Event::Stopped(Stopped {})];
    source.append(&[Write::new::<InstanceDecider>(&id, 0, &events)], &metadata()).await.unwrap();
    let past = records(&source).await;

    assert_eq!(target.compare(&past).await.unwrap(), Compared::Present(0));
    assert_eq!(target.compare(&past[1..]).await.unwrap(), Compared::Gap { expected: 1, found: 2 });
    let early = target.append_imported(&past[1..]).await;
    assert!(matches!(early, Err(AppendError::Conflict)), "{early:?}");
    target.append_imported(&past).await.unwrap();
    assert_eq!(target.compare(&past).await.unwrap(), Compared::Present(2));
    assert_eq!(records(&target).await, past, "the same, and stored when they were stored there");
    let again = target.append_imported(&past).await;
    assert!(matches!(again, Err(AppendError::Conflict)), "{again:?}");

    let mut other = past.clone();
    other[1].headers[0].1.push('x');
    assert_eq!(target.compare(&other).await.unwrap(), Compared::Differs { sequence: 2 });

    // A moment between what is imported and what happens here.
    let between = Timestamp::now();
    target.append(&[Write::new::<InstanceDecider>(&instance_id(), 0, &events)], &metadata()).await.unwrap();
    assert_eq!(target.sequence_at(between).await.unwrap(), 3);
    assert_eq!(target.sequence_at(past[1].stored_at).await.unwrap(), 2);
    assert_eq!(target.sequence_at(Timestamp::UNIX_EPOCH).await.unwrap(), 1);
}

#[tokio::test]
async fn commands_are_held_back_and_let_go() {
    let server = TestServer::start().await;
    let store = server.store().await;
    assert_eq!(store.commands_in_flight().await.unwrap(), 0);
    store.hold_commands(Timestamp::now() + SignedDuration::from_mins(5)).await.unwrap();
    store.hold_commands(Timestamp::now() + SignedDuration::from_mins(5)).await.unwrap();
    store.let_commands_go().await.unwrap();
    store.let_commands_go().await.unwrap();
}

#[tokio::test]
async fn keys_are_listed_and_kept_but_not_brought_back() {
    let (source, target) = (TestServer::start().await, TestServer::start().await);
    let (source, target) = (source.store().await, target.store().await);
    let (kept, shredded) = (instance_id().0, instance_id().0);
    for owner in [kept, shredded] {
        source.vault().seal(owner, b"secret").await.unwrap();
    }
    let keys = source.wrapped_keys(1).await.unwrap();
    assert_eq!((keys.keys.len(), keys.next), (2, None));
    source.keys().shred(shredded).await.unwrap();
    assert_eq!(source.wrapped_keys(1).await.unwrap().keys.len(), 1, "what was shredded is not there");

    target.vault().seal(shredded, b"secret").await.unwrap();
    target.keys().shred(shredded).await.unwrap();
    let mut added = vec![];
    for key in keys.keys.iter().chain(&keys.keys) {
        added.push((key.owner.clone(), target.keep_key(key.clone()).await.unwrap()));
    }
    let of = |owner: uuid::Uuid| -> Vec<bool> {
        added.iter().filter(|(name, _)| *name == owner.to_string()).map(|(_, added)| *added).collect()
    };
    assert_eq!((of(kept), of(shredded)), (vec![true, false], vec![false, false]));
}
