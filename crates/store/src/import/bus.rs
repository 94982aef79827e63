//! Chunks on the command bus.

use std::time::Duration;

use async_nats::HeaderMap;
use async_nats::header as nats_header;
use async_nats::jetstream::{self, consumer::pull};
use futures_util::StreamExt;

use super::Chunk;
use crate::answer;
use crate::command_bus::{Given, SendError};
use crate::connection::Store;
use crate::envelope;
use crate::error::{self, During, Unavailable};
use crate::link::Reconnects;
use crate::outcome::Outcome;
use crate::subject::{self, header};

const RECEIVE: &str = "receive a chunk of an import";

impl Store {
    /// Puts a chunk on the bus and waits for its outcome, `wait` at most.
    ///
    /// # Errors
    /// See [`SendError`].
    pub async fn send_chunk(
        &self,
        chunk: &Chunk,
        given: &Given,
        wait: Duration,
    ) -> Result<Outcome, SendError> {
        const OPERATION: &str = "send a chunk of an import";
        let answers = self.answers().await?;
        let waiter = answers.register(given.command_id);
        let mut headers = HeaderMap::new();
        envelope::write_metadata(&mut headers, &given.metadata());
        headers.insert(nats_header::NATS_MESSAGE_ID, given.command_id.to_string());
        headers.insert(header::ANSWER_TO, answers.address());
        let payload = rmp_serde::to_vec_named(chunk).during(OPERATION)?;
        let sent = self.jetstream.publish_with_headers(subject::IMPORT_CHUNKS, headers, payload.into()).await;
        sent.during(OPERATION)?.await.during(OPERATION)?;
        waiter
            .outcome(|| self.recorded_outcome(given.command_id), wait)
            .await?
            .ok_or(SendError::Undecided(given.command_id))
    }

    /// The chunks that wait for a decider.
    ///
    /// # Errors
    /// The consumer does not exist, or NATS did not answer.
    pub async fn receive_chunks(&self) -> Result<ReceivedChunks, Unavailable> {
        let consumer: jetstream::consumer::Consumer<pull::Config> = self
            .jetstream
            .get_consumer_from_stream(subject::IMPORTER_CONSUMER, subject::IMPORTS)
            .await
            .during(RECEIVE)?;
        let messages = consumer.stream().max_messages_per_batch(1).messages().await.during(RECEIVE)?;
        Ok(ReceivedChunks { store: self.clone(), messages, reconnects: self.link.reconnects() })
    }
}

/// Chunks as they come.
pub struct ReceivedChunks {
    store: Store,
    messages: pull::Stream,
    reconnects: Reconnects,
}

/// A chunk that waits for this decider.
pub struct ReceivedChunk {
    pub chunk: Chunk,
    command_id: domain::CommandId,
    store: Store,
    message: jetstream::Message,
}

impl ReceivedChunks {
    /// The next chunk. One that cannot be read is left to deciders of another version.
    ///
    /// # Errors
    /// The consumer broke; receive anew.
    pub async fn next(&mut self) -> Result<ReceivedChunk, Unavailable> {
        loop {
            let next = async { error::given(self.messages.next().await, RECEIVE) };
            let message = self.reconnects.unless_reconnected(RECEIVE, next).await?;
            let headers = message.headers.clone().unwrap_or_default();
            let read = rmp_serde::from_slice::<Chunk>(&message.payload).ok();
            let id = envelope::parse(&headers, header::COMMAND_ID).ok();
            if let (Some(chunk), Some(command_id)) = (read.filter(|chunk| !chunk.events.is_empty()), id) {
                return Ok(ReceivedChunk { chunk, command_id, store: self.store.clone(), message });
            }
            tracing::error!("a chunk of an import cannot be read");
            message.ack_with(jetstream::AckKind::Term).await.during(RECEIVE)?;
        }
    }
}

impl ReceivedChunk {
    /// Records the outcome, tells it to whoever waits, and takes the chunk off the bus.
    ///
    /// # Errors
    /// NATS did not answer; the chunk comes back.
    pub async fn finish(self, outcome: Outcome) -> Result<(), Unavailable> {
        // A chunk means the same whoever takes it: what was recorded of it before gives way.
        let (turn, _) = self.store.take_turn(self.command_id).await?.into();
        if !self.store.record_outcome(self.command_id, turn, &outcome).await? {
            return Err(Unavailable::new("record an outcome", "another decider has the same chunk"));
        }
        if let Some(address) = self.message.headers.as_ref().and_then(answer::address_in) {
            self.store.answer(address, self.command_id, &outcome).await;
        }
        self.message.ack().await.during("acknowledge a chunk of an import")
    }

    /// Gives the chunk back: it is delivered again after `delay`.
    ///
    /// # Errors
    /// NATS did not answer; the chunk comes back when its time to acknowledge is over.
    pub async fn give_back(self, delay: Duration) -> Result<(), Unavailable> {
        let again = jetstream::AckKind::Nak(Some(delay));
        self.message.ack_with(again).await.during("give a chunk of an import back")
    }
}
