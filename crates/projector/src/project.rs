//! Keeps one view current.

use std::time::Duration;

use service::{CancellationToken, ReadyFlag};
use store::{ProjectError, Store};
use views::View;

/// How long to wait before folding again after NATS was away.
const RETRY_DELAY: Duration = Duration::from_millis(500);

/// Folds until shutdown. An event that cannot be read stops the view for good: skipping it would make it a lie.
pub(crate) async fn run<V: View>(store: Store, ready: ReadyFlag, shutdown: CancellationToken) {
    loop {
        let ended = tokio::select! {
            () = shutdown.cancelled() => return,
            ended = store.project::<V>(|| ready.set(true)) => ended,
        };
        ready.set(false);
        match ended {
            Ok(()) => return,
            Err(ProjectError::Unavailable(error)) => {
                tracing::warn!(
                    error = &error as &dyn std::error::Error,
                    view = V::NAME,
                    "view interrupted, trying again"
                );
            }
            Err(ProjectError::Unreadable(error)) => {
                tracing::error!(
                    error = &error as &dyn std::error::Error,
                    view = V::NAME,
                    "view stopped: run a program that can read this event"
                );
                shutdown.cancelled().await;
                return;
            }
        }
        tokio::select! { () = shutdown.cancelled() => return, () = tokio::time::sleep(RETRY_DELAY) => {} }
    }
}
