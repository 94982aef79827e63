//! Takes over the events of another log, chunk by chunk, at the very sequences at which they stood.

use std::time::Duration;

use domain::import::Refusal;
use jiff::{SignedDuration, Timestamp};
use service::CancellationToken;
use store::{AppendError, Chunk, Compared, Outcome, Store, Unavailable};
use tokio::time::{Instant, sleep};

use crate::{GIVE_BACK_DELAY, RETRY_DELAY};

/// How long commands are held back after a chunk, if no other follows: somebody whose import broke has so long to
/// repeat it before the world goes on with what is there.
const HOLD: SignedDuration = SignedDuration::from_mins(15);
/// How long the commands that deciders have taken may take to be finished.
const IN_FLIGHT_WAIT: Duration = Duration::from_secs(10);
/// How often it is looked whether they are.
const IN_FLIGHT_INTERVAL: Duration = Duration::from_millis(20);
/// How often a chunk is compared anew because the log has moved.
const CONFLICTS_MAX: usize = 4;

/// Takes chunks over until shutdown.
pub(crate) async fn run(store: Store, shutdown: CancellationToken) {
    loop {
        let ended = tokio::select! {
            () = shutdown.cancelled() => return,
            ended = take_chunks(&store) => ended,
        };
        if let Err(error) = ended {
            tracing::warn!(error = &error as &dyn std::error::Error, "import interrupted, trying again");
        }
        tokio::select! { () = shutdown.cancelled() => return, () = sleep(RETRY_DELAY) => {} }
    }
}

async fn take_chunks(store: &Store) -> Result<(), Unavailable> {
    let mut chunks = store.receive_chunks().await?;
    loop {
        let received = chunks.next().await?;
        match take_over(store, &received.chunk).await {
            Ok(outcome) => received.finish(outcome).await?,
            Err(error) => {
                tracing::warn!(error = &error as &dyn std::error::Error, "chunk of an import comes back");
                received.give_back(GIVE_BACK_DELAY).await?;
            }
        }
    }
}

async fn take_over(store: &Store, chunk: &Chunk) -> Result<Outcome, Unavailable> {
    store.hold_commands(Timestamp::now() + HOLD).await?;
    let refusal = if are_finished(store).await? { append(store, chunk).await? } else { Some(Refusal::Busy) };
    if refusal.is_some() || chunk.is_last {
        store.let_commands_go().await?;
    }
    Ok(match refusal {
        Some(refusal) => {
            tracing::info!(%refusal, "import refused");
            Outcome::Refused { refusal: domain::Refusal::Import(refusal) }
        }
        None => Outcome::Done { sequence: chunk.events.last().map_or(0, |event| event.sequence) },
    })
}

/// Whether the commands that deciders had taken are carried out: what they append must not come in between.
async fn are_finished(store: &Store) -> Result<bool, Unavailable> {
    let deadline = Instant::now() + IN_FLIGHT_WAIT;
    while store.commands_in_flight().await? > 0 {
        if Instant::now() >= deadline {
            return Ok(false);
        }
        sleep(IN_FLIGHT_INTERVAL).await;
    }
    Ok(true)
}

async fn append(store: &Store, chunk: &Chunk) -> Result<Option<Refusal>, Unavailable> {
    for _ in 0..CONFLICTS_MAX {
        let present = match store.compare(&chunk.events).await? {
            Compared::Present(present) => present,
            Compared::Differs { sequence } => return Ok(Some(Refusal::Differs { sequence })),
            Compared::Gap { expected, found } => return Ok(Some(Refusal::Gap { expected, found })),
        };
        let missing = chunk.events.get(present..).unwrap_or_default();
        if missing.is_empty() {
            return Ok(None);
        }
        match store.append_imported(missing).await {
            Ok(()) => {
                tracing::info!(events = missing.len(), "events imported");
                return Ok(None);
            }
            // Another decider, to whom the chunk came as well, was faster; or somebody is no decider.
            Err(AppendError::Conflict) => {}
            Err(AppendError::Unavailable(error)) => return Err(error),
        }
    }
    Ok(Some(Refusal::Busy))
}
