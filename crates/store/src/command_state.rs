//! What has become of a command, for whoever did not wait for it.

use async_nats::jetstream::stream::LastRawMessageErrorKind;
use domain::CommandId;

use crate::connection::Store;
use crate::error::{During, Unavailable};
use crate::outcome::Outcome;
use crate::subject;

/// How far a command has come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CommandState {
    /// It lies on the bus.
    Pending {
        /// The aggregate's name as it stands in subjects.
        aggregate: String,
        aggregate_id: String,
    },
    Decided(Outcome),
}

impl Store {
    /// How far a command has come; none if nothing is known of it (any more).
    ///
    /// # Errors
    /// NATS did not answer.
    pub async fn command_state(&self, id: CommandId) -> Result<Option<CommandState>, Unavailable> {
        if let Some(outcome) = self.outcome(id).await? {
            return Ok(Some(CommandState::Decided(outcome)));
        }
        if let Some(pending) = self.pending_command(id).await? {
            return Ok(Some(pending));
        }
        // It may have been decided and taken off the bus between the two looks.
        Ok(self.outcome(id).await?.map(CommandState::Decided))
    }

    /// A command stays on the bus until its outcome is recorded, so that nothing else has to be written when it is
    /// sent: its subject ends with its id.
    async fn pending_command(&self, id: CommandId) -> Result<Option<CommandState>, Unavailable> {
        const OPERATION: &str = "look for a command";
        let stream = self.jetstream.get_stream_no_info(subject::COMMANDS).await.during(OPERATION)?;
        match stream.get_last_raw_message_by_subject(&subject::any_command(id)).await {
            Ok(message) => {
                let (aggregate, aggregate_id) = subject::parse_command(&message.subject)
                    .ok_or("its subject has another form")
                    .during(OPERATION)?;
                let (aggregate, aggregate_id) = (aggregate.to_owned(), aggregate_id.to_owned());
                Ok(Some(CommandState::Pending { aggregate, aggregate_id }))
            }
            Err(error) if error.kind() == LastRawMessageErrorKind::NoMessageFound => Ok(None),
            Err(error) => Err(Unavailable::new(OPERATION, error)),
        }
    }
}
