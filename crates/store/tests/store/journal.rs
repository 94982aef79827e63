//! Appending and loading: expected sequences, atomic batches, nothing lost at a kill.

use domain::Name;
use domain::claim::{self, Claim, ClaimDecider, InstanceNames};
use domain::instance::{Event, InstanceDecider, State, Stopped};
use store::testing::TestServer;
use store::{AppendError, Write};

use crate::given::{created, given, instance_id, metadata};

#[tokio::test]
async fn what_was_appended_is_loaded() {
    let server = TestServer::start().await;
    let store = server.store().await;
    let (id, given) = (instance_id(), given());
    let events = [created("everything"), Event::Stopped(Stopped {})];
    let sequence =
        store.append(&[Write::new::<InstanceDecider>(&id, 0, &events)], &given.metadata()).await.unwrap();

    let loaded = store.load::<InstanceDecider>(&id, given.command_id).await.unwrap();
    assert!(matches!(loaded.state, State::Stopped(_)), "{:?}", loaded.state);
    assert_eq!(loaded.last_sequence, sequence);
    assert_eq!(loaded.done_by_command, Some(sequence), "the command finds its own events");

    let other = store.load::<InstanceDecider>(&id, crate::given::given().command_id).await.unwrap();
    assert_eq!(other.done_by_command, None);
    let absent = store.load::<InstanceDecider>(&instance_id(), given.command_id).await.unwrap();
    assert_eq!((absent.state, absent.last_sequence), (State::Absent, 0));
}

#[tokio::test]
async fn whoever_decided_on_a_state_that_has_passed_meets_a_conflict() {
    let server = TestServer::start().await;
    let store = server.store().await;
    let id = instance_id();
    let create = [Write::new::<InstanceDecider>(&id, 0, &[created("everything")])];
    let sequence = store.append(&create, &metadata()).await.unwrap();
    let again = store.append(&create, &metadata()).await;
    assert!(matches!(again, Err(AppendError::Conflict)), "{again:?}");

    let stop = Write::new::<InstanceDecider>(&id, sequence, &[Event::Stopped(Stopped {})]);
    store.append(&[stop], &metadata()).await.unwrap();
}

#[tokio::test]
async fn a_batch_over_two_aggregates_is_appended_whole_or_not_at_all() {
    let server = TestServer::start().await;
    let store = server.store().await;
    let name: Name = "everything".parse().unwrap();
    let (first, second) = (instance_id(), instance_id());
    let create = |id| {
        let claimed = claim::Event::<InstanceNames>::Claimed(Claim { holder: id });
        [
            Write::new::<ClaimDecider<InstanceNames>>(&name, 0, &[claimed]),
            Write::new::<InstanceDecider>(&id, 0, &[created("everything")]),
        ]
    };
    let sequence = store.append(&create(first), &metadata()).await.unwrap();
    assert_eq!(sequence, 2);

    // The second instance's own subject is free, its name is not: nothing of it may be there.
    let refused = store.append(&create(second), &metadata()).await;
    assert!(matches!(refused, Err(AppendError::Conflict)), "{refused:?}");
    let second = store.load::<InstanceDecider>(&second, given().command_id).await.unwrap();
    assert_eq!(second.state, State::Absent);
    assert_eq!(store.last_event().await.unwrap(), 2);
}

#[tokio::test]
async fn those_who_append_at_the_same_time_meet_in_one_batch_and_each_learns_its_own_sequence() {
    let server = TestServer::start().await;
    let store = server.store().await;
    let taken = instance_id();
    let create =
        |id| [Write::new::<InstanceDecider>(&id, 0, &[created("everything"), Event::Stopped(Stopped {})])];
    store.append(&create(taken), &metadata()).await.unwrap();

    // One in ten has read a state that has passed. Their conflicts are nobody else's.
    let ids: Vec<_> = (0..200).map(|number| if number % 10 == 7 { taken } else { instance_id() }).collect();
    let appends = ids.iter().map(|id| {
        let (store, create) = (&store, create(*id));
        async move { store.append(&create, &metadata()).await }
    });
    let appended = futures_util::future::join_all(appends).await;
    for (id, appended) in ids.into_iter().zip(appended) {
        let loaded = store.load::<InstanceDecider>(&id, given().command_id).await.unwrap();
        assert!(matches!(loaded.state, State::Stopped(_)), "{:?}", loaded.state);
        match appended {
            Ok(sequence) => assert_eq!(sequence, loaded.last_sequence),
            Err(AppendError::Conflict) => assert_eq!((id, loaded.last_sequence), (taken, 2)),
            Err(error) => panic!("{error}"),
        }
    }
    assert_eq!(store.last_event().await.unwrap(), 2 * 181);
}

#[tokio::test]
async fn more_events_than_one_page_are_loaded_in_order() {
    let server = TestServer::start().await;
    let store = server.store().await;
    let id = instance_id();
    let mut sequence = store
        .append(&[Write::new::<InstanceDecider>(&id, 0, &[created("everything")])], &metadata())
        .await
        .unwrap();
    let mut generation = 1;
    while generation < 1100 {
        // JetStream takes at most 1000 messages in one atomic batch.
        let events: Vec<Event> = (0..275)
            .map(|step| Event::Restarted(domain::instance::Restarted { generation: generation + step + 1 }))
            .collect();
        generation += 275;
        let write = Write::new::<InstanceDecider>(&id, sequence, &events);
        sequence = store.append(&[write], &metadata()).await.unwrap();
    }
    let loaded = store.load::<InstanceDecider>(&id, given().command_id).await.unwrap();
    assert_eq!(loaded.last_sequence, sequence);
    assert_eq!(loaded.state.live().unwrap().generation, generation);
}

#[tokio::test]
async fn acknowledged_events_survive_a_kill() {
    let mut server = TestServer::start().await;
    let store = server.store().await;
    let id = instance_id();
    let create = [Write::new::<InstanceDecider>(&id, 0, &[created("everything")])];
    let sequence = store.append(&create, &metadata()).await.unwrap();
    server.kill();
    server.restart().await;
    let store = server.store().await;
    let loaded = store.load::<InstanceDecider>(&id, given().command_id).await.unwrap();
    assert_eq!(loaded.last_sequence, sequence);
}
