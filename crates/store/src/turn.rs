//! Whose word on a command counts, where the log does not say it.
//!
//! A command may come to a second decider while the first is still at work: because the time to acknowledge is over, or
//! because a server that was killed has forgotten whom it gave the command. What both append is decided by the log. But
//! the world moves on, and one may refuse what the other carries out. So a decider that may be the second one leaves a
//! mark at the command's place in OUTCOMES before it decides, and an outcome is recorded only if nothing was stored
//! there since its decider took the command: a mark is a fencing token.

use async_nats::HeaderMap;
use async_nats::header as nats_header;
use async_nats::jetstream::stream::DirectGetErrorKind;
use bytes::Bytes;
use domain::CommandId;

use crate::codec;
use crate::commit::{CommitError, Message};
use crate::connection::Store;
use crate::error::{During, Unavailable};
use crate::outcome::Outcome;
use crate::subject;

/// How often a decider tries to take a command over while others do.
const TURNS_MAX: usize = 8;

/// A decider's turn: the sequence at which the command's place in OUTCOMES ended when it took the command.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Turn(u64);

impl Turn {
    /// Of the decider that a command comes to first.
    pub(crate) const FIRST: Self = Turn(0);
}

/// What came of taking a command over.
pub(crate) enum Turned {
    /// It is ours to decide, and what those decide who had it before is not recorded any more.
    Ours(Turn),
    /// It is decided.
    Recorded(Turn, Outcome),
}

impl From<Turned> for (Turn, Option<Outcome>) {
    fn from(turned: Turned) -> Self {
        match turned {
            Turned::Ours(turn) => (turn, None),
            Turned::Recorded(turn, outcome) => (turn, Some(outcome)),
        }
    }
}

/// What lies at a command's place in OUTCOMES.
struct Record {
    sequence: u64,
    /// None is a mark.
    outcome: Option<Outcome>,
}

impl Store {
    /// Takes a command over that another decider may be at work on.
    pub(crate) async fn take_turn(&self, id: CommandId) -> Result<Turned, Unavailable> {
        for _ in 0..TURNS_MAX {
            let before = match self.record(id).await? {
                Some(Record { sequence, outcome: Some(outcome) }) => {
                    return Ok(Turned::Recorded(Turn(sequence), outcome));
                }
                Some(Record { sequence, outcome: None }) => Turn(sequence),
                None => Turn::FIRST,
            };
            if let Some(mark) = self.put(id, before, Bytes::new()).await? {
                return Ok(Turned::Ours(mark));
            }
        }
        Err(Unavailable::new("take a command over", "others take it over at the same time"))
    }

    /// Records an outcome that the log does not tell. False if it is another's turn.
    pub(crate) async fn record_outcome(
        &self,
        id: CommandId,
        turn: Turn,
        outcome: &Outcome,
    ) -> Result<bool, Unavailable> {
        Ok(self.put(id, turn, codec::encode(outcome).into()).await?.is_some())
    }

    /// The outcome that was recorded because the log does not tell it.
    pub(crate) async fn recorded_outcome(&self, id: CommandId) -> Result<Option<Outcome>, Unavailable> {
        Ok(self.record(id).await?.and_then(|record| record.outcome))
    }

    async fn record(&self, id: CommandId) -> Result<Option<Record>, Unavailable> {
        const OPERATION: &str = "read an outcome";
        let stream = self.jetstream.get_stream_no_info(subject::OUTCOMES).await.during(OPERATION)?;
        let message = match stream.direct_get_last_for_subject(subject::outcome(id)).await {
            Ok(message) => message,
            Err(error) if error.kind() == DirectGetErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(Unavailable::new(OPERATION, error)),
        };
        let outcome = match message.payload.as_ref() {
            [] => None,
            outcome => Some(codec::decode(outcome).during(OPERATION)?),
        };
        Ok(Some(Record { sequence: message.sequence, outcome }))
    }

    /// Stores something at a command's place, unless it ends elsewhere than at `turn`.
    async fn put(&self, id: CommandId, turn: Turn, payload: Bytes) -> Result<Option<Turn>, Unavailable> {
        let mut headers = HeaderMap::new();
        headers.insert(nats_header::NATS_EXPECTED_LAST_SUBJECT_SEQUENCE, turn.0.to_string());
        let message = Message { subject: subject::outcome(id), headers, payload };
        match self.outcomes.commit(vec![message]).await {
            Ok(sequence) => Ok(Some(Turn(sequence))),
            Err(CommitError::Conflict) => Ok(None),
            Err(CommitError::Unavailable(error)) => Err(error),
        }
    }
}
