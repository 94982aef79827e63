//! What has become of a command, for whoever did not wait for it.

use domain::CommandId;

use crate::connection::Store;
use crate::error::Unavailable;
use crate::outcome::Outcome;

/// How far a command has come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CommandState {
    /// It waits on the bus.
    Pending {
        /// The aggregate's name as it stands in subjects.
        aggregate: &'static str,
        aggregate_id: String,
    },
    Decided(Outcome),
}

impl Store {
    /// How far a command has come; none if nothing is known of it (any more).
    ///
    /// # Errors
    /// NATS did not answer, or the command is of a newer program.
    pub async fn command_state(&self, id: CommandId) -> Result<Option<CommandState>, Unavailable> {
        let Some(found) = self.claimed(id).await?.filter(|found| found.id == id) else {
            return Ok(self.recorded_outcome(id).await?.map(CommandState::Decided));
        };
        let Some(command) = found.command else {
            let recorded = self.recorded_outcome(id).await?;
            let unreadable = || Unavailable::new("read a command", "a newer program has sent it");
            return recorded.map(CommandState::Decided).ok_or_else(unreadable).map(Some);
        };
        Ok(Some(match self.outcome(&command, id).await? {
            Some(outcome) => CommandState::Decided(outcome),
            None => CommandState::Pending {
                aggregate: command.aggregate(),
                aggregate_id: command.aggregate_id().to_string(),
            },
        }))
    }
}
