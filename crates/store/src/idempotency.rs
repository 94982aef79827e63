//! A client's own key for a request: claimed for a day, together with what the request was for.

use async_nats::jetstream::kv::{self, CreateErrorKind};
use domain::Command;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::codec;
use crate::command_bus::SendError;
use crate::connection::Store;
use crate::error::{During, Unavailable};

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

impl Store {
    /// The aggregate that a request was for when it came with this key before; none if it never did.
    ///
    /// # Errors
    /// The key was used with another request, or NATS did not answer.
    pub async fn claimed_target(&self, claim: &Claim) -> Result<Option<Uuid>, SendError> {
        match read(self.outcomes_bucket().await?, claim.key).await? {
            Some(record) if record.request_digest != claim.request_digest => Err(SendError::KeyReused),
            record => Ok(record.map(|record| record.target)),
        }
    }
}

/// Makes a client's key that of this request. False if it was so before.
pub(crate) async fn claim(bucket: &kv::Store, claim: &Claim, command: &Command) -> Result<bool, SendError> {
    const OPERATION: &str = "claim a key";
    let record = Record { request_digest: claim.request_digest.clone(), target: command.aggregate_id() };
    match bucket.create(subject(claim.key), codec::encode(&record).into()).await {
        Ok(_) => return Ok(true),
        Err(error) if error.kind() == CreateErrorKind::AlreadyExists => {}
        Err(error) => return Err(Unavailable::new(OPERATION, error).into()),
    }
    match read(bucket, claim.key).await? {
        Some(claimed) if claimed.request_digest != record.request_digest => Err(SendError::KeyReused),
        // The name in the request has come to mean something else between two that came at once. Who comes again
        // finds the claim first.
        Some(claimed) if claimed.target != record.target => {
            Err(Unavailable::new(OPERATION, "the same request is under way for something else").into())
        }
        Some(_) | None => Ok(false),
    }
}

async fn read(bucket: &kv::Store, key: Uuid) -> Result<Option<Record>, Unavailable> {
    const OPERATION: &str = "read a claim";
    match bucket.get(subject(key)).await.during(OPERATION)? {
        Some(bytes) => codec::decode(&bytes).during(OPERATION).map(Some),
        None => Ok(None),
    }
}

fn subject(key: Uuid) -> String {
    format!("claim.{key}")
}
