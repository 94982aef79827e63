//! Holding commands back: the deciders' consumer is paused, which reaches all deciders at
//! once and ends by itself if whoever asked for it dies.

use async_nats::jetstream;
use async_nats::jetstream::consumer::pull;
use async_nats::jetstream::response::Response;
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::json;

use crate::connection::Store;
use crate::error::{During, Unavailable};
use crate::subject;

/// The answer to a pause.
#[derive(Deserialize)]
struct Paused {
    #[expect(dead_code, reason = "that there is such a member tells an answer from an error")]
    paused: bool,
}

impl Store {
    /// Hands no command to any decider until a moment, unless they are let go before. May be repeated.
    ///
    /// # Errors
    /// NATS did not answer.
    pub async fn hold_commands(&self, until: Timestamp) -> Result<(), Unavailable> {
        self.pause(&json!({ "pause_until": until.to_string() })).await
    }

    /// Lets commands go on.
    ///
    /// # Errors
    /// NATS did not answer.
    pub async fn let_commands_go(&self) -> Result<(), Unavailable> {
        self.pause(&json!({})).await
    }

    /// How many commands deciders have taken and not finished.
    ///
    /// # Errors
    /// NATS did not answer.
    pub async fn commands_in_flight(&self) -> Result<u64, Unavailable> {
        const OPERATION: &str = "look at the commands in flight";
        let consumer: jetstream::consumer::Consumer<pull::Config> = self
            .jetstream
            .get_consumer_from_stream(subject::DECIDER_CONSUMER, subject::COMMANDS)
            .await
            .during(OPERATION)?;
        Ok(consumer.cached_info().num_ack_pending as u64)
    }

    async fn pause(&self, request: &serde_json::Value) -> Result<(), Unavailable> {
        const OPERATION: &str = "hold commands back";
        let api = format!("CONSUMER.PAUSE.{}.{}", subject::COMMANDS, subject::DECIDER_CONSUMER);
        let answer: Response<Paused> = self.jetstream.request(api, request).await.during(OPERATION)?;
        match answer {
            Response::Ok(_) => Ok(()),
            Response::Err { error } => Err(Unavailable::new(OPERATION, error)),
        }
    }
}
