//! A client's own key for a request: claimed for a day, together with what the request was for.
//!
//! The command itself is the claim. Its place on the bus is named after the key, and it is stored only if nothing has
//! been stored there; it stays there when it is decided. So a key and its command are one message and one write, and at
//! most one request has a key. A command that is still undecided when its day is over keeps its key: whoever took it
//! over would take the command off the bus.

use std::time::Duration;

use async_nats::HeaderMap;
use async_nats::jetstream::message::StreamMessage;
use async_nats::jetstream::stream::LastRawMessageErrorKind;
use domain::{Command, CommandId};
use jiff::Timestamp;
use uuid::{Builder, Uuid};

use crate::codec;
use crate::command_bus::SendError;
use crate::connection::Store;
use crate::envelope::{self, Fields};
use crate::error::{During, Unavailable};
use crate::subject::{self, header};

/// For how long a key is claimed. Commands are kept longer.
const CLAIMED: Duration = Duration::from_secs(24 * 60 * 60);

/// How many bytes of its key a command's id begins with.
const KEY_BYTES: usize = 8;

/// A client's key for one request: for a day, the same key with another request is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claim {
    pub key: Uuid,
    /// When the request came.
    pub at: Timestamp,
    /// Names the content of the request, what it is for as the client wrote it included.
    pub request_digest: String,
}

impl Claim {
    /// The command that the request becomes if it is for this aggregate. Its id (a UUID of version 8) is made from key,
    /// content *and* target: a key that is used again when its claim has run out names another command then, not the
    /// one of old. It begins as the key does, so that both find the same place on the bus.
    pub fn command_id(&self, target: Uuid) -> CommandId {
        let request = Uuid::new_v5(&self.key, self.request_digest.as_bytes());
        let mut bytes = Uuid::new_v5(&request, target.as_bytes()).into_bytes();
        bytes[..KEY_BYTES].copy_from_slice(&self.key.as_bytes()[..KEY_BYTES]);
        CommandId(Builder::from_custom_bytes(bytes).into_uuid())
    }

    pub(crate) fn write(&self, headers: &mut HeaderMap) {
        headers.insert(header::REQUEST_DIGEST, self.request_digest.as_str());
    }
}

/// What lies at a command's place on the bus.
pub(crate) struct Claimed {
    pub(crate) sequence: u64,
    /// When the claim runs out, in nanoseconds since 1970.
    ends_at_ns: i128,
    request_digest: Option<String>,
    pub(crate) id: CommandId,
    /// None if a newer program has sent it.
    pub(crate) command: Option<Command>,
}

impl Claimed {
    /// The aggregate that the request was resolved to: its name may be another's when the request comes again.
    ///
    /// # Errors
    /// It was another request.
    pub(crate) fn target(&self, claim: &Claim) -> Result<Uuid, SendError> {
        if self.request_digest.as_ref() != Some(&claim.request_digest) {
            return Err(SendError::KeyReused);
        }
        let command = self.command.as_ref().ok_or("a newer program has sent the command");
        Ok(command.during("read a command")?.aggregate_id())
    }
}

impl Store {
    /// The aggregate that a request was for when it came with this key before; none if it never did.
    ///
    /// # Errors
    /// The key was used with another request, or NATS did not answer.
    pub async fn claimed_target(&self, claim: &Claim) -> Result<Option<Uuid>, SendError> {
        // Any target: the place is named after the key.
        match self.claimed(claim.command_id(Uuid::nil())).await? {
            Some(claimed) if self.is_held(&claimed, claim.at).await? => claimed.target(claim).map(Some),
            Some(_) | None => Ok(None),
        }
    }

    /// Whether a claim counts at this moment: for its time, and for as long as its command is undecided.
    pub(crate) async fn is_held(&self, claimed: &Claimed, at: Timestamp) -> Result<bool, Unavailable> {
        if at.as_nanosecond() < claimed.ends_at_ns {
            return Ok(true);
        }
        let outcome = match &claimed.command {
            Some(command) => self.outcome(command, claimed.id).await?,
            None => self.recorded_outcome(claimed.id).await?,
        };
        Ok(outcome.is_none())
    }

    /// What lies at the place of a command.
    pub(crate) async fn claimed(&self, id: CommandId) -> Result<Option<Claimed>, Unavailable> {
        const OPERATION: &str = "look for a command";
        let stream = self.jetstream.get_stream_no_info(subject::COMMANDS).await.during(OPERATION)?;
        match stream.get_last_raw_message_by_subject(&subject::command(id)).await {
            Ok(message) => read(&message).during(OPERATION).map(Some),
            Err(error) if error.kind() == LastRawMessageErrorKind::NoMessageFound => Ok(None),
            Err(error) => Err(Unavailable::new(OPERATION, error)),
        }
    }
}

fn read(message: &StreamMessage) -> Result<Claimed, envelope::HeaderError> {
    Ok(Claimed {
        sequence: message.sequence,
        ends_at_ns: message.time.unix_timestamp_nanos() + CLAIMED.as_nanos() as i128,
        request_digest: message.headers.field(header::REQUEST_DIGEST).map(str::to_owned),
        id: envelope::parse(&message.headers, header::COMMAND_ID)?,
        command: codec::decode(&message.payload).ok(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_is_named_by_key_request_and_target() {
        let claim = |key: u128, digest: &str| Claim {
            key: Uuid::new_v5(&Uuid::nil(), &key.to_be_bytes()),
            at: Timestamp::UNIX_EPOCH,
            request_digest: digest.to_owned(),
        };
        let (one, other) = (Uuid::from_u128(1), Uuid::from_u128(2));
        let first = claim(1, "d1").command_id(one);
        assert_eq!(first, claim(1, "d1").command_id(one));
        assert_ne!(first, claim(1, "d2").command_id(one), "once the claim has run out");
        assert_ne!(first, claim(1, "d1").command_id(other), "a name may pass to another");
        assert_ne!(first, claim(2, "d1").command_id(one));

        let place = subject::command(first);
        assert_eq!(place, subject::command(claim(1, "d2").command_id(other)));
        assert_ne!(place, subject::command(claim(2, "d1").command_id(one)));
        assert_ne!(place, subject::command(CommandId(one)), "one that no key names has a place of its own");
    }
}
