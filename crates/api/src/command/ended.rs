//! Requests that bring secrets for what has ended: its key was shredded, and it never gets another.

use domain::CommandId;
use store::{CommandState, Outcome};
use uuid::Uuid;

use super::{Caller, Wish};
use crate::app::App;
use crate::commands::Accepted;
use crate::error::Error;

impl App {
    /// What was sealed under the key of `owner`, which the request creates. Where that key was shredded the request has
    /// come before, and is answered with what became of it: `gone`, if it took effect.
    ///
    /// # Errors
    /// Nothing was sealed.
    pub(crate) async fn sealed_for_new<T>(
        &self,
        (caller, wish): (&Caller, &Wish),
        owner: Uuid,
        sealed: Result<T, Error>,
        gone: impl FnOnce() -> Error,
    ) -> Result<T, Error> {
        self.sealed(caller.command_id(wish, owner), owner, sealed, gone, || Error::KeyReused).await
    }

    /// The same for what exists already, or is `gone`.
    ///
    /// # Errors
    /// Nothing was sealed.
    pub(crate) async fn sealed_for<T>(
        &self,
        (caller, wish): (&Caller, &Wish),
        owner: Uuid,
        sealed: Result<T, Error>,
        gone: impl Fn() -> Error,
    ) -> Result<T, Error> {
        self.sealed(caller.command_id(wish, owner), owner, sealed, &gone, &gone).await
    }

    async fn sealed<T>(
        &self,
        command: CommandId,
        owner: Uuid,
        sealed: Result<T, Error>,
        gone: impl FnOnce() -> Error,
        unknown: impl FnOnce() -> Error,
    ) -> Result<T, Error> {
        match sealed {
            Err(error) if error.is_shredded(owner) => Err(match self.store.command_state(command).await? {
                Some(CommandState::Pending { .. }) => Error::Undecided(Accepted::new(command, false)),
                Some(CommandState::Decided(Outcome::Done { .. })) => gone(),
                Some(CommandState::Decided(Outcome::Refused { refusal })) => Error::Refused(refusal),
                Some(CommandState::Decided(Outcome::Failed { .. })) => Error::LogUnreadable,
                None => unknown(),
            }),
            sealed => sealed,
        }
    }
}
