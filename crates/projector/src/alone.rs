//! Does a task while no other process does it.

use std::time::Duration;

use service::{CancellationToken, ReadyFlag};
use store::{Store, Task};

/// How long to wait before asking for a lease again after NATS was away.
const RETRY_DELAY: Duration = Duration::from_millis(200);
/// How long giving a lease back may take at the end of the process. Others take over a moment later anyway.
const RELEASE_WAIT: Duration = Duration::from_secs(1);

/// Why work has ended, and for how long it rests; meanwhile another process may try.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Rest {
    /// Something that it needs is away.
    Interrupted(Duration),
    /// A person has to look. That counts as ready: what shows them where to look would not start otherwise.
    Stopped(Duration),
}

/// What one process does.
pub(crate) trait Work: Send + Sync + 'static {
    fn task(&self) -> Task;

    /// Does the task until something is in the way. Raises `ready` while it can do what it should. May be dropped
    /// between any two lines: what it writes is guarded by compare-and-set, see `store::Lease`.
    fn run(&self, store: &Store, ready: &ReadyFlag) -> impl Future<Output = Rest> + Send;
}

/// Does the work until shutdown, and stands by while another process does it, which counts as ready.
pub(crate) async fn run(work: impl Work, store: Store, ready: ReadyFlag, shutdown: CancellationToken) {
    let task = work.task();
    loop {
        let lease = tokio::select! {
            () = shutdown.cancelled() => return,
            lease = store.lease(task, || ready.set(true)) => lease,
        };
        let rest = match lease {
            Ok(mut lease) => {
                let ended = tokio::select! {
                    () = shutdown.cancelled() => None,
                    rest = work.run(&store, &ready) => Some(rest),
                    lost = lease.keep() => {
                        let error = &lost as &dyn std::error::Error;
                        tracing::warn!(error, %task, "the task is not this process's any more");
                        Some(Rest::Interrupted(Duration::ZERO))
                    }
                };
                if tokio::time::timeout(RELEASE_WAIT, lease.release()).await.is_err() {
                    tracing::debug!(%task, "the lease is left to be taken over");
                }
                let Some(rest) = ended else { return };
                rest
            }
            Err(error) => {
                tracing::warn!(error = &error as &dyn std::error::Error, %task, "ask for a lease again");
                Rest::Interrupted(RETRY_DELAY)
            }
        };
        let (delay, stopped) = match rest {
            Rest::Interrupted(delay) => (delay, false),
            Rest::Stopped(delay) => (delay, true),
        };
        ready.set(stopped);
        tokio::select! { () = shutdown.cancelled() => return, () = tokio::time::sleep(delay) => {} }
    }
}
