//! Role: takes commands off the bus, decides them, appends their events.
//!
//! Any number of deciders share the bus. None keeps a state of its own: each command loads its aggregate, decides,
//! and appends at the sequence that was read; whoever was slower meets a conflict and decides again.

mod execute;
mod expiry;
mod import;
mod reactions;
mod unused_key;

use std::sync::Arc;
use std::time::Duration;

use service::{CancellationToken, Context};
use store::{Outcome, ReceivedCommand, Store, Unavailable};
use tokio::sync::Semaphore;
use tracing::Instrument;

/// The role's name.
pub const ROLE: &str = "decider";

/// How many commands are decided at the same time.
const COMMANDS_IN_FLIGHT_MAX: usize = 64;
/// How long to wait before asking NATS again.
const RETRY_DELAY: Duration = Duration::from_millis(200);
/// After how long a command comes back that could not be decided.
const GIVE_BACK_DELAY: Duration = Duration::from_secs(1);

/// Decides until shutdown. Commands that were taken off the bus are finished before it returns.
///
/// # Errors
/// The role cannot start.
pub async fn run(store: Store, context: Context) -> anyhow::Result<()> {
    let ready = context.readiness.register(ROLE);
    let flag = context.readiness.register("decider: reactions");
    let reactions = tokio::spawn(reactions::run(store.clone(), flag, context.shutdown.clone()));
    let expiry = tokio::spawn(expiry::run(store.clone(), context.shutdown.clone()));
    let import = tokio::spawn(import::run(store.clone(), context.shutdown.clone()));
    let permits = Arc::new(Semaphore::new(COMMANDS_IN_FLIGHT_MAX));
    while !context.shutdown.is_cancelled() {
        match decide_commands(&store, &permits, &context.shutdown, || ready.set(true)).await {
            Ok(()) => break,
            Err(error) => {
                ready.set(false);
                tracing::warn!(error = &error as &dyn std::error::Error, "command bus lost, trying again");
                tokio::select! { () = context.shutdown.cancelled() => {} () = tokio::time::sleep(RETRY_DELAY) => {} }
            }
        }
    }
    // All permits are free when every command has been finished.
    let in_flight = u32::try_from(COMMANDS_IN_FLIGHT_MAX).expect("a small number");
    let _all = permits.acquire_many(in_flight).await?;
    reactions.await?;
    expiry.await?;
    import.await?;
    Ok(())
}

async fn decide_commands(
    store: &Store,
    permits: &Arc<Semaphore>,
    shutdown: &CancellationToken,
    on_ready: impl FnOnce(),
) -> Result<(), Unavailable> {
    let mut commands = store.receive_commands().await?;
    on_ready();
    loop {
        let permit = permits.clone().acquire_owned().await.expect("the semaphore is never closed");
        let command = tokio::select! {
            biased;
            () = shutdown.cancelled() => return Ok(()),
            command = commands.next() => command?,
        };
        let store = store.clone();
        let span = tracing::info_span!(
            "command",
            id = %command.given.command_id,
            actor = %command.given.actor,
            name = command.command.name(),
        );
        let decide = async move {
            if let Err(error) = decide(&store, command).await {
                tracing::warn!(error = &error as &dyn std::error::Error, "command comes back");
            }
            drop(permit);
        };
        tokio::spawn(decide.instrument(span));
    }
}

async fn decide(store: &Store, received: ReceivedCommand) -> Result<(), Unavailable> {
    let outcome = match &received.recorded {
        Some(outcome) => outcome.clone(),
        None => match execute::execute(store, &received.command, &received.given).await {
            Ok(decision) => match received.settle(decision).await? {
                Some(outcome) => outcome,
                None => {
                    tracing::info!("another decider has taken the command over");
                    return Ok(());
                }
            },
            Err(error) => {
                tracing::warn!(error = &error as &dyn std::error::Error, "decide command");
                return received.give_back(GIVE_BACK_DELAY).await;
            }
        },
    };
    // Not before the refusal is certain: whoever else decides may need the key.
    if let Outcome::Refused { .. } = outcome {
        unused_key::shred(store, &received.command, received.given.command_id).await?;
    }
    received.finish(&outcome).await
}
