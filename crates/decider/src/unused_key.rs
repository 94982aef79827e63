//! A secret is sealed before the command that carries it is decided, and that makes the key of what the command would
//! create. Where the command is refused, the key opens nothing and goes.

use domain::instance::{self, InstanceDecider};
use domain::template::{self, TemplateDecider};
use domain::token::{self, TokenDecider};
use domain::{Command, CommandId};
use store::{LoadError, Store, Unavailable};
use uuid::Uuid;

/// Shreds the key of what a refused command would have created, unless it exists: then another command has created it,
/// and its secrets are sealed under the same key.
///
/// A command for what exists leaves no key either: it had one before, or gets none once it has ended.
///
/// # Errors
/// NATS did not answer. The command has to be decided again.
pub(crate) async fn shred(store: &Store, command: &Command, refused: CommandId) -> Result<(), Unavailable> {
    let (owner, unused) = match is_unused(store, command, refused).await {
        Ok(Some(found)) => found,
        Ok(None) => return Ok(()),
        Err(LoadError::Unavailable(error)) => return Err(error),
        Err(error @ (LoadError::Unreadable(_) | LoadError::Corrupt { .. })) => {
            tracing::warn!(
                error = &error as &dyn std::error::Error,
                "not known whether a key is needed, so it is kept"
            );
            return Ok(());
        }
    };
    // A mark of what was never there would be kept for ever.
    if unused && store.keys().has(owner).await? {
        store.keys().shred(owner).await?;
        tracing::info!(%owner, "key of a refused command shredded");
    }
    Ok(())
}

/// What a command would have created, and whether it does not exist; none if the command creates nothing.
async fn is_unused(
    store: &Store,
    command: &Command,
    refused: CommandId,
) -> Result<Option<(Uuid, bool)>, LoadError> {
    Ok(match command {
        Command::Instance { id, command: instance::Command::Create { .. } } => {
            let state = store.load::<InstanceDecider>(id, refused).await?.state;
            Some((id.0, state.live().is_none()))
        }
        Command::Token { id, command: token::Command::Issue { .. } } => {
            let state = store.load::<TokenDecider>(id, refused).await?.state;
            Some((id.0, !matches!(state, token::State::Active(_))))
        }
        Command::Template { id, command: template::Command::Create { .. } } => {
            let state = store.load::<TemplateDecider>(id, refused).await?.state;
            Some((id.0, state.active().is_none()))
        }
        Command::Instance { .. }
        | Command::Token { .. }
        | Command::Template { .. }
        | Command::RetentionPlan { .. } => None,
    })
}
