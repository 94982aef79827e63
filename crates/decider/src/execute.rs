//! The only write path: load, decide, append.

use domain::instance::{self, InstanceDecider};
use domain::instance_name::NameDecider;
use domain::token::{self, TokenDecider};
use domain::{Command, InstanceId, Refusal, TokenId};
use store::{Aggregate, AppendError, Given, LoadError, Outcome, Store, Stored, Unavailable, Write};

/// How often a command is decided anew because somebody else was faster.
const CONFLICTS_MAX: usize = 16;

/// Why a command has no outcome yet. It is tried again later.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ExecuteError {
    #[error("{CONFLICTS_MAX} others were faster")]
    Contended,
    #[error(transparent)]
    Unavailable(#[from] Unavailable),
}

/// One attempt's way to end without an outcome.
#[derive(Debug, thiserror::Error)]
enum AttemptError {
    #[error(transparent)]
    Load(#[from] LoadError),
    #[error(transparent)]
    Append(#[from] AppendError),
    #[error(transparent)]
    Refused(#[from] Refusal),
}

/// Decides a command and appends what it leads to.
pub(crate) async fn execute(
    store: &Store,
    command: &Command,
    given: &Given,
) -> Result<Outcome, ExecuteError> {
    for _ in 0..CONFLICTS_MAX {
        let attempt = match command {
            Command::Instance { id, command } => instance_command(store, *id, command.clone(), given).await,
            Command::Token { id, command } => token_command(store, *id, command.clone(), given).await,
        };
        match attempt {
            Ok(sequence) => return Ok(Outcome::Done { sequence }),
            Err(AttemptError::Refused(refusal)) => {
                tracing::info!(%refusal, "command refused");
                return Ok(Outcome::Refused { refusal });
            }
            Err(AttemptError::Append(AppendError::Conflict)) => {}
            Err(
                AttemptError::Append(AppendError::Unavailable(error))
                | AttemptError::Load(LoadError::Unavailable(error)),
            ) => return Err(error.into()),
            Err(AttemptError::Load(error @ (LoadError::Unreadable(_) | LoadError::Corrupt { .. }))) => {
                tracing::error!(
                    error = &error as &dyn std::error::Error,
                    "the log of an aggregate is damaged"
                );
                return Ok(Outcome::Failed { reason: error.to_string() });
            }
        }
    }
    Err(ExecuteError::Contended)
}

async fn instance_command(
    store: &Store,
    id: InstanceId,
    command: instance::Command,
    given: &Given,
) -> Result<u64, AttemptError> {
    let instance = store.load::<InstanceDecider>(&id, given.command_id).await?;
    if let Some(sequence) = instance.done_by_command {
        return Ok(sequence);
    }
    let events = decide::<InstanceDecider>(&instance, command)?;
    let mut writes = Vec::new();
    // The name first: the last event's sequence answers the command, and views wait for the instance's.
    for event in &events {
        if let Some((name, command)) = instance::name_command(id, &instance.state, event) {
            let name_now = store.load::<NameDecider>(&name, given.command_id).await?;
            let events = decide::<NameDecider>(&name_now, command)?;
            push(&mut writes, Write::new::<NameDecider>(&name, name_now.last_sequence, &events), &events);
        }
    }
    push(&mut writes, Write::new::<InstanceDecider>(&id, instance.last_sequence, &events), &events);
    append(store, &writes, instance.last_sequence, given).await
}

async fn token_command(
    store: &Store,
    id: TokenId,
    mut command: token::Command,
    given: &Given,
) -> Result<u64, AttemptError> {
    let token = store.load::<TokenDecider>(&id, given.command_id).await?;
    if let Some(sequence) = token.done_by_command {
        return Ok(sequence);
    }
    if let token::Command::Issue { instance, instance_exists, .. } = &mut command {
        let instance = store.load::<InstanceDecider>(instance, given.command_id).await?;
        *instance_exists = instance.state.live().is_some();
    }
    let events = decide::<TokenDecider>(&token, command)?;
    let write = Write::new::<TokenDecider>(&id, token.last_sequence, &events);
    let mut writes = Vec::new();
    push(&mut writes, write, &events);
    append(store, &writes, token.last_sequence, given).await
}

fn decide<D>(aggregate: &Aggregate<D>, command: D::Command) -> Result<Vec<D::Event>, Refusal>
where
    D: Stored,
    Refusal: From<D::Refusal>,
{
    D::decide(&aggregate.state, command).map_err(Refusal::from)
}

fn push<E>(writes: &mut Vec<Write>, write: Write, events: &[E]) {
    if !events.is_empty() {
        writes.push(write);
    }
}

/// Appends, or, if there is nothing to append, answers with what was true already.
async fn append(store: &Store, writes: &[Write], now: u64, given: &Given) -> Result<u64, AttemptError> {
    if writes.is_empty() {
        return Ok(now);
    }
    let sequence = store.append(writes, &given.metadata()).await?;
    tracing::info!(sequence, "command done");
    Ok(sequence)
}
