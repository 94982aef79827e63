//! Events for those who act on them: each event is handed out until somebody has acted, at least once.

use std::time::Duration;

use async_nats::jetstream::{self, AckKind, consumer::pull};
use domain::Recorded;
use futures_util::StreamExt;

use crate::command_bus::PREFETCH_MAX;
use crate::connection::Store;
use crate::error::{self, During, Unavailable};
use crate::link::Reconnects;
use crate::{subject, tail};

/// After how long an event is handed out again that this program cannot read.
const UNREADABLE_DELAY: Duration = Duration::from_secs(30);

/// Events that wait for a reaction, shared with everyone who reacts.
pub struct ReceivedEvents {
    messages: pull::Stream,
    reconnects: Reconnects,
}

/// An event that waits for a reaction.
pub struct ReceivedEvent {
    pub recorded: Recorded,
    message: jetstream::Message,
}

impl Store {
    /// The events that nobody has reacted to.
    ///
    /// # Errors
    /// The consumer does not exist, or NATS did not answer.
    pub async fn receive_events(&self) -> Result<ReceivedEvents, Unavailable> {
        const OPERATION: &str = "receive events";
        let consumer: jetstream::consumer::Consumer<pull::Config> = self
            .jetstream
            .get_consumer_from_stream(subject::REACTIONS_CONSUMER, subject::EVENTS)
            .await
            .during(OPERATION)?;
        let messages =
            consumer.stream().max_messages_per_batch(PREFETCH_MAX).messages().await.during(OPERATION)?;
        Ok(ReceivedEvents { messages, reconnects: self.link.reconnects() })
    }
}

impl ReceivedEvents {
    /// The next event. One that cannot be read waits for a program that can: what follows from it must not be
    /// forgotten.
    ///
    /// # Errors
    /// The consumer broke; receive anew.
    pub async fn next(&mut self) -> Result<ReceivedEvent, Unavailable> {
        const OPERATION: &str = "receive events";
        loop {
            let next = async { error::given(self.messages.next().await, OPERATION) };
            let message = self.reconnects.unless_reconnected(OPERATION, next).await?;
            let sequence = message.info().during(OPERATION)?.stream_sequence;
            match tail::recorded(&message, sequence) {
                Ok(recorded) => return Ok(ReceivedEvent { recorded, message }),
                Err(error) => {
                    tracing::error!(error = &error as &dyn std::error::Error, "cannot react to an event");
                    message.ack_with(AckKind::Nak(Some(UNREADABLE_DELAY))).await.during(OPERATION)?;
                }
            }
        }
    }
}

impl ReceivedEvent {
    /// Says that the reaction is done.
    ///
    /// # Errors
    /// NATS did not answer; the event comes back, so reactions must bear repetition.
    pub async fn finish(self) -> Result<(), Unavailable> {
        self.message.ack().await.during("acknowledge an event")
    }

    /// Gives the event back: it is handed out again after `delay`.
    ///
    /// # Errors
    /// NATS did not answer; the event comes back when its time to acknowledge is over.
    pub async fn give_back(self, delay: Duration) -> Result<(), Unavailable> {
        self.message.ack_with(AckKind::Nak(Some(delay))).await.during("give an event back")
    }
}
