//! A client's own key for a request: claimed for a day, together with what the request was for.
//!
//! The claim is a message beside the command, and both are stored as one atomic batch: whoever finds a claim knows that
//! the command was accepted. That at most one request has a key is decided by the stream, for the claim names the
//! sequence 0 as the last one of its subject.

use async_nats::HeaderMap;
use async_nats::header::{NATS_EXPECTED_LAST_SUBJECT_SEQUENCE, NATS_MESSAGE_TTL};
use async_nats::jetstream::stream::LastRawMessageErrorKind;
use domain::Command;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::codec;
use crate::command_bus::SendError;
use crate::commit::Message;
use crate::connection::Store;
use crate::error::{During, Unavailable};
use crate::subject;

/// How long a key is claimed, as NATS reads it. Outcomes are kept for as long, and recorded later.
const KEPT: &str = "24h";

/// A client's key for one request: for a day, the same key with another request is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claim {
    pub key: Uuid,
    /// Names the content of the request, what it is for as the client wrote it included. The command's id has to be
    /// made from key *and* content *and* target: a key that is used again when its claim has run out names another
    /// command then, not the one of old.
    pub request_digest: String,
}

/// What is recorded under a key.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Record {
    request_digest: String,
    /// The aggregate that the request was resolved to: its name may be another's when the request comes again.
    target: Uuid,
}

impl Claim {
    /// What makes the key that of this request, unless it is another's.
    pub(crate) fn message(&self, command: &Command) -> Message {
        let record = Record { request_digest: self.request_digest.clone(), target: command.aggregate_id() };
        let mut headers = HeaderMap::new();
        headers.insert(NATS_EXPECTED_LAST_SUBJECT_SEQUENCE, "0");
        headers.insert(NATS_MESSAGE_TTL, KEPT);
        Message { subject: subject::claim(self.key), headers, payload: codec::encode(&record).into() }
    }
}

impl Store {
    /// The aggregate that a request was for when it came with this key before; none if it never did.
    ///
    /// # Errors
    /// The key was used with another request, or NATS did not answer.
    pub async fn claimed_target(&self, claim: &Claim) -> Result<Option<Uuid>, SendError> {
        const OPERATION: &str = "read a claim";
        let stream = self.jetstream.get_stream_no_info(subject::COMMANDS).await.during(OPERATION)?;
        let record: Record = match stream.get_last_raw_message_by_subject(&subject::claim(claim.key)).await {
            Ok(message) => codec::decode(&message.payload).during(OPERATION)?,
            Err(error) if error.kind() == LastRawMessageErrorKind::NoMessageFound => return Ok(None),
            Err(error) => return Err(Unavailable::new(OPERATION, error).into()),
        };
        if record.request_digest != claim.request_digest {
            return Err(SendError::KeyReused);
        }
        Ok(Some(record.target))
    }
}
