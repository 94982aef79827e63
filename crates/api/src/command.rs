//! How a request becomes a command that takes effect once.
//!
//! The client's `Idempotency-Key` names the command: its id, and the ids of whatever it creates, are derived from the
//! key, so that the same request sent again is the same command and not a second one.

mod ended;
mod if_match;
mod key;
mod preference;
mod repeat;

use axum::extract::FromRequestParts;
use domain::{Actor, Command, CommandId};
use http::HeaderMap;
use http::request::Parts;
use jiff::Timestamp;
use serde::Serialize;
use store::{Claim, Given, Outcome, SendError};
use uuid::Uuid;
use zeroize::Zeroizing;

use crate::app::App;
use crate::commands::Accepted;
use crate::error::Error;
use if_match::IfMatch;
use key::CommandKey;
use preference::Preference;

pub(crate) use key::{KEY_BYTES_MAX, name_command};

/// Who sends a command, under which name, for which revision, and how the answer is wanted.
#[derive(Debug)]
pub(crate) struct Caller {
    key: CommandKey,
    if_match: IfMatch,
    preference: Preference,
    traceparent: Option<String>,
}

impl<S: Send + Sync> FromRequestParts<S> for Caller {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Error> {
        let key = match parts.extensions.get::<CommandKey>() {
            Some(key) => key.clone(),
            None => CommandKey::of_request(&parts.headers)?,
        };
        Ok(Caller {
            key,
            if_match: IfMatch::of_request(&parts.headers)?,
            preference: Preference::of_request(&parts.headers),
            traceparent: traceparent(&parts.headers),
        })
    }
}

/// The trace context of the request, if it has the form of W3C Trace Context section 3.2.2, version 00.
fn traceparent(headers: &HeaderMap) -> Option<String> {
    let text = headers.get("traceparent")?.to_str().ok()?;
    let lengths: Vec<usize> = text.split('-').map(str::len).collect();
    let hexadecimal = text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f' | b'-'));
    (lengths == [2, 32, 16, 2] && hexadecimal && text.starts_with("00-")).then(|| text.to_owned())
}

impl Caller {
    /// The id of what the command creates: the same for the same command.
    pub(crate) fn derive_id(&self, purpose: &str) -> Uuid {
        Uuid::new_v5(&self.key.id(), purpose.as_bytes())
    }

    /// The command that the request becomes, if it is for this aggregate.
    pub(crate) fn command_id(&self, wish: &Wish, aggregate: Uuid) -> CommandId {
        wish.claim.command_id(aggregate)
    }

    /// Where a part of the request comes from that may be sent again under another id.
    pub(crate) fn given_part(&self) -> Given {
        self.given(CommandId(Uuid::now_v7()))
    }

    fn given(&self, command_id: CommandId) -> Given {
        let cause = format!("request:{}", self.key.as_str());
        let traceparent = self.traceparent.clone();
        Given { traceparent, ..Given::new(command_id, Actor::Admin, cause, Timestamp::now()) }
    }
}

/// What a request wants: names the one command that it becomes.
#[derive(Debug)]
pub(crate) struct Wish {
    claim: Claim,
    /// What the request was for when it came before.
    target: Option<Uuid>,
}

impl Wish {
    /// What the request is for: what it was for when it came before, and else what `resolve` finds. A name may have
    /// passed to another in between, or to nobody.
    pub(crate) fn target(&self, resolve: impl FnOnce() -> Result<Uuid, Error>) -> Result<Uuid, Error> {
        self.target.map_or_else(resolve, Ok)
    }
}

impl App {
    /// Reads what a request wants, before anything is looked up or anything random is added. `references` name what
    /// it is for, as the path has them.
    ///
    /// # Errors
    /// The key was used with another request.
    pub(crate) async fn wish(
        &self,
        caller: &Caller,
        command: &'static str,
        references: &[&str],
        body: &impl Serialize,
    ) -> Result<Wish, Error> {
        let content = serde_json::to_vec(&(command, references, &caller.if_match, body))
            .expect("what came as JSON goes as JSON");
        // Keyed, because a request may hold secrets that could be guessed otherwise.
        let request_digest = self.store.vault().digest(&Zeroizing::new(content)).0;
        let claim = Claim { key: caller.key.id(), at: Timestamp::now(), request_digest };
        // A key that was made just now has no past, and what is named by its id, or created, is not looked up.
        let is_clear = match references {
            [] => true,
            [one] => one.parse::<Uuid>().is_ok(),
            [..] => false,
        };
        let looks = caller.key.is_clients_own && !is_clear;
        let target = if looks { self.store.claimed_target(&claim).await? } else { None };
        Ok(Wish { claim, target })
    }

    /// Sends a command and waits until it is decided and the views show what it led to. Gives the sequence of its
    /// last event.
    ///
    /// # Errors
    /// `Error::Undecided` if nobody decided in time, or the client does not want to wait: it is answered as accepted.
    pub(crate) async fn carry_out(
        &self,
        caller: &Caller,
        command: &Command,
        wish: Wish,
    ) -> Result<u64, Error> {
        let given = given(caller, command, wish, self.directory.revision(command));
        self.send(caller, command, given).await
    }

    /// The same for what follows from an event, and counts only as long as its aggregate has this revision.
    ///
    /// # Errors
    /// As [`App::carry_out`].
    pub(crate) async fn carry_out_because(
        &self,
        caller: &Caller,
        command: &Command,
        wish: Wish,
        because: u64,
        revision: u64,
    ) -> Result<u64, Error> {
        let given = Given {
            causation_id: Given::caused_by_event(because),
            expected_revision: Some(revision),
            ..given(caller, command, wish, Some(revision))
        };
        self.send(caller, command, given).await
    }

    async fn send(&self, caller: &Caller, command: &Command, given: Given) -> Result<u64, Error> {
        let wait = caller.preference.wait(self.config.command_wait);
        let sequence = match self.store.send(command, &given, wait).await {
            // Who does not wait gets one answer, whether or not a decider was as quick.
            Ok(_) if wait.is_zero() => {
                let respond_async = caller.preference.respond_async;
                return Err(Error::Undecided(Accepted::new(given.command_id, respond_async)));
            }
            Ok(Outcome::Done { sequence }) => sequence,
            Ok(Outcome::Refused { refusal }) => return Err(Error::Refused(refusal)),
            Ok(Outcome::Failed { reason }) => {
                tracing::error!(command_id = %given.command_id, reason, "command cannot be decided");
                return Err(Error::LogUnreadable);
            }
            Err(SendError::Undecided(id)) => {
                return Err(Error::Undecided(Accepted::new(id, caller.preference.respond_async)));
            }
            Err(error) => return Err(error.into()),
        };
        self.directory.shows(command, sequence, self.config.view_wait).await?;
        Ok(sequence)
    }
}

/// `shown` is the revision that people see now.
fn given(caller: &Caller, command: &Command, wish: Wish, shown: Option<u64>) -> Given {
    let id = caller.command_id(&wish, command.aggregate_id());
    let expected_revision = caller.if_match.expected(shown);
    Given { expected_revision, claim: Some(wish.claim), ..caller.given(id) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_well_formed_trace_context_is_kept() {
        let kept = |text: &str| {
            traceparent(&HeaderMap::from_iter([("traceparent".parse().unwrap(), text.parse().unwrap())]))
        };
        let good = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
        assert_eq!(kept(good).as_deref(), Some(good));
        for bad in
            ["", "00", &good.to_uppercase(), &good[1..], &format!("{good}-00"), &good.replacen("00", "01", 1)]
        {
            assert_eq!(kept(bad), None, "{bad}");
        }
    }
}
