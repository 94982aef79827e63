//! The log as a portable file: what `events export` writes and `events import` reads.
//!
//! A file is a sequence of records, each a MessagePack map or a line of JSON with one member that says what it is:
//! one `header`, the `key`s of secrets, the `event`s, a `checkpoint` after each run of them, one `footer`. A
//! checkpoint holds the BLAKE3 digest of the bytes since the one before, so that damage is located; the footer holds
//! that of everything before it, and the counts, so that a file that was cut off is known. Knows no NATS.

mod damage;
mod read;
mod write;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use jiff::Timestamp;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use uuid::Uuid;

pub use damage::{ArchiveError, Damage};
pub use read::{ArchiveReader, Item, Summary};
pub use write::ArchiveWriter;

use crate::stored_event::StoredEvent;

/// The version of the form. A reader refuses a newer one.
pub const FORM: u32 = 1;

/// What every header says of the file, so that others are known to be foreign.
const KIND: &str = "mcpcan events";

/// The events between two checkpoints. They are appended as one atomic batch, of which JetStream takes 1000 messages.
pub const CHUNK_EVENTS_MAX: usize = 500;
/// The bytes of events between two checkpoints, unless one event has more.
pub const CHUNK_BYTES_MAX: usize = 512 * 1024;

/// The longest record, in bytes: an event of the largest size that the log takes, as base64, fits.
const RECORD_BYTES_MAX: u64 = 4 * 1024 * 1024;

/// How records lie in the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// MessagePack: half the size.
    MessagePack,
    /// A line of JSON for each record.
    JsonLines,
}

/// One record of a file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Record {
    Header(Header),
    Key(KeyRecord),
    Event(EventRecord),
    Checkpoint(Checkpoint),
    Footer(Footer),
}

/// What a file is, and where it comes from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Header {
    pub kind: String,
    pub form: u32,
    /// The first and the last sequence; 1 and 0 for an empty log.
    pub first: u64,
    pub last: u64,
    /// When the log was made that the events come from: another log was made at another time.
    pub log_created_at: Timestamp,
    pub exported_at: Timestamp,
    /// Names the master key under which secrets are sealed and credentials digested, and gives nothing away.
    pub master_key: String,
    /// Whether the keys of secrets are in the file.
    pub with_keys: bool,
}

impl Header {
    /// The header of a file with these events.
    pub fn new(
        first: u64,
        last: u64,
        log_created_at: Timestamp,
        master_key: String,
        with_keys: bool,
    ) -> Self {
        let exported_at = Timestamp::now();
        Header {
            kind: KIND.to_owned(),
            form: FORM,
            first,
            last,
            log_created_at,
            exported_at,
            master_key,
            with_keys,
        }
    }
}

/// The key of an owner's secrets, wrapped under the master key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyRecord {
    pub owner: String,
    #[serde(with = "payload")]
    pub wrapped: Bytes,
}

impl KeyRecord {
    pub(crate) fn owner_id(&self) -> Option<Uuid> {
        self.owner.parse().ok()
    }
}

/// An event as it is stored.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EventRecord {
    pub sequence: u64,
    pub subject: String,
    pub headers: Vec<(String, String)>,
    #[serde(with = "payload")]
    pub payload: Bytes,
    pub stored_at: Timestamp,
}

impl EventRecord {
    /// The bytes of its content.
    pub fn bytes(&self) -> usize {
        let headers: usize = self.headers.iter().map(|(name, value)| name.len() + value.len()).sum();
        self.subject.len() + headers + self.payload.len()
    }
}

impl From<StoredEvent> for EventRecord {
    fn from(event: StoredEvent) -> Self {
        let StoredEvent { sequence, subject, headers, payload, stored_at, imported: _ } = event;
        EventRecord { sequence, subject, headers, payload, stored_at }
    }
}

impl From<EventRecord> for StoredEvent {
    fn from(record: EventRecord) -> Self {
        let EventRecord { sequence, subject, headers, payload, stored_at } = record;
        StoredEvent { sequence, subject, headers, payload, stored_at, imported: true }
    }
}

/// What the bytes since the last checkpoint are.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Checkpoint {
    /// The last event before it; none before the first event.
    pub through: u64,
    pub blake3: String,
}

/// What the file is, up to here.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Footer {
    pub events: u64,
    pub keys: u64,
    pub blake3: String,
}

/// Bytes as MessagePack has them, and as base64 in JSON.
mod payload {
    use super::{Bytes, Deserializer, Engine, STANDARD, Serializer, de};

    pub(super) fn serialize<S: Serializer>(bytes: &Bytes, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() {
            serializer.serialize_str(&STANDARD.encode(bytes))
        } else {
            serializer.serialize_bytes(bytes)
        }
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Bytes, D::Error> {
        struct Visitor;
        impl de::Visitor<'_> for Visitor {
            type Value = Bytes;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("bytes, or base64")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Bytes, E> {
                STANDARD.decode(text).map(Bytes::from).map_err(E::custom)
            }

            fn visit_bytes<E: de::Error>(self, bytes: &[u8]) -> Result<Bytes, E> {
                Ok(Bytes::copy_from_slice(bytes))
            }

            fn visit_byte_buf<E: de::Error>(self, bytes: Vec<u8>) -> Result<Bytes, E> {
                Ok(bytes.into())
            }
        }
        if deserializer.is_human_readable() {
            deserializer.deserialize_str(Visitor)
        } else {
            deserializer.deserialize_byte_buf(Visitor)
        }
    }
}

#[cfg(test)]
mod tests;
