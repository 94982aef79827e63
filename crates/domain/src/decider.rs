//! What every aggregate is: a state, a function that decides, a function that evolves.

use std::fmt::{Debug, Display};

use serde::Serialize;
use serde::de::DeserializeOwned;

/// One aggregate. Both functions are synchronous and total, so that a rule can be tested without a runtime and a
/// log can be folded anywhere.
pub trait Decider {
    /// The aggregate's name as it stands in subjects: `events.<NAME>.<id>`.
    const NAME: &'static str;

    type Id: Clone + Display;
    type State: Clone + Default + Serialize + DeserializeOwned;
    type Command;
    type Event: Clone + Debug;
    type Refusal: std::error::Error;

    /// The events that a command leads to. A wish that is already true gives none; a contradiction is refused.
    ///
    /// # Errors
    /// The aggregate's refusal, which is final for this state: trying again changes nothing.
    fn decide(state: &Self::State, command: Self::Command) -> Result<Vec<Self::Event>, Self::Refusal>;

    /// The state after an event.
    ///
    /// # Errors
    /// An event that `decide` could not have given in this state. The log of that one aggregate is corrupt.
    fn evolve(state: Self::State, event: &Self::Event) -> Result<Self::State, ImpossibleEvent>;

    /// The wire name of an event, a literal: `instance.created`.
    fn event_name(event: &Self::Event) -> &'static str;

    /// Counts what people have changed, so that somebody who has seen revision 3 can ask for a change of just that.
    /// What the platform itself reports does not count.
    fn revision(state: &Self::State) -> u64;
}

/// An event met a state in which it cannot happen.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{event} cannot happen to an aggregate that is {stage}")]
pub struct ImpossibleEvent {
    pub event: &'static str,
    pub stage: &'static str,
}

/// Given/when/then, for the tests of every aggregate.
#[cfg(test)]
pub(crate) mod testing {
    use super::{Debug, Decider};

    /// The past of an aggregate.
    pub(crate) struct Given<D: Decider>(D::State);

    /// The outcome of a command.
    pub(crate) struct When<D: Decider>(Result<Vec<D::Event>, D::Refusal>);

    #[track_caller]
    pub(crate) fn given<D: Decider>(past: impl IntoIterator<Item = D::Event>) -> Given<D> {
        let state = past.into_iter().fold(D::State::default(), |state, event| {
            D::evolve(state, &event).expect("the given past must be possible")
        });
        Given(state)
    }

    impl<D: Decider> Given<D> {
        pub(crate) fn when(self, command: D::Command) -> When<D> {
            When(D::decide(&self.0, command))
        }
    }

    impl<D: Decider> When<D>
    where
        D::Event: PartialEq,
        D::Refusal: PartialEq + Debug,
    {
        #[track_caller]
        pub(crate) fn then(self, expected: impl IntoIterator<Item = D::Event>) {
            assert_eq!(self.0, Ok(expected.into_iter().collect()));
        }

        #[track_caller]
        pub(crate) fn then_refused(self, expected: D::Refusal) {
            assert_eq!(self.0, Err(expected));
        }
    }
}
