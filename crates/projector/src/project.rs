//! Keeps one view current.

use std::marker::PhantomData;
use std::time::Duration;

use service::ReadyFlag;
use store::{ProjectError, Store, Task};
use views::View;

use crate::alone::{Rest, Work};

/// How long to wait before folding again after NATS was away.
const RETRY_DELAY: Duration = Duration::from_millis(500);
/// How long a view that has stopped is left to other projectors, which may be of a version that can read the event.
const STOPPED_DELAY: Duration = Duration::from_secs(5);

/// The view that is folded. An event that cannot be read stops it: skipping it would make it a lie.
pub(crate) struct Project<V>(PhantomData<V>);

impl<V> Default for Project<V> {
    fn default() -> Self {
        Project(PhantomData)
    }
}

impl<V: View> Work for Project<V> {
    fn task(&self) -> Task {
        Task::View(V::NAME)
    }

    async fn run(&self, store: &Store, ready: &ReadyFlag) -> Rest {
        match store.project::<V>(|| ready.set(true)).await {
            Ok(()) => Rest::Interrupted(RETRY_DELAY),
            Err(ProjectError::Unavailable(error)) => {
                tracing::warn!(
                    error = &error as &dyn std::error::Error,
                    view = V::NAME,
                    "view interrupted, trying again"
                );
                Rest::Interrupted(RETRY_DELAY)
            }
            Err(ProjectError::Unreadable(error)) => {
                tracing::error!(
                    error = &error as &dyn std::error::Error,
                    view = V::NAME,
                    "view stopped: run a program that can read this event"
                );
                Rest::Stopped(STOPPED_DELAY)
            }
        }
    }
}
