//! Rebuilding a view while it serves, and what its status says meanwhile.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use domain::InstanceId;
use domain::instance::{Event, InstanceDecider, Restarted};
use parking_lot::Mutex;
use store::testing::TestServer;
use store::{ProjectError, Store, ViewState, ViewStatus, Write};
use tokio::task::JoinHandle;
use uuid::Uuid;
use views::{InstanceRow, Instances, View as _};

use crate::given::{created, instance_id, metadata};

const WAIT: Duration = Duration::from_secs(60);
const INSTANCES: usize = 20;

fn project(store: Store) -> JoinHandle<ProjectError> {
    tokio::spawn(async move {
        loop {
            match store.project::<Instances>(|| {}).await {
                Ok(()) | Err(ProjectError::Unavailable(_)) => {}
                Err(error @ ProjectError::Unreadable(_)) => return error,
            }
        }
    })
}

async fn create(store: &Store) -> Vec<(InstanceId, u64)> {
    let mut instances = vec![];
    for number in 0..INSTANCES {
        let id = instance_id();
        let write = Write::new::<InstanceDecider>(&id, 0, &[created(&format!("instance-{number}"))]);
        instances.push((id, store.append(&[write], &metadata()).await.unwrap()));
    }
    instances
}

/// Restarts the instances one after the other until it is told to stop; gives the last generation and sequence.
async fn keep_changing(
    store: Store,
    mut instances: Vec<(InstanceId, u64)>,
    stop: Arc<AtomicBool>,
) -> (u64, u64) {
    for generation in 2.. {
        for (id, sequence) in &mut instances {
            let restarted = Event::Restarted(Restarted { generation });
            let write = Write::new::<InstanceDecider>(id, *sequence, &[restarted]);
            *sequence = store.append(&[write], &metadata()).await.unwrap();
        }
        if stop.load(Ordering::Relaxed) {
            return (generation, instances.last().unwrap().1);
        }
    }
    unreachable!("the loop has no end");
}

async fn status(store: &Store, what: &str, holds: impl Fn(&ViewStatus) -> bool) -> ViewStatus {
    let mut seen = None;
    let awaited = async {
        loop {
            let status = store.view_status(Instances::NAME).await.unwrap();
            if holds(&status) {
                return status;
            }
            seen = Some(status);
        }
    };
    let awaited = tokio::time::timeout(WAIT, awaited).await;
    awaited.unwrap_or_else(|_| panic!("{what}: {seen:#?}"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_view_is_rebuilt_under_load_and_nobody_who_follows_it_sees_anything_but_what_happens() {
    let server = TestServer::start().await;
    let store = server.store().await;
    let instances = create(&store).await;
    let projection = project(server.store().await);
    // Each change must bring a row forward, and none may go: a follower that saw rows of a generation that is half
    // there would see both.
    let seen = Arc::new(Mutex::new(HashMap::<Uuid, u64>::new()));
    let wrong = Arc::new(Mutex::new(Vec::new()));
    let (rows, faults) = (seen.clone(), wrong.clone());
    let view = store
        .follow::<Instances>(move |id, row: Option<&Arc<InstanceRow>>| {
            let Some(row) = row else { return faults.lock().push(format!("{id} went")) };
            let before = rows.lock().insert(id, row.sequence);
            if before.is_some_and(|before| row.sequence <= before) {
                faults.lock().push(format!("{id} went from {before:?} to {}", row.sequence));
            }
        })
        .await
        .unwrap();
    let stop = Arc::new(AtomicBool::default());
    let writing = tokio::spawn(keep_changing(server.store().await, instances, stop.clone()));
    status(&store, "the view is current", |status| {
        status.report.as_ref().is_some_and(|report| report.state == ViewState::Current)
    })
    .await;

    for generation in [2, 3] {
        let asked = store.rebuild_view(Instances::NAME).await.unwrap();
        assert_eq!((asked.generation, asked.began), (generation, true));
        let again = store.rebuild_view(Instances::NAME).await.unwrap();
        assert_eq!(again.generation, generation, "what runs is not begun twice");
        assert!(!again.began);
        let status = status(&store, "the view is rebuilt", |status| {
            assert_eq!(view.rows().len(), INSTANCES);
            status.generation == Some(generation)
        })
        .await;
        assert_eq!(status.wanted, None);
    }
    stop.store(true, Ordering::Relaxed);
    let (generation, sequence) = writing.await.unwrap();
    view.reached(sequence, WAIT).await.unwrap();
    assert_eq!(*wrong.lock(), Vec::<String>::new());
    assert!(view.rows().iter().all(|row| row.generation == generation && row.revision == generation));

    let nats = async_nats::jetstream::new(server.nats().await);
    let mut stream = nats.get_stream("KV_instances").await.unwrap();
    let purged = async {
        // The rows, their position, and which generation is served.
        while stream.info().await.unwrap().state.messages != INSTANCES as u64 + 2 {}
    };
    tokio::time::timeout(WAIT, purged).await.expect("the old generations are gone");
    projection.abort();
}

#[tokio::test]
async fn the_status_shows_where_a_view_has_stopped_and_that_it_goes_on() {
    let server = TestServer::start().await;
    let store = server.store().await;
    let nobody = store.view_status(Instances::NAME).await.unwrap();
    assert!(nobody.unattended && nobody.report.is_none() && nobody.generation.is_none());

    let (id, nats) = (instance_id(), server.nats().await);
    let create = Write::new::<InstanceDecider>(&id, 0, &[created("everything")]);
    let sequence = store.append(&[create], &metadata()).await.unwrap();
    let nats = async_nats::jetstream::new(nats);
    let subject = format!("events.instance.{id}");
    nats.publish(subject.clone(), "of a newer program".into()).await.unwrap().await.unwrap();
    let ended = tokio::time::timeout(WAIT, project(server.store().await)).await.unwrap().unwrap();
    assert!(matches!(ended, ProjectError::Unreadable(_)));

    let stopped = store.view_status(Instances::NAME).await.unwrap();
    assert_eq!((stopped.position, stopped.last_sequence), (sequence, sequence + 1));
    let report = stopped.report.unwrap();
    assert_eq!(report.state, ViewState::Stopped);
    let error = report.last_error.unwrap();
    assert_eq!((error.sequence, error.subject.as_deref()), (Some(sequence + 1), Some(subject.as_str())));
    assert!(error.detail.contains("is absent"), "the cause is told: {}", error.detail);
    let tokens = tokio::time::timeout(WAIT, store.follow::<Instances>(|_, _| {})).await.unwrap().unwrap();
    assert_eq!(tokens.position(), sequence, "what came before is served");

    // Whoever can read the event goes on. Here it is the event that becomes readable: what a newer program is to it.
    server.delete_stream("EVENTS").await;
    store.provision(1).await.unwrap();
    let create = Write::new::<InstanceDecider>(&id, 0, &[created("everything")]);
    let sequence = store.append(&[create], &metadata()).await.unwrap();
    let restarted = Event::Restarted(Restarted { generation: 2 });
    let write = Write::new::<InstanceDecider>(&id, sequence, &[restarted]);
    let sequence = store.append(&[write], &metadata()).await.unwrap();
    let projection = project(server.store().await);
    tokens.reached(sequence, WAIT).await.unwrap();
    let current = status(&store, "the view goes on", |status| {
        status.report.as_ref().is_some_and(|report| report.state == ViewState::Current)
    })
    .await;
    assert_eq!(current.position, sequence);
    assert!(current.report.unwrap().last_error.is_some(), "what was in the way can still be read");
    projection.abort();
}
