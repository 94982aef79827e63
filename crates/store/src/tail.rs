//! Events as they come, for people and for reactions.

use std::str::FromStr;

use domain::Recorded;

use crate::connection::Store;
use crate::envelope;
use crate::error::{Unavailable, Unreadable};
use crate::reader::{self, Read, Reader};
use crate::subject::{self, header};
use crate::upcast;

/// Where a tail begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Start {
    Beginning,
    /// With the event of this sequence, or the next one that passes the filter.
    Sequence(u64),
    /// With the next event that happens.
    New,
}

/// Which events, from where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tail {
    pub start: Start,
    /// Only this kind of aggregate.
    pub aggregate: Option<AggregateName>,
    /// Only the aggregate with this id.
    pub id: Option<AggregateId>,
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
    let legal = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    if !text.is_empty() && text.bytes().all(legal) { Ok(text.to_owned()) } else { Err(NotAToken) }
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

/// Why a tail cannot go on.
#[derive(Debug, thiserror::Error)]
pub enum TailError {
    #[error(transparent)]
    Unavailable(#[from] Unavailable),
    #[error(transparent)]
    Unreadable(#[from] Unreadable),
}

/// The events of a [`Tail`].
pub struct Events {
    reader: Reader,
}

impl Store {
    /// Follows the log. A lost connection is waited out.
    ///
    /// # Errors
    /// NATS did not say where the log ends.
    pub async fn tail(&self, tail: &Tail) -> Result<Events, Unavailable> {
        let aggregate = tail.aggregate.as_ref().map_or("*", |name| name.0.as_str());
        let id = tail.id.as_ref().map_or(">", |id| id.0.as_str());
        let next_sequence = match tail.start {
            Start::Beginning => 1,
            Start::Sequence(sequence) => sequence,
            Start::New => self.last_event().await? + 1,
        };
        let filter = subject::event(aggregate, id);
        Ok(Events { reader: Reader::new(self.clone(), subject::EVENTS, filter, next_sequence) })
    }

    /// The sequence of the last event; 0 before the first.
    ///
    /// # Errors
    /// NATS did not answer.
    pub async fn last_event(&self) -> Result<u64, Unavailable> {
        reader::bounds(self, subject::EVENTS).await.map(|bounds| bounds.last_sequence)
    }
}

impl Events {
    /// The next event. Waits as long as it takes; dropping the future loses nothing.
    ///
    /// # Errors
    /// The event cannot be read.
    pub async fn next(&mut self) -> Result<Recorded, Unreadable> {
        let Read { message, sequence, .. } = self.reader.next().await;
        recorded(&message, sequence)
    }
}

/// A message of EVENTS as an event.
pub(crate) fn recorded(message: &async_nats::Message, sequence: u64) -> Result<Recorded, Unreadable> {
    let subject = message.subject.as_str();
    let unreadable =
        |source: Box<dyn std::error::Error + Send + Sync>| Unreadable::new(subject, sequence, source);
    let headers = message.headers.as_ref().ok_or_else(|| unreadable("the headers are absent".into()))?;
    let (aggregate, id) =
        subject::parse_event(subject).ok_or_else(|| unreadable("the subject is no event's".into()))?;
    let name = envelope::text(headers, header::EVENT).map_err(|error| unreadable(error.into()))?;
    let version = envelope::parse(headers, header::VERSION).map_err(|error| unreadable(error.into()))?;
    let metadata = envelope::read_metadata(headers).map_err(|error| unreadable(error.into()))?;
    let event = upcast::read_any(aggregate, id, name, version, &message.payload)
        .map_err(|error| unreadable(error.into()))?;
    Ok(Recorded { sequence, metadata, event })
}
