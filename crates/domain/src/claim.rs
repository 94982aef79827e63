//! What at most one may hold: a name of an instance or of a template, a credential within its instance.
//!
//! ```text
//! Free ──claim──▶ Claimed ──release──▶ Free
//! ```
//!
//! Claims are aggregates of their own because uniqueness can only be decided where the log can check it: whatever
//! creates a holder claims in the same atomic batch, under the claim's own expected sequence. Two writers that want
//! the same thing meet there, and one of them loses.

mod credential;

pub use credential::{CredentialId, MalformedCredentialId};

use std::fmt::{Debug, Display};
use std::marker::PhantomData;

use schemars::JsonSchema;
use serde::de::DeserializeOwned;
use serde::ser::SerializeStruct;
use serde::{Deserialize, Serialize, Serializer};

use crate::name::Name;
use crate::{Decider, ImpossibleEvent, InstanceId, TemplateId, TokenId};

/// A kind of thing that is claimed.
pub trait Claimable: 'static {
    /// The aggregate's name as it stands in subjects.
    const NAME: &'static str;
    /// The wire name of the event that gives it to somebody.
    const CLAIMED: &'static str;
    /// The wire name of the event that makes it free.
    const RELEASED: &'static str;

    /// What is claimed.
    type Id: Clone + Display;
    /// Who claims it.
    type Holder: Copy + Debug + Display + PartialEq + Eq + Serialize + DeserializeOwned + Send + Sync;
}

/// The name of an instance.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InstanceNames;

impl Claimable for InstanceNames {
    const NAME: &'static str = "instance_name";
    const CLAIMED: &'static str = "instance_name.claimed";
    const RELEASED: &'static str = "instance_name.released";

    type Id = Name;
    type Holder = InstanceId;
}

/// The name of a template.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TemplateNames;

impl Claimable for TemplateNames {
    const NAME: &'static str = "template_name";
    const CLAIMED: &'static str = "template_name.claimed";
    const RELEASED: &'static str = "template_name.released";

    type Id = Name;
    type Holder = TemplateId;
}

/// A credential within its instance: two tokens with one value could not be told apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Credentials;

impl Claimable for Credentials {
    const NAME: &'static str = "credential";
    const CLAIMED: &'static str = "credential.claimed";
    const RELEASED: &'static str = "credential.released";

    type Id = CredentialId;
    type Holder = TokenId;
}

/// Who holds it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State<H> {
    Free,
    Claimed(H),
}

// Derived, it would ask for a holder that has a default.
#[expect(clippy::derivable_impls, reason = "a derive would bound H by Default")]
impl<H> Default for State<H> {
    fn default() -> Self {
        State::Free
    }
}

/// What can be wished of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Command<H> {
    Claim { holder: H },
    Release { holder: H },
}

/// What happens to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event<C: Claimable> {
    Claimed(Claim<C::Holder>),
    Released(Claim<C::Holder>),
}

/// `….claimed`: somebody holds it from now on. `….released`: it can be claimed again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Claim<H> {
    pub holder: H,
}

impl<C: Claimable> Event<C> {
    /// The wire name.
    pub fn name(&self) -> &'static str {
        match self {
            Event::Claimed(_) => C::CLAIMED,
            Event::Released(_) => C::RELEASED,
        }
    }
}

/// As other aggregates' events: `name` and `data`.
impl<C: Claimable> Serialize for Event<C> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let (Event::Claimed(claim) | Event::Released(claim)) = self;
        let mut event = serializer.serialize_struct("Event", 2)?;
        event.serialize_field("name", self.name())?;
        event.serialize_field("data", claim)?;
        event.end()
    }
}

/// Why a claim is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error, Serialize, Deserialize)]
#[serde(tag = "code", rename_all = "snake_case")]
pub enum Refusal<H: Display> {
    #[error("it belongs to {holder}")]
    Taken { holder: H },
}

/// The aggregate.
pub struct ClaimDecider<C>(PhantomData<C>);

impl<C> Decider for ClaimDecider<C>
where
    C: Claimable + Clone + Debug,
    Refusal<C::Holder>: std::error::Error,
{
    const NAME: &'static str = C::NAME;

    type Id = C::Id;
    type State = State<C::Holder>;
    type Command = Command<C::Holder>;
    type Event = Event<C>;
    type Refusal = Refusal<C::Holder>;

    fn decide(state: &Self::State, command: Command<C::Holder>) -> Result<Vec<Event<C>>, Refusal<C::Holder>> {
        match (command, state) {
            (Command::Claim { holder }, State::Free) => Ok(vec![Event::Claimed(Claim { holder })]),
            (Command::Claim { holder }, State::Claimed(by)) if *by == holder => Ok(vec![]),
            (Command::Claim { .. }, State::Claimed(by)) => Err(Refusal::Taken { holder: *by }),
            (Command::Release { holder }, State::Claimed(by)) if *by == holder => {
                Ok(vec![Event::Released(Claim { holder })])
            }
            (Command::Release { .. }, State::Free | State::Claimed(_)) => Ok(vec![]),
        }
    }

    fn evolve(state: Self::State, event: &Event<C>) -> Result<Self::State, ImpossibleEvent> {
        match (event, state) {
            (Event::Claimed(claim), State::Free) => Ok(State::Claimed(claim.holder)),
            (Event::Released(claim), State::Claimed(by)) if by == claim.holder => Ok(State::Free),
            (Event::Released(_), State::Free) => Err(ImpossibleEvent { event: event.name(), stage: "free" }),
            (Event::Claimed(_) | Event::Released(_), State::Claimed(_)) => {
                Err(ImpossibleEvent { event: event.name(), stage: "claimed" })
            }
        }
    }

    fn event_name(event: &Event<C>) -> &'static str {
        event.name()
    }

    /// People change holders, never claims.
    fn revision(_: &Self::State) -> u64 {
        0
    }
}

#[cfg(test)]
mod tests;
