//! The command bus: commands go in with an id that makes them take effect once, deciders share them, outcomes come
//! back.

use std::time::Duration;

use async_nats::HeaderMap;
use async_nats::header as nats_header;
use async_nats::jetstream::{self, AckKind, consumer::pull};
use bytes::Bytes;
use domain::{Actor, Command, Metadata};
use futures_util::StreamExt;
use jiff::Timestamp;

pub use domain::CommandId;

use crate::answer;
use crate::commit::{CommitError, Message};
use crate::connection::Store;
use crate::error::{self, During, Unavailable};
use crate::idempotency::Claim;
use crate::link::Reconnects;
use crate::outcome::{Decision, Outcome};
use crate::reader;
use crate::subject::{self, header};
use crate::turn::{Turn, Turned};
use crate::{codec, envelope};

/// Where a command comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Given {
    /// Names the command: the same id is the same command, however often it is sent.
    pub command_id: CommandId,
    pub actor: Actor,
    /// What led to it: a request's id, or `event:<sequence>`.
    pub causation_id: String,
    pub at: Timestamp,
    /// W3C `traceparent`, if there is one.
    pub traceparent: Option<String>,
    /// The command counts only as long as its aggregate has this revision.
    pub expected_revision: Option<u64>,
    /// The client's own key for the request, where it has one: the command's id was made from it. Of a command that was
    /// received it is none.
    pub claim: Option<Claim>,
}

impl Given {
    /// Of whoever acts for a reason and is no client.
    pub fn new(command_id: CommandId, actor: Actor, causation_id: String, at: Timestamp) -> Self {
        Given { command_id, actor, causation_id, at, traceparent: None, expected_revision: None, claim: None }
    }

    /// The causation of what follows from an event.
    pub fn caused_by_event(sequence: u64) -> String {
        format!("{}{sequence}", subject::CAUSED_BY_EVENT)
    }

    /// The metadata of the events that the command leads to.
    pub fn metadata(&self) -> Metadata {
        Metadata {
            at: self.at,
            command_id: self.command_id,
            causation_id: self.causation_id.clone(),
            actor: self.actor.clone(),
            traceparent: self.traceparent.clone(),
        }
    }
}

/// Why there is no outcome.
#[derive(Debug, thiserror::Error)]
pub enum SendError {
    #[error("the key was used before with another request")]
    KeyReused,
    /// The command is on the bus and will be decided; sending it again with the same id waits for the same outcome.
    #[error("no decision on command {0} in time")]
    Undecided(CommandId),
    #[error(transparent)]
    Unavailable(#[from] Unavailable),
}

impl Store {
    /// Puts a command on the bus and waits for its outcome, `wait` at most; with no wait only an outcome that was
    /// recorded before is given.
    ///
    /// # Errors
    /// See [`SendError`]. After `Unavailable` it is not known whether the command is on the bus.
    pub async fn send(&self, command: &Command, given: &Given, wait: Duration) -> Result<Outcome, SendError> {
        let answers = self.answers().await?;
        let waiter = answers.register(given.command_id);
        if !self.publish_command(command, given, answers.address()).await?
            && let Some(outcome) = self.outcome(command, given.command_id).await?
        {
            return Ok(outcome);
        }
        if wait.is_zero() {
            return Err(SendError::Undecided(given.command_id));
        }
        let look = || self.outcome(command, given.command_id);
        waiter.outcome(look, wait).await?.ok_or(SendError::Undecided(given.command_id))
    }

    /// Puts a command on the bus. False if it was put there before.
    async fn publish_command(
        &self,
        command: &Command,
        given: &Given,
        answer_to: &str,
    ) -> Result<bool, SendError> {
        const OPERATION: &str = "publish a command";
        let mut headers = HeaderMap::new();
        envelope::write_metadata(&mut headers, &given.metadata());
        headers.insert(header::ANSWER_TO, answer_to);
        if let Some(revision) = given.expected_revision {
            headers.insert(header::EXPECTED_REVISION, revision.to_string());
        }
        if let Some(claim) = &given.claim {
            claim.write(&mut headers);
        }
        let (subject, payload) = (subject::command(given.command_id), Bytes::from(codec::encode(command)));
        let mut expected = 0;
        for _ in 0..CLAIMS_MAX {
            headers.insert(nats_header::NATS_EXPECTED_LAST_SUBJECT_SEQUENCE, expected.to_string());
            let (subject, headers, payload) = (subject.clone(), headers.clone(), payload.clone());
            match self.commands.commit(vec![Message { subject, headers, payload }]).await {
                Ok(_) => return Ok(true),
                Err(CommitError::Conflict) => {}
                Err(CommitError::Unavailable(error)) => return Err(error.into()),
            }
            let found = self.claimed(given.command_id).await?.filter(|found| found.id != given.command_id);
            let Some(found) = found else { return Ok(false) };
            let Some(claim) = &given.claim else { return Err(SendError::KeyReused) };
            if self.is_held(&found, claim.at).await? {
                found.target(claim)?;
                // The name in the request has come to mean something else between two that came at once. Who comes
                // again finds the claim first.
                let reason = "the same request is under way for something else";
                return Err(Unavailable::new(OPERATION, reason).into());
            }
            expected = found.sequence;
        }
        Err(Unavailable::new(OPERATION, "others use the key at the same time").into())
    }

    /// The commands that wait for a decision, shared with every other decider.
    ///
    /// # Errors
    /// The consumer does not exist, or NATS did not answer.
    pub async fn receive_commands(&self) -> Result<ReceivedCommands, Unavailable> {
        // First of all: after another connection, more may have been decided than is known here.
        let reconnects = self.link.reconnects();
        let old = reader::bounds(self, subject::COMMANDS).await?.last_sequence;
        let consumer: jetstream::consumer::Consumer<pull::Config> = self
            .jetstream
            .get_consumer_from_stream(subject::DECIDER_CONSUMER, subject::COMMANDS)
            .await
            .during(RECEIVE)?;
        let messages =
            consumer.stream().max_messages_per_batch(PREFETCH_MAX).messages().await.during(RECEIVE)?;
        Ok(ReceivedCommands { store: self.clone(), messages, reconnects, old })
    }
}

/// What deciders do, in errors.
const RECEIVE: &str = "receive commands";
/// How often a key is tried whose claim is over, because somebody else was faster.
const CLAIMS_MAX: usize = 4;
/// How many messages wait in a decider for their turn: what it has taken, no other can decide.
pub(crate) const PREFETCH_MAX: usize = 64;
/// How often a command is handed out that this program cannot read, in case a newer decider takes it.
const UNREADABLE_DELIVERIES_MAX: i64 = 5;
/// After how long it is handed out again.
const UNREADABLE_DELAY: Duration = Duration::from_secs(1);

/// Commands as they come.
pub struct ReceivedCommands {
    store: Store,
    messages: pull::Stream,
    reconnects: Reconnects,
    /// Up to this sequence, commands may have been decided: a server that was killed forgets what was taken.
    old: u64,
}

/// A command that waits for this decider's decision.
pub struct ReceivedCommand {
    pub command: Command,
    pub given: Given,
    /// What was recorded of it: its decider died between that and taking it off the bus. It is not decided anew, which
    /// could answer something else, for the world has moved on.
    pub recorded: Option<Outcome>,
    turn: Turn,
    store: Store,
    message: jetstream::Message,
}

impl ReceivedCommands {
    /// The next command that waits for a decision. One that cannot be read is left to other deciders for a while;
    /// if none can read it, it fails and goes to the dead letters.
    ///
    /// # Errors
    /// The consumer broke; receive anew.
    pub async fn next(&mut self) -> Result<ReceivedCommand, Unavailable> {
        loop {
            let next = async { error::given(self.messages.next().await, RECEIVE) };
            let message = self.reconnects.unless_reconnected(RECEIVE, next).await?;
            let info = message.info().during(RECEIVE)?;
            let (delivered, came_before) =
                (info.delivered, info.delivered > 1 || info.stream_sequence <= self.old);
            match read(&message) {
                Ok((command, given)) => {
                    let (turn, recorded) = match came_before {
                        true => self.store.take_turn(given.command_id).await?.into(),
                        false => (Turn::FIRST, None),
                    };
                    let store = self.store.clone();
                    return Ok(ReceivedCommand { command, given, recorded, turn, store, message });
                }
                Err(reason) if delivered >= UNREADABLE_DELIVERIES_MAX => {
                    self.bury(&message, reason.to_string()).await?;
                }
                Err(_) => {
                    let again = AckKind::Nak(Some(UNREADABLE_DELAY));
                    message.ack_with(again).await.during(RECEIVE)?;
                }
            }
        }
    }

    async fn bury(&self, message: &jetstream::Message, reason: String) -> Result<(), Unavailable> {
        tracing::error!(subject = %message.subject, reason, "command cannot be read");
        let id =
            message.headers.as_ref().and_then(|headers| envelope::parse(headers, header::COMMAND_ID).ok());
        if let Some(id) = id
            && let Turned::Ours(turn) = self.store.take_turn(id).await?
        {
            self.store.record_outcome(id, turn, &Outcome::Failed { reason: reason.clone() }).await?;
        }
        self.store.bury(&message.subject, message.payload.clone(), &reason).await?;
        message.ack_with(AckKind::Term).await.during("end an unreadable command")
    }
}

type ReadError = Box<dyn std::error::Error + Send + Sync>;

fn read(message: &jetstream::Message) -> Result<(Command, Given), ReadError> {
    let command = codec::decode(&message.payload)?;
    let headers = message.headers.as_ref().ok_or("the headers are absent")?;
    let Metadata { at, command_id, causation_id, actor, traceparent } = envelope::read_metadata(headers)?;
    let expected_revision = match headers.get(header::EXPECTED_REVISION) {
        Some(_) => Some(envelope::parse(headers, header::EXPECTED_REVISION)?),
        None => None,
    };
    let given = Given { command_id, actor, causation_id, at, traceparent, expected_revision, claim: None };
    Ok((command, given))
}

impl ReceivedCommand {
    /// Makes a decision the command's outcome: what the log does not tell is recorded. None if another decider has
    /// taken the command over meanwhile, whose word counts then.
    ///
    /// # Errors
    /// NATS did not answer; the command comes back.
    pub async fn settle(&self, decision: Decision) -> Result<Option<Outcome>, Unavailable> {
        match decision {
            Decision::Appended { sequence } => Ok(Some(Outcome::Done { sequence })),
            Decision::Unchanged(outcome) => {
                let is_recorded =
                    self.store.record_outcome(self.given.command_id, self.turn, &outcome).await?;
                Ok(is_recorded.then_some(outcome))
            }
        }
    }

    /// Answers whoever waits, and takes the command off the bus. A crash before that brings it back, and its decider
    /// finds its own events, or the record.
    ///
    /// # Errors
    /// NATS did not answer; the command comes back.
    pub async fn finish(self, outcome: &Outcome) -> Result<(), Unavailable> {
        if let Some(address) = self.message.headers.as_ref().and_then(answer::address_in) {
            self.store.answer(address, self.given.command_id, outcome).await;
        }
        self.message.ack().await.during("acknowledge a command")
    }

    /// Gives the command back: it is delivered again after `delay`.
    ///
    /// # Errors
    /// NATS did not answer; the command comes back when its time to acknowledge is over.
    pub async fn give_back(self, delay: Duration) -> Result<(), Unavailable> {
        self.message.ack_with(AckKind::Nak(Some(delay))).await.during("give a command back")
    }
}

impl Store {
    /// Puts what cannot be read where a person finds it.
    pub(crate) async fn bury(&self, subject: &str, payload: Bytes, reason: &str) -> Result<(), Unavailable> {
        const OPERATION: &str = "write a dead letter";
        let mut headers = HeaderMap::new();
        // A header value holds no line breaks.
        headers.insert(header::REASON, reason.replace(['\r', '\n'], " "));
        let subject = format!("dead_letters.{subject}");
        let acknowledged = self.jetstream.publish_with_headers(subject, headers, payload).await;
        acknowledged.during(OPERATION)?.await.during(OPERATION).map(drop)
    }
}
