//! What became of a command.
//!
//! What was done stands in the log, where the command's events tell it for ever. What was refused, or true already, the
//! log does not tell: that is recorded, and kept for longer than the command itself could come again.

use domain::instance::InstanceDecider;
use domain::retention_plan::RetentionPlanDecider;
use domain::template::TemplateDecider;
use domain::token::TokenDecider;
use domain::{Command, CommandId, Refusal};
use serde::{Deserialize, Serialize};

use crate::connection::Store;
use crate::error::Unavailable;
use crate::journal::LoadError;
use crate::upcast::Stored;

/// What became of a command.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "outcome", rename_all = "snake_case")]
pub enum Outcome {
    /// It has taken effect, or was true already. A view that has reached `sequence` shows it.
    Done { sequence: u64 },
    /// It contradicts the state of things.
    Refused { refusal: Refusal },
    /// The log of the aggregate it is for cannot be read. A person has to look.
    Failed { reason: String },
}

/// What a decider decides.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decision {
    /// The log has the command's events, the last of them at `sequence`.
    Appended { sequence: u64 },
    /// Nothing was appended, so that only a record can tell the same when the command comes again.
    Unchanged(Outcome),
}

impl Store {
    /// What became of a command; none if it is undecided.
    pub(crate) async fn outcome(
        &self,
        command: &Command,
        id: CommandId,
    ) -> Result<Option<Outcome>, Unavailable> {
        if let Some(recorded) = self.recorded_outcome(id).await? {
            return Ok(Some(recorded));
        }
        let sequence = match command {
            Command::Instance { id: instance, .. } => self.done_by::<InstanceDecider>(instance, id).await?,
            Command::Token { id: token, .. } => self.done_by::<TokenDecider>(token, id).await?,
            Command::Template { id: template, .. } => self.done_by::<TemplateDecider>(template, id).await?,
            Command::RetentionPlan { id: instance, .. } => {
                self.done_by::<RetentionPlanDecider>(instance, id).await?
            }
        };
        Ok(sequence.map(|sequence| Outcome::Done { sequence }))
    }

    async fn done_by<D: Stored>(&self, id: &D::Id, command: CommandId) -> Result<Option<u64>, Unavailable> {
        match self.load::<D>(id, command).await {
            Ok(aggregate) => Ok(aggregate.done_by_command),
            Err(LoadError::Unavailable(error)) => Err(error),
            Err(error @ (LoadError::Unreadable(_) | LoadError::Corrupt { .. })) => {
                Err(Unavailable::new("look for a command in the log", error))
            }
        }
    }
}
