//! Links the log's events to the hash chain.

use std::time::Duration;

use service::ReadyFlag;
use store::{ChainError, Store, Task};

use crate::alone::{Rest, Work};

/// How long to wait before linking again after NATS was away.
const RETRY_DELAY: Duration = Duration::from_millis(500);
/// How long a chain that is broken is left alone: a person has to look.
const BROKEN_DELAY: Duration = Duration::from_secs(60);

/// The chain. A broken one is an alarm and stops nothing else: nobody needs it to do their work.
pub(crate) struct Link;

impl Work for Link {
    fn task(&self) -> Task {
        Task::Chain
    }

    async fn run(&self, store: &Store, ready: &ReadyFlag) -> Rest {
        let Err(error) = store.link_events(|| ready.set(true)).await else {
            return Rest::Interrupted(RETRY_DELAY);
        };
        let cause = &error as &dyn std::error::Error;
        match error {
            ChainError::Unavailable(_) => {
                tracing::warn!(error = cause, "linking interrupted, trying again");
                Rest::Interrupted(RETRY_DELAY)
            }
            ChainError::Broken(_) => {
                tracing::error!(error = cause, "the log was changed, or its chain was");
                Rest::Stopped(BROKEN_DELAY)
            }
        }
    }
}
