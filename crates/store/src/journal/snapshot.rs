//! Snapshots: the state of a long aggregate at one of its events, so that loading it does not begin at the first.
//!
//! A snapshot is never the truth. It names the event it was taken at by sequence, command and time of storing; whoever
//! uses it reads that event and compares, so that a snapshot of another stream, or of a log that was restored, is not
//! taken for one of this. One that is damaged, or was made for another form of the state, is passed over and
//! replaced.
//!
//! It also names every command whose events it stands for, by 32 bits of its id: a command that may be among them is
//! looked for in the events themselves, so that a command which is sent again is found however old it is.

use async_nats::HeaderValue;
use async_nats::header::NATS_TIME_STAMP;
use async_nats::jetstream::kv;
use bytes::Bytes;
use domain::{CommandId, Decider};
use serde::{Deserialize, Serialize};

use super::load::StoredMessage;
use crate::codec;
use crate::error::{During, Unavailable};
use crate::upcast::Stored;

/// The longest snapshot that is written, in bytes: half of what the server takes as one message. An aggregate that
/// has outgrown it, after about a million commands, is loaded from the last one that was written.
const BYTES_MAX: usize = 4 * 1024 * 1024;

/// How many bytes of its id stand for a command.
const COMMAND_BYTES: usize = 4;

const DIGEST_BYTES: usize = blake3::OUT_LEN;
const LENGTH_BYTES: usize = size_of::<u32>();

/// The state of an aggregate at one of its events.
pub(super) struct Snapshot<D: Decider> {
    pub(super) mark: Mark,
    pub(super) state: D::State,
    pub(super) commands: Commands,
    /// How many of its events came after the snapshot in the bucket; none of that one itself.
    pub(super) unsaved: usize,
}

/// Names one event of one stream.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Mark {
    pub(super) sequence: u64,
    pub(super) command: CommandId,
    /// When the server stored it, as the server writes it: to the nanosecond, and kept by its backups. Not known of an
    /// event that was appended just now; a snapshot in the bucket always has it.
    stored_at: Option<String>,
}

impl Mark {
    pub(super) fn of(message: &StoredMessage, command: CommandId) -> Option<Self> {
        let stored_at = message.headers.get(NATS_TIME_STAMP)?.to_string();
        Some(Mark { sequence: message.sequence, command, stored_at: Some(stored_at) })
    }

    /// Names an event that this process has appended.
    pub(super) fn appended(sequence: u64, command: CommandId) -> Self {
        Mark { sequence, command, stored_at: None }
    }

    pub(super) fn is_of(&self, message: &StoredMessage) -> bool {
        let command = message.headers.get(crate::subject::header::COMMAND_ID);
        let stored_at = message.headers.get(NATS_TIME_STAMP).map(HeaderValue::as_str);
        self.sequence == message.sequence
            && command.and_then(|command| command.as_str().parse().ok()) == Some(self.command)
            && (self.stored_at.is_none() || self.stored_at.as_deref() == stored_at)
    }
}

impl<D: Decider> Snapshot<D> {
    /// Whether a command may have led to an event up to this snapshot's.
    pub(super) fn may_hold(&self, command: CommandId) -> bool {
        let wanted = Commands::short(command);
        self.commands.0.chunks_exact(COMMAND_BYTES).any(|known| known == wanted)
    }
}

/// Commands in a short form, one after the other.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Commands(Vec<u8>);

impl Commands {
    pub(super) fn bytes(&self) -> usize {
        self.0.len()
    }

    /// The last bytes of an id are random, or a digest.
    fn short(command: CommandId) -> [u8; COMMAND_BYTES] {
        let bytes = command.0.into_bytes();
        [bytes[12], bytes[13], bytes[14], bytes[15]]
    }

    pub(super) fn push(&mut self, command: CommandId) {
        let short = Self::short(command);
        // The events of one command stand side by side.
        if !self.0.ends_with(&short) {
            self.0.extend(short);
        }
    }
}

/// Where the snapshot of an aggregate lies. Programs with another form of the state have a place of their own.
pub(super) fn key<D: Stored>(id: &D::Id) -> String {
    format!("{}.v{}.{id}", D::NAME, D::SNAPSHOT_VERSION)
}

/// The snapshot at a key, if there is one that can be read.
pub(super) async fn read<D: Stored>(
    bucket: &kv::Store,
    key: &str,
) -> Result<Option<Snapshot<D>>, Unavailable> {
    let Some(bytes) = bucket.get(key).await.during("read a snapshot")? else { return Ok(None) };
    let snapshot = decode::<D>(&bytes);
    if snapshot.is_none() {
        tracing::warn!(key, "snapshot is damaged, so it is made anew");
    }
    Ok(snapshot)
}

/// Writes a snapshot. Of two who do it at a time either may be last: both hold. That it cannot be written is no loss:
/// the next who loads the aggregate from afar tries again.
pub(super) async fn write<D: Stored>(bucket: &kv::Store, key: &str, snapshot: &Snapshot<D>) {
    let bytes = encode(snapshot);
    if bytes.len() > BYTES_MAX {
        return;
    }
    if let Err(error) = bucket.put(key, bytes).await {
        tracing::debug!(error = &error as &dyn std::error::Error, key, "snapshot not written");
    }
}

#[derive(Serialize)]
struct HeadRef<'a, S> {
    mark: &'a Mark,
    state: &'a S,
}

#[derive(Deserialize)]
struct Head<S> {
    mark: Mark,
    state: S,
}

/// Digest of what follows, length of the head, head (MessagePack), commands.
fn encode<D: Stored>(snapshot: &Snapshot<D>) -> Bytes {
    let head = codec::encode(&HeadRef { mark: &snapshot.mark, state: &snapshot.state });
    let length = u32::try_from(head.len()).expect("a state is far smaller than four gigabytes");
    let content = [&length.to_be_bytes(), head.as_slice(), &snapshot.commands.0].concat();
    [blake3::hash(&content).as_bytes(), content.as_slice()].concat().into()
}

fn decode<D: Stored>(bytes: &[u8]) -> Option<Snapshot<D>> {
    let (digest, content) = bytes.split_at_checked(DIGEST_BYTES)?;
    if blake3::hash(content).as_bytes() != digest {
        return None;
    }
    let (length, rest) = content.split_at_checked(LENGTH_BYTES)?;
    let length = u32::from_be_bytes(length.try_into().ok()?);
    let (head, commands) = rest.split_at_checked(length.try_into().ok()?)?;
    let Head { mark, state } = codec::decode(head).ok()?;
    Some(Snapshot { mark, state, commands: Commands(commands.to_vec()), unsaved: 0 })
}
