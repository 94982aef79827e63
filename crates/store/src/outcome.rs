//! What became of a command: recorded by the decider for a day, whoever asks and however often.

use async_nats::HeaderMap;
use async_nats::jetstream::stream::DirectGetErrorKind;
use domain::{CommandId, Refusal};
use serde::{Deserialize, Serialize};

use crate::codec;
use crate::commit::Message;
use crate::connection::Store;
use crate::error::{During, Unavailable};
use crate::subject;

/// What became of a command.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "outcome", rename_all = "snake_case")]
pub enum Outcome {
    /// It has taken effect, or was true already. A view that has reached `sequence` shows it.
    Done { sequence: u64 },
    /// It contradicts the state of things.
    Refused { refusal: Refusal },
    /// The log of the aggregate it is for cannot be read. A person has to look.
    Failed { reason: String },
}

impl Store {
    /// The recorded outcome of a command; none if it is undecided, or was decided more than a day ago.
    pub(crate) async fn outcome(&self, id: CommandId) -> Result<Option<Outcome>, Unavailable> {
        const OPERATION: &str = "read an outcome";
        let stream = self.jetstream.get_stream_no_info(subject::OUTCOMES).await.during(OPERATION)?;
        match stream.direct_get_last_for_subject(subject::outcome(id)).await {
            Ok(message) => codec::decode(&message.payload).during(OPERATION).map(Some),
            Err(error) if error.kind() == DirectGetErrorKind::NotFound => Ok(None),
            Err(error) => Err(Unavailable::new(OPERATION, error)),
        }
    }

    pub(crate) async fn record_outcome(&self, id: CommandId, outcome: &Outcome) -> Result<(), Unavailable> {
        let (headers, payload) = (HeaderMap::new(), codec::encode(outcome).into());
        self.outcomes.commit(vec![Message { subject: subject::outcome(id), headers, payload }]).await?;
        Ok(())
    }
}
