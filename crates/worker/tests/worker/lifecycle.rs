//! Stop, restart, delete, shutdown, and the death of the worker.

use domain::instance::{Command, Event};
use domain::{InstanceId, ReplicaId};
use views::{InstanceRow, Phase};

use crate::harness::{Platform, eventually};

/// A clingy server is up with its child in a session of its own: bridge, server and child at least.
async fn clingy(platform: &Platform) -> (InstanceId, ReplicaId) {
    let id = platform.create(&["--clingy"]).await;
    let replica = platform.ready(id).await.replicas[0].replica;
    assert!(platform.processes().len() >= 3);
    (id, replica)
}

#[tokio::test]
async fn a_stop_leaves_no_process_and_keeps_the_files() {
    let platform = Platform::start().await;
    let worker = platform.worker().await;
    let (id, _) = clingy(&platform).await;
    std::fs::write(platform.directory(id).join("kept"), "yes").unwrap();
    platform.tell(id, Command::Stop).await;
    let row = platform.row(id, "the end", |row| row.phase == Phase::Stopped).await;
    assert_eq!(row.failure, None);
    platform.assert_nothing_runs();
    assert!(platform.directory(id).join("kept").is_file());
    worker.stop().await;
}

#[tokio::test]
async fn a_restart_ends_the_old_replica_and_starts_one_of_a_new_generation() {
    let platform = Platform::start().await;
    let worker = platform.worker().await;
    let id = platform.create(&[]).await;
    let first = platform.ready(id).await.replicas[0].replica;
    platform.tell(id, Command::Restart).await;
    let is_new = |row: &InstanceRow| {
        row.phase == Phase::Ready && row.replicas.iter().all(|replica| replica.generation == 2)
    };
    let row = platform.row(id, "the new generation", is_new).await;
    assert_eq!(row.replicas.len(), 1);
    let events = platform
        .events_until(id, |event| matches!(event, Event::ReplicaReady(ready) if ready.replica != first));
    let events = events.await;
    let position = |name: &str, replica: ReplicaId| {
        let is_it = |event: &domain::Event| match event {
            domain::Event::Instance { event: Event::ReplicaStopped(stopped), .. } => {
                stopped.replica == replica
            }
            domain::Event::Instance { event: Event::ReplicaStarting(starting), .. } => {
                starting.replica == replica
            }
            _ => false,
        };
        events.iter().position(|recorded| recorded.event.name() == name && is_it(&recorded.event)).unwrap()
    };
    let ended = position("instance.replica_stopped", first);
    assert!(ended < position("instance.replica_starting", row.replicas[0].replica));
    worker.stop().await;
    platform.assert_nothing_runs();
}

#[tokio::test]
async fn a_deletion_leaves_neither_process_nor_file() {
    let platform = Platform::start().await;
    let worker = platform.worker().await;
    let (id, _) = clingy(&platform).await;
    assert!(platform.directory(id).is_dir());
    platform.tell(id, Command::Delete).await;
    eventually("the directory to go", || (!platform.directory(id).exists()).then_some(())).await;
    platform.assert_nothing_runs();
    worker.stop().await;
}

#[tokio::test]
async fn what_was_deleted_while_no_worker_ran_is_cleared_by_the_next() {
    let platform = Platform::start().await;
    let worker = platform.worker().await;
    let (deleted, kept) = (platform.create(&[]).await, platform.create(&[]).await);
    platform.ready(deleted).await;
    platform.ready(kept).await;
    worker.stop().await;
    platform.tell(deleted, Command::Delete).await;
    let worker = platform.worker().await;
    eventually("the directory to go", || (!platform.directory(deleted).exists()).then_some(())).await;
    assert!(platform.directory(kept).is_dir());
    worker.stop().await;
}

#[tokio::test]
async fn a_shutdown_ends_all_and_the_next_worker_starts_them_again() {
    let platform = Platform::start().await;
    let worker = platform.worker().await;
    let (id, first) = clingy(&platform).await;
    worker.stop().await;
    platform.assert_nothing_runs();
    let row = platform.row(id, "the end to be told", |row| row.replicas.is_empty()).await;
    assert_eq!((row.wanted, row.phase, row.failure.is_none()), (true, Phase::Starting, true));
    let worker = platform.worker().await;
    assert_ne!(platform.ready(id).await.replicas[0].replica, first);
    worker.stop().await;
}

#[tokio::test]
async fn the_next_worker_cleans_up_after_one_that_died() {
    let platform = Platform::start().await;
    let worker = platform.worker().await;
    let (id, first) = clingy(&platform).await;
    worker.kill().await;
    let before = platform.processes();
    assert!(!before.is_empty(), "a clingy child outlives its worker, or this test proves nothing");

    let worker = platform.worker().await;
    // Ready means that no address in the view is a dead one, and that nothing of the earlier life is left.
    let row = platform.view.get(id.0).unwrap();
    assert!(row.replicas.iter().all(|replica| replica.replica != first), "{row:#?}");
    assert!(platform.processes().iter().all(|process| !before.contains(process)));
    let second = platform.ready(id).await.replicas[0].replica;
    assert_ne!(second, first);
    worker.stop().await;
    platform.assert_nothing_runs();
}

#[tokio::test]
async fn a_wish_that_is_taken_back_at_once_leaves_nothing() {
    let platform = Platform::start().await;
    let worker = platform.worker().await;
    let id = platform.create(&[]).await;
    platform.tell(id, Command::Stop).await;
    platform.row(id, "the end", |row| row.phase == Phase::Stopped).await;
    platform.tell(id, Command::Start).await;
    platform.tell(id, Command::Restart).await;
    let is_new = |row: &InstanceRow| row.phase == Phase::Ready && row.replicas[0].generation == 3;
    assert_eq!(platform.row(id, "the last wish", is_new).await.replicas.len(), 1);
    platform.tell(id, Command::Delete).await;
    worker.stop().await;
    platform.assert_nothing_runs();
}

#[tokio::test]
async fn a_replica_outlives_an_outage_of_nats() {
    let mut platform = Platform::start().await;
    let worker = platform.worker().await;
    let id = platform.create(&[]).await;
    let replica = platform.ready(id).await.replicas[0].replica;
    platform.server.kill();
    platform.server.restart().await;
    assert_eq!(platform.ready(id).await.replicas[0].replica, replica);
    platform.tell(id, Command::Stop).await;
    platform.row(id, "the end", |row| row.phase == Phase::Stopped).await;
    let events = platform.events_until(id, |event| matches!(event, Event::ReplicaStopped(_))).await;
    let starts = events.iter().filter(|event| event.event.name() == "instance.replica_starting").count();
    assert_eq!(starts, 1, "the worker has not taken the outage for an end");
    worker.stop().await;
}
