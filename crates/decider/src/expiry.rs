//! What follows from time: a token whose time is over is ended by a command, which lets a reaction shred its key. The
//! gateway does not wait for it: it refuses the token by its own clock.
//!
//! Every decider does it, and names the command after what it wants to be true, so that it takes effect once.

use std::sync::Arc;
use std::time::Duration;

use domain::{Actor, Command, CommandId, token};
use jiff::Timestamp;
use parking_lot::Mutex;
use service::CancellationToken;
use store::{Follower, Given, Outcome, SendError, Store, Unavailable};
use tokio::sync::Notify;
use uuid::Uuid;
use views::{Expiries, Expiring, TokenRow, Tokens};

use crate::{RETRY_DELAY, ROLE};

/// The clock is looked at again after this long, in case somebody has set it.
const CLOCK_LOOK_INTERVAL: Duration = Duration::from_secs(60);
/// How long a command may take.
const COMMAND_WAIT: Duration = Duration::from_secs(10);

/// Ends tokens until shutdown.
pub(crate) async fn run(store: Store, shutdown: CancellationToken) {
    tokio::select! {
        () = shutdown.cancelled() => {}
        () = async {
            loop {
                if let Err(error) = expire_tokens(&store).await {
                    tracing::warn!(error = &error as &dyn std::error::Error, "expiry interrupted, trying again");
                }
                tokio::time::sleep(RETRY_DELAY).await;
            }
        } => {}
    }
}

/// The ends that lie ahead, and the news that they have changed.
#[derive(Default)]
struct Ahead {
    expiries: Mutex<Expiries>,
    changed: Notify,
}

impl Ahead {
    fn change(&self, id: Uuid, row: Option<&Arc<TokenRow>>) {
        self.expiries.lock().change(id, row.map(AsRef::as_ref));
        self.changed.notify_one();
    }
}

async fn expire_tokens(store: &Store) -> Result<(), ExpireError> {
    let ahead = Arc::<Ahead>::default();
    let changed = ahead.clone();
    let _tokens: Follower<Tokens> = store.follow(move |id, row| changed.change(id, row)).await?;
    loop {
        let now = Timestamp::now();
        let due = ahead.expiries.lock().due(now);
        for expiring in due {
            expire(store, &expiring, now).await?;
            ahead.expiries.lock().forget(&expiring);
        }
        let wait = ahead.expiries.lock().wait(Timestamp::now(), CLOCK_LOOK_INTERVAL);
        tokio::select! {
            () = ahead.changed.notified() => {}
            () = tokio::time::sleep(wait) => {}
        }
    }
}

/// Why a token was not ended. It is tried again.
#[derive(Debug, thiserror::Error)]
enum ExpireError {
    #[error(transparent)]
    Unavailable(#[from] Unavailable),
    #[error("expire token {token}")]
    Send {
        token: domain::TokenId,
        #[source]
        source: SendError,
    },
}

async fn expire(store: &Store, expiring: &Expiring, now: Timestamp) -> Result<(), ExpireError> {
    let Expiring { at, token, revision } = *expiring;
    let command = Command::Token { id: token, command: token::Command::Expire { now } };
    // With the revision: an end that was put off and set again is not the one that was too early once.
    let id = CommandId(Uuid::new_v5(&token.0, format!("expire {at} {revision}").as_bytes()));
    let given = Given::new(id, Actor::Role(ROLE.to_owned()), format!("expiry:{at}"), now);
    let outcome = store.send(&command, &given, COMMAND_WAIT).await;
    match outcome.map_err(|source| ExpireError::Send { token, source })? {
        Outcome::Done { .. } => {}
        // It was put off in the meantime, which the view shows later.
        Outcome::Refused { refusal } => tracing::info!(%token, %refusal, "the token does not expire"),
        Outcome::Failed { reason } => {
            tracing::error!(%token, reason, "the token's expiry cannot be decided");
        }
    }
    Ok(())
}
