//! Tells the log what became of a replica, as commands like any other.

use std::time::Duration;

use domain::instance::{Command, Fact};
use domain::{Actor, InstanceId, Refusal, ReplicaId};
use jiff::Timestamp;
use store::{Given, Outcome, Store};
use uuid::Uuid;

use crate::ROLE;

/// How long one attempt waits for the outcome.
const OUTCOME_MAX: Duration = Duration::from_secs(10);
/// The pause after an attempt without an outcome; doubles up to [`RETRY_PAUSE_MAX`].
const RETRY_PAUSE_MIN: Duration = Duration::from_millis(250);
const RETRY_PAUSE_MAX: Duration = Duration::from_secs(10);

/// A replica by everything that a report names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Subject {
    pub(crate) instance: InstanceId,
    pub(crate) replica: ReplicaId,
    pub(crate) generation: u64,
    /// The sequence of the row that led to what is reported.
    pub(crate) cause: u64,
}

/// Why the log does not take a fact.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Unwanted {
    #[error(transparent)]
    Refused(Refusal),
    #[error("the log of the instance cannot be read: {0}")]
    Unreadable(String),
}

/// Reports a fact and waits for the log's word on it, as long as it takes: the same command again and again, which
/// takes effect once. Gives the sequence of the event.
///
/// # Errors
/// The log does not want the replica, or does not know the instance.
pub(crate) async fn report(store: &Store, subject: Subject, fact: Fact) -> Result<u64, Unwanted> {
    let Subject { instance, replica, generation, cause } = subject;
    let command =
        domain::Command::Instance { id: instance, command: Command::Report { replica, generation, fact } };
    let id = domain::CommandId(Uuid::now_v7());
    let (actor, cause) = (Actor::Role(ROLE.to_owned()), Given::caused_by_event(cause));
    let given = Given::new(id, actor, cause, Timestamp::now());
    let mut pause = RETRY_PAUSE_MIN;
    loop {
        match store.send(&command, &given, OUTCOME_MAX).await {
            Ok(Outcome::Done { sequence }) => return Ok(sequence),
            Ok(Outcome::Refused { refusal }) => return Err(Unwanted::Refused(refusal)),
            Ok(Outcome::Failed { reason }) => return Err(Unwanted::Unreadable(reason)),
            Err(error) => {
                let error = &error as &dyn std::error::Error;
                tracing::warn!(command = %id, error, "report on a replica; trying again");
            }
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(RETRY_PAUSE_MAX);
    }
}
