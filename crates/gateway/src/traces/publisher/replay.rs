//! What lies in the spool on its way to NATS, segment by segment.

use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use futures_util::{FutureExt, StreamExt, TryStreamExt, stream};
use store::{Store, Unavailable};
use tokio::time::Instant;

use super::{IN_FLIGHT_MAX, Publisher, publish};
use crate::traces::spool::Frame;

/// How long after a failure the spool is tried again; doubled with each further one.
const RETRY_DELAY_FIRST: Duration = Duration::from_millis(100);
const RETRY_DELAY_MAX: Duration = Duration::from_secs(5);

/// What happens with the oldest segment of the spool.
pub(super) enum Replay {
    /// Nothing yet: it will be tried at this time.
    At(Instant, Duration),
    Running(BoxFuture<'static, Result<(), Unavailable>>, Duration),
}

pub(super) enum Step {
    /// It is time to try; with the delay after a failure.
    Due(Duration),
    Published,
    Failed(Unavailable, Duration),
}

impl Replay {
    /// Begins as soon as something lies there.
    pub(super) fn now() -> Self {
        Self::At(Instant::now(), RETRY_DELAY_FIRST)
    }

    /// Waits for the next step.
    pub(super) async fn step(&mut self) -> Step {
        match self {
            Self::At(time, delay) => {
                tokio::time::sleep_until(*time).await;
                Step::Due(*delay)
            }
            Self::Running(running, delay) => match running.await {
                Ok(()) => Step::Published,
                Err(error) => Step::Failed(error, *delay),
            },
        }
    }
}

impl Publisher {
    /// Goes on with the spool after a step of its replay.
    pub(super) async fn replayed(&mut self, step: Step) {
        let delay = match step {
            Step::Due(delay) => return self.start_replay(delay).await,
            Step::Published => match self.spool.remove_oldest().await {
                Ok(()) => {
                    self.is_away = false;
                    self.replay = Replay::now();
                    return;
                }
                Err(error) => {
                    tracing::error!(%error, "remove a segment of the spool");
                    RETRY_DELAY_MAX
                }
            },
            Step::Failed(error, delay) => {
                let bytes = self.spool.bytes();
                tracing::warn!(error = &error as &dyn Error, bytes, "replay the spool, trying again");
                delay
            }
        };
        self.replay = Replay::At(Instant::now() + delay, (delay * 2).min(RETRY_DELAY_MAX));
    }

    async fn start_replay(&mut self, delay: Duration) {
        self.replay = match self.spool.oldest().await {
            Ok(frames) => {
                Replay::Running(replay(self.store.clone(), self.gateway_id.clone(), frames).boxed(), delay)
            }
            Err(error) => {
                tracing::error!(%error, "read a segment of the spool, trying again");
                // The next batch finds out instead whether NATS is there.
                self.is_away = false;
                Replay::At(Instant::now() + RETRY_DELAY_MAX, RETRY_DELAY_MAX)
            }
        };
    }
}

/// Publishes the batches of a segment. After a failure the whole segment is sent again: JetStream recognises the
/// ids of those that arrived within its window of duplicates. Those that arrived before that come twice.
async fn replay(store: Store, gateway_id: Arc<str>, frames: Vec<Frame>) -> Result<(), Unavailable> {
    // What is published without a connection piles up in the client's memory: wait until there is one.
    store.flush().await?;
    stream::iter(frames)
        .map(|Frame { id, records }| publish(store.clone(), gateway_id.clone(), id, records))
        .buffered(IN_FLIGHT_MAX)
        .try_collect()
        .await
}
