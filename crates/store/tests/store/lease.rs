//! Leases: one holder at a time, another soon after it died, and a holder that was paused finds out.

use std::time::Duration;

use store::Task;
use store::testing::TestServer;
use tokio::sync::oneshot;

const WAIT: Duration = Duration::from_secs(20);
const TASK: Task = Task::View("instances");

#[tokio::test]
async fn one_that_stands_by_takes_over_from_a_holder_that_died() {
    let server = TestServer::start().await;
    let (first, second) = (server.store().await, server.store().await);
    let mut held = first.lease(TASK, || {}).await.unwrap();
    let (saw, seen) = oneshot::channel();
    let stands_by = tokio::spawn(async move {
        let lease = second.lease(TASK, || saw.send(()).unwrap()).await.unwrap();
        (second, lease)
    });
    // The holder beats until the other one has seen it, then it is no more.
    tokio::select! {
        lost = held.keep() => panic!("{lost}"),
        seen = tokio::time::timeout(WAIT, seen) => seen.unwrap().unwrap(),
    }
    assert!(!stands_by.is_finished(), "the holder lives");
    let (second, mut lease) = tokio::time::timeout(WAIT, stands_by).await.unwrap().unwrap();
    assert_eq!(first.lease_holder(TASK).await.unwrap().as_deref(), Some(second.holder()));
    assert_ne!(first.holder(), second.holder());

    // The first comes back from a pause: its next beat tells it, and the second does not notice.
    tokio::select! {
        lost = lease.keep() => panic!("{lost}"),
        lost = tokio::time::timeout(WAIT, held.keep()) => drop(lost.unwrap()),
    }
}

#[tokio::test]
async fn a_lease_that_was_given_back_is_free() {
    let server = TestServer::start().await;
    let (first, second) = (server.store().await, server.store().await);
    let held = first.lease(TASK, || {}).await.unwrap();
    held.release().await;
    assert_eq!(first.lease_holder(TASK).await.unwrap(), None);
    let not_seen = || panic!("nobody holds it");
    let lease = tokio::time::timeout(WAIT, second.lease(TASK, not_seen)).await.unwrap().unwrap();
    let other = Task::View("tokens");
    first.lease(other, || panic!("another task is another lease")).await.unwrap();
    lease.release().await;
}
