//! The worst days of an API server, and of a worker.

use domain::instance::Command;

use super::fake::Faults;
use super::target::Target;

#[tokio::test]
async fn an_api_server_that_goes_away_is_waited_for() {
    let target = Target::fake().await;
    let fake = target.fake.as_ref().unwrap();
    let worker = target.worker().await;
    let id = target.create(target.hosted(&[])).await;
    target.platform.ready(id).await;
    fake.set_faults(Faults { gone: true, ..Faults::default() });
    target.platform.tell(id, Command::Scale { replicas: 2 }).await;
    // What is ready stays ready: nobody takes a silent server for dead pods.
    assert_eq!(target.platform.ready(id).await.ready_replicas().count(), 1);
    fake.set_faults(Faults::default());
    target.platform.row(id, "two replicas", |row| row.ready_replicas().count() == 2).await;
    worker.stop().await;
    target.end().await;
}

#[tokio::test]
async fn conflicts_expired_watches_and_slow_answers_hold_nothing_up_for_long() {
    let storms = [
        Faults { conflicts: true, ..Faults::default() },
        Faults { watches_expire: true, ..Faults::default() },
        Faults { slow_ms: 300, ..Faults::default() },
    ];
    for faults in storms {
        let target = Target::fake().await;
        target.fake.as_ref().unwrap().set_faults(faults);
        let worker = target.worker().await;
        let id = target.create(target.hosted(&[])).await;
        target.platform.ready(id).await;
        worker.stop().await;
        target.end().await;
    }
}

#[tokio::test]
async fn credentials_that_expire_and_are_renewed_are_waited_for() {
    let target = Target::fake().await;
    let fake = target.fake.as_ref().unwrap();
    let worker = target.worker().await;
    fake.set_faults(Faults { unauthorized: true, ..Faults::default() });
    let requests = || fake.api.requests.load(std::sync::atomic::Ordering::Relaxed);
    let before = requests();
    let id = target.create(target.hosted(&[])).await;
    super::lifecycle::until("the worker to try", async || requests() > before + 1).await;
    fake.set_faults(Faults::default());
    target.platform.ready(id).await;
    worker.stop().await;
    target.end().await;
}

/// Each worker dies after one more call that changes something; whatever it leaves is carried on.
#[tokio::test]
async fn a_worker_killed_between_any_two_calls_leaves_nothing_that_the_next_does_not_finish() {
    let target = Target::fake().await;
    let fake = target.fake.as_ref().unwrap();
    let writes = || fake.api.writes.load(std::sync::atomic::Ordering::Relaxed);
    let id = target.create(target.hosted(&[])).await;
    for _ in 0..8 {
        let before = writes();
        let worker = target.worker().await;
        let is_ready =
            || target.platform.view.get(id.0).is_some_and(|row| row.ready_replicas().next().is_some());
        super::lifecycle::until("one more call", async || writes() > before || is_ready()).await;
        worker.kill().await;
    }
    let worker = target.worker().await;
    let row = target.platform.ready(id).await;
    assert_eq!(row.replicas.len(), 1, "{row:#?}");
    worker.stop().await;
    target.end().await;
}
