//! Views: folded into a bucket, followed in memory, the same after a crash.

use std::sync::Arc;
use std::time::Duration;

use domain::instance::{Deleted, Event, InstanceDecider, Restarted, Stopped};
use parking_lot::Mutex;
use store::testing::TestServer;
use store::{Filter, ProjectError, Store, Tail, Write};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use views::{InstanceRow, Instances, Phase};

use crate::given::{created, instance_id, metadata};

const WAIT: Duration = Duration::from_secs(60);

/// Projects the view, again after every lost connection; the receiver hears when it has caught up.
fn project(store: Store) -> (JoinHandle<()>, oneshot::Receiver<()>) {
    let (caught_up, is_caught_up) = oneshot::channel();
    let task = tokio::spawn(async move {
        let mut caught_up = Some(caught_up);
        loop {
            let on_caught_up = || {
                // Whoever does not wait for it has dropped the receiver.
                let _ = caught_up.take().map(|caught_up| caught_up.send(()));
            };
            let ended = store.project::<Instances>(on_caught_up).await;
            assert!(matches!(ended, Err(ProjectError::Unavailable(_))), "{ended:?}");
        }
    });
    (task, is_caught_up)
}

#[tokio::test]
async fn a_follower_shows_what_was_appended() {
    let server = TestServer::start().await;
    let store = server.store().await;
    let (projection, _caught_up) = project(server.store().await);
    let seen = Arc::new(Mutex::new(Vec::new()));
    let log = seen.clone();
    let view = store
        .follow::<Instances>(move |id, row| log.lock().push((id, row.map(|row| row.phase))))
        .await
        .unwrap();

    let id = instance_id();
    let create = Write::new::<InstanceDecider>(&id, 0, &[created("everything")]);
    let sequence = store.append(&[create], &metadata()).await.unwrap();
    view.reached(sequence, WAIT).await.unwrap();
    assert_eq!(view.get(id.0).unwrap().name.as_str(), "everything");

    let stop = Write::new::<InstanceDecider>(&id, sequence, &[Event::Stopped(Stopped {})]);
    let sequence = store.append(&[stop], &metadata()).await.unwrap();
    view.reached(sequence, WAIT).await.unwrap();
    let delete = Write::new::<InstanceDecider>(&id, sequence, &[Event::Deleted(Deleted {})]);
    let sequence = store.append(&[delete], &metadata()).await.unwrap();
    view.reached(sequence, WAIT).await.unwrap();
    assert!(view.rows().is_empty());
    let phases = [Some(Phase::Starting), Some(Phase::Stopped), None];
    assert_eq!(*seen.lock(), phases.map(|phase| (id.0, phase)));
    projection.abort();
}

#[tokio::test]
async fn a_projection_that_was_killed_goes_on_where_it_was() {
    let server = TestServer::start().await;
    let store = server.store().await;
    let view = store.follow::<Instances>(|_, _| {}).await.unwrap();
    let (projection, caught_up) = project(server.store().await);
    caught_up.await.unwrap();
    let first = instance_id();
    let create = Write::new::<InstanceDecider>(&first, 0, &[created("first")]);
    let sequence = store.append(&[create], &metadata()).await.unwrap();
    view.reached(sequence, WAIT).await.unwrap();
    projection.abort();

    let second = instance_id();
    let create = Write::new::<InstanceDecider>(&second, 0, &[created("second")]);
    let sequence = store.append(&[create], &metadata()).await.unwrap();
    let (projection, caught_up) = project(server.store().await);
    caught_up.await.unwrap();
    view.reached(sequence, WAIT).await.unwrap();
    let mut names: Vec<String> = view.rows().iter().map(|row| row.name.to_string()).collect();
    names.sort();
    assert_eq!(names, ["first", "second"]);
    projection.abort();
}

#[tokio::test]
async fn followers_and_projection_outlive_a_restart_of_the_server() {
    let mut server = TestServer::start().await;
    let store = server.store().await;
    let view = store.follow::<Instances>(|_, _| {}).await.unwrap();
    let told = Arc::new(Mutex::new(Vec::new()));
    let log = told.clone();
    let on_change = move |_, row: Option<&Arc<InstanceRow>>| {
        log.lock().push(row.map(|row| row.name.to_string()));
    };
    let changes = store.follow_changes::<Instances>(on_change).await.unwrap();
    let (projection, caught_up) = project(server.store().await);
    caught_up.await.unwrap();
    let create = Write::new::<InstanceDecider>(&instance_id(), 0, &[created("before")]);
    let sequence = store.append(&[create], &metadata()).await.unwrap();
    changes.reached(sequence, WAIT).await.unwrap();
    server.kill();
    server.restart().await;

    // A writer of its own: it does not share the connections that have to find the server again.
    let writer = server.store().await;
    let id = instance_id();
    let create = Write::new::<InstanceDecider>(&id, 0, &[created("everything")]);
    let sequence = writer.append(&[create], &metadata()).await.unwrap();
    let reached = view.reached(sequence, Duration::from_secs(60)).await;
    assert!(!projection.is_finished(), "the projection has ended");
    reached.unwrap();
    changes.reached(sequence, WAIT).await.unwrap();
    let once = ["before", "everything"].map(|name| Some(name.to_owned()));
    assert_eq!(*told.lock(), once, "what has not changed is not told again");
    projection.abort();
}

#[tokio::test]
async fn a_tail_gives_the_events_of_its_filter_in_order() {
    let server = TestServer::start().await;
    let store = server.store().await;
    let (first, second) = (instance_id(), instance_id());
    for (id, name) in [(first, "first"), (second, "second")] {
        let events = [created(name), Event::Stopped(Stopped {})];
        store.append(&[Write::new::<InstanceDecider>(&id, 0, &events)], &metadata()).await.unwrap();
    }
    let id = Some(second.to_string().parse().unwrap());
    let filter = Filter { aggregate: Some("instance".parse().unwrap()), id, ..Filter::default() };
    let mut events = store.tail(&Tail::all(filter)).await.unwrap();
    for (sequence, name) in [(3, "instance.created"), (4, "instance.stopped")] {
        let recorded = events.next_recorded().await.unwrap().unwrap();
        assert_eq!((recorded.sequence, recorded.event.name()), (sequence, name));
        assert_eq!(recorded.event.aggregate_id(), second.to_string());
    }
}

#[tokio::test]
async fn two_projectors_of_one_view_do_not_undo_each_other() {
    let server = TestServer::start().await;
    let store = server.store().await;
    let view = store.follow::<Instances>(|_, _| {}).await.unwrap();
    let (first, _first) = project(server.store().await);
    let (second, _second) = project(server.store().await);
    let id = instance_id();
    let mut sequence = store
        .append(&[Write::new::<InstanceDecider>(&id, 0, &[created("everything")])], &metadata())
        .await
        .unwrap();
    for generation in 2..50 {
        let restarted = Event::Restarted(Restarted { generation });
        let write = Write::new::<InstanceDecider>(&id, sequence, &[restarted]);
        sequence = store.append(&[write], &metadata()).await.unwrap();
    }
    view.reached(sequence, WAIT).await.unwrap();
    let row = view.get(id.0).unwrap();
    assert_eq!((row.generation, row.revision, row.sequence), (49, 49, sequence));
    first.abort();
    second.abort();
}

#[tokio::test]
async fn an_event_that_cannot_be_read_stops_the_view_right_there() {
    let server = TestServer::start().await;
    let store = server.store().await;
    let id = instance_id();
    let create = Write::new::<InstanceDecider>(&id, 0, &[created("everything")]);
    let sequence = store.append(&[create], &metadata()).await.unwrap();
    let nats = async_nats::jetstream::new(server.nats().await);
    let newer = nats.publish(format!("events.instance.{id}"), "of a newer program".into()).await.unwrap();
    newer.await.unwrap();

    let ended = tokio::time::timeout(WAIT, store.project::<Instances>(|| {})).await.unwrap();
    assert!(matches!(ended, Err(ProjectError::Unreadable(_))), "{ended:?}");
    let view = store.follow::<Instances>(|_, _| {}).await.unwrap();
    assert_eq!(view.position(), sequence);
    assert!(view.get(id.0).is_some(), "what came before it is there");
}
