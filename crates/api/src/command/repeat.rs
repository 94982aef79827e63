//! A creation from something else that comes again: what it was made from may be gone by now, so what became of it is
//! looked up before that is.

use std::time::Duration;

use store::{CommandState, Outcome};
use tokio::time::{Instant, sleep};
use uuid::Uuid;

use super::{Caller, Wish};
use crate::app::App;
use crate::commands::Accepted;
use crate::error::Error;

/// How often it is looked whether a command is decided that somebody else has sent.
const LOOK: Duration = Duration::from_millis(50);

impl App {
    /// Whether the same request has made this before; the views show it then. False if nothing is known of it.
    ///
    /// # Errors
    /// It was refused then, it is not decided yet, or the key was used with another request.
    pub(crate) async fn has_made(&self, caller: &Caller, wish: &Wish, id: Uuid) -> Result<bool, Error> {
        // A key that was made just now has no past.
        if !caller.key.is_clients_own || self.store.claimed_target(&wish.claim).await?.is_none() {
            return Ok(false);
        }
        let command = caller.command_id(wish, id);
        let deadline = Instant::now() + caller.preference.wait(self.config.command_wait);
        loop {
            match self.store.command_state(command).await? {
                // The request was resolved to something else then.
                None => return Ok(false),
                Some(CommandState::Decided(Outcome::Done { sequence })) => {
                    self.directory.reached(sequence, self.config.view_wait).await?;
                    return Ok(true);
                }
                Some(CommandState::Decided(Outcome::Refused { refusal })) => {
                    return Err(Error::Refused(refusal));
                }
                Some(CommandState::Decided(Outcome::Failed { .. })) => return Err(Error::LogUnreadable),
                Some(CommandState::Pending { .. }) if Instant::now() >= deadline => {
                    return Err(Error::Undecided(Accepted::new(command, caller.preference.respond_async)));
                }
                Some(CommandState::Pending { .. }) => sleep(LOOK).await,
            }
        }
    }
}
