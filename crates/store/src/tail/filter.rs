//! Which events pass: by aggregate, by id, by type, by actor.

use std::str::FromStr;

use domain::Actor;

use crate::stored_event::StoredEvent;
use crate::subject::{self, header};
use crate::upcast;

/// Which events; every one of them if nothing is said.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    /// Only this kind of aggregate.
    pub aggregate: Option<AggregateName>,
    /// Only the aggregate with this id.
    pub id: Option<AggregateId>,
    /// Only events of this type.
    pub event: Option<EventType>,
    /// Only what this actor has led to.
    pub actor: Option<Actor>,
}

impl Filter {
    /// The subjects of what may pass: NATS leaves the others out.
    pub(crate) fn subjects(&self) -> String {
        let of_type = self.event.as_ref().map(EventType::aggregate);
        let aggregate = self.aggregate.as_ref().map(|name| name.0.as_str()).or(of_type).unwrap_or("*");
        let id = self.id.as_ref().map_or(">", |id| id.0.as_str());
        subject::event(aggregate, id)
    }

    /// Whether an event passes.
    pub(crate) fn passes(&self, event: &StoredEvent) -> bool {
        let Some((aggregate, id)) = subject::parse_event(&event.subject) else { return false };
        let text = self.actor.as_ref().map(ToString::to_string);
        self.aggregate.as_ref().is_none_or(|name| name.0 == aggregate)
            && self.id.as_ref().is_none_or(|wanted| wanted.0 == id)
            && self.event.as_ref().is_none_or(|wanted| wanted.matches(event.name().unwrap_or_default()))
            && text.is_none_or(|actor| event.header(header::ACTOR) == Some(&actor))
    }
}

/// The name of a kind of aggregate: one token of a subject.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AggregateName(String);

/// The id of an aggregate: one token of a subject.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AggregateId(String);

/// The text cannot stand in a subject.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("only letters, digits, `-` and `_` were expected")]
pub struct NotAToken;

fn token(text: &str) -> Result<String, NotAToken> {
    if subject::is_token(text) { Ok(text.to_owned()) } else { Err(NotAToken) }
}

impl FromStr for AggregateName {
    type Err = NotAToken;

    fn from_str(text: &str) -> Result<Self, NotAToken> {
        token(text).map(AggregateName)
    }
}

impl FromStr for AggregateId {
    type Err = NotAToken;

    fn from_str(text: &str) -> Result<Self, NotAToken> {
        token(text).map(AggregateId)
    }
}

/// A type of event, `instance.created`, or all types of an aggregate, `instance.*`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EventType {
    aggregate: AggregateName,
    /// None for all types of the aggregate.
    name: Option<String>,
}

/// The text names no type of event that there ever was.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a type of event such as `instance.created` was expected, or all of an aggregate: `instance.*`")]
pub struct NotAType;

impl EventType {
    fn aggregate(&self) -> &str {
        &self.aggregate.0
    }

    fn matches(&self, name: &str) -> bool {
        match &self.name {
            Some(wanted) => wanted == name,
            // The subject has chosen the aggregate already.
            None => name.split_once('.').is_some_and(|(aggregate, _)| aggregate == self.aggregate.0),
        }
    }
}

impl FromStr for EventType {
    type Err = NotAType;

    fn from_str(text: &str) -> Result<Self, NotAType> {
        let (aggregate, rest) = text.split_once('.').ok_or(NotAType)?;
        let name = if rest == "*" { None } else { Some(text.to_owned()) };
        if !upcast::is_known(aggregate, name.as_deref()) {
            return Err(NotAType);
        }
        Ok(EventType { aggregate: aggregate.parse().map_err(|NotAToken| NotAType)?, name })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_that_never_were_are_refused() {
        for known in ["instance.created", "instance.*", "token.revoked"] {
            assert!(known.parse::<EventType>().is_ok(), "{known}");
        }
        for unknown in ["", "*", "instance", "instance.", "instance.creatd", "pod.*", "token.created", ".*"] {
            assert_eq!(unknown.parse::<EventType>(), Err(NotAType), "{unknown}");
        }
    }

    #[test]
    fn a_type_alone_narrows_the_subjects() {
        let filter = |event: &str| Filter { event: event.parse().ok(), ..Filter::default() };
        assert_eq!(filter("instance.created").subjects(), "events.instance.>");
        assert_eq!(Filter::default().subjects(), "events.*.>");
    }
}
