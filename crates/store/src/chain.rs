//! The hash chain over the log, which shows whether somebody has changed it.
//!
//! A projector digests every event (subject, headers, payload) under a key that is derived from the master key, and
//! links the digests: each link is a keyed hash of the one before and of what the event is. The bucket `chain` keeps
//! the digests in blocks, each with the link at its start, and `head`, the last link. Whoever can write to NATS but
//! does not have the master key can make neither a digest nor a link.
//!
//! Two things a chain beside the log cannot show, because they can be brought back to a state that once was true: that
//! the newest events and the newest part of the chain are gone together, or that both were made anew from the start.
//! [`Verification`] therefore says since when there is a chain, and where its head is; a head that an operator has
//! written down elsewhere shows the rest.

mod compare;
mod linking;
mod verify;

use async_nats::HeaderMap;
use async_nats::jetstream::kv;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::bucket;
use crate::codec;
use crate::connection::Store;
use crate::error::{During, Unavailable};
use crate::subject::{self, header};

pub use compare::Finding;
pub use linking::ChainError;
pub use verify::{Verification, VerifyProgress};

/// How many events a block holds.
const BLOCK_EVENTS: u64 = 256;
/// How many findings are told: whoever has seen so many looks at the log otherwise.
pub const FINDINGS_MAX: usize = 100;
/// How much of a keyed hash tells an event from every other: nobody without the key can aim at one.
const DIGEST_BYTES: usize = 16;

const HEAD_KEY: &str = "head";

/// What begins the name of a header that belongs to the transport, in small letters. The rest is the event's own.
const TRANSPORT_HEADERS: &str = "nats-";

type Digest = [u8; DIGEST_BYTES];

/// A value of the chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Link([u8; blake3::OUT_LEN]);

/// An event as the chain knows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Entry {
    sequence: u64,
    digest: Digest,
    subject: String,
    event: String,
}

/// Consecutive entries: as many as fit, but for the last block.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Block {
    /// The link before the first entry.
    start: Link,
    entries: Vec<Entry>,
}

/// The end of the chain.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Head {
    /// How many events are linked.
    count: u64,
    /// The sequence of the last one.
    sequence: u64,
    link: Link,
    began: Began,
}

/// When the chain was begun, and the last event that there was then: what came before was linked as it was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Began {
    at: Timestamp,
    last_sequence: u64,
}

/// Digests events and links them.
#[derive(Clone)]
pub(crate) struct ChainKey(Zeroizing<[u8; blake3::KEY_LEN]>);

impl ChainKey {
    pub(crate) fn new(key: [u8; blake3::KEY_LEN]) -> Self {
        ChainKey(Zeroizing::new(key))
    }

    /// The link before the first event.
    fn beginning(&self, began: Began) -> Link {
        let mut hasher = blake3::Hasher::new_keyed(&self.0);
        part(&mut hasher, b"beginning");
        part(&mut hasher, began.at.to_string().as_bytes());
        hasher.update(&began.last_sequence.to_le_bytes());
        Link(*hasher.finalize().as_bytes())
    }

    fn next(&self, before: Link, entry: &Entry) -> Link {
        let mut hasher = blake3::Hasher::new_keyed(&self.0);
        part(&mut hasher, b"link");
        hasher.update(&before.0);
        hasher.update(&entry.sequence.to_le_bytes());
        hasher.update(&entry.digest);
        part(&mut hasher, entry.subject.as_bytes());
        part(&mut hasher, entry.event.as_bytes());
        Link(*hasher.finalize().as_bytes())
    }

    fn after(&self, start: Link, entries: &[Entry]) -> Link {
        entries.iter().fold(start, |link, entry| self.next(link, entry))
    }

    /// What a message of the log is to the chain.
    fn entry(&self, message: &async_nats::Message, sequence: u64) -> Entry {
        let none = HeaderMap::new();
        let headers = message.headers.as_ref().unwrap_or(&none);
        let mut own: Vec<(String, String)> = headers
            .iter()
            .flat_map(|(name, values)| values.iter().map(move |value| (name.to_string(), value.to_string())))
            .filter(|(name, _)| !name.to_ascii_lowercase().starts_with(TRANSPORT_HEADERS))
            .collect();
        own.sort_unstable();
        let mut hasher = blake3::Hasher::new_keyed(&self.0);
        part(&mut hasher, b"event");
        part(&mut hasher, message.subject.as_bytes());
        hasher.update(&(own.len() as u64).to_le_bytes());
        for (name, value) in &own {
            part(&mut hasher, name.as_bytes());
            part(&mut hasher, value.as_bytes());
        }
        part(&mut hasher, &message.payload);
        let mut digest = Digest::default();
        digest.copy_from_slice(&hasher.finalize().as_bytes()[..DIGEST_BYTES]);
        let event = headers.get(header::EVENT).map(ToString::to_string).unwrap_or_default();
        Entry { sequence, digest, subject: message.subject.to_string(), event }
    }
}

/// Each part is told from the next by its length.
fn part(hasher: &mut blake3::Hasher, bytes: &[u8]) {
    hasher.update(&(bytes.len() as u64).to_le_bytes());
    hasher.update(bytes);
}

/// The bucket of the chain.
struct Chain {
    bucket: kv::Store,
}

/// What is done here, in errors.
const READ: &str = "read the chain";

impl Chain {
    async fn open(store: &Store) -> Result<Self, Unavailable> {
        Ok(Chain { bucket: store.bucket(subject::CHAIN_BUCKET).await? })
    }

    async fn head(&self) -> Result<Option<(Head, u64)>, Unavailable> {
        bucket::read_key(&self.bucket, HEAD_KEY, READ).await
    }

    async fn block(&self, number: u64) -> Result<Option<(Block, u64)>, Unavailable> {
        bucket::read_key(&self.bucket, &block_key(number), READ).await
    }

    async fn write<T: Serialize>(&self, key: &str, value: &T, revision: u64) -> Result<u64, Unavailable> {
        self.bucket.update(key, codec::encode(value).into(), revision).await.during("write the chain")
    }
}

fn block_key(number: u64) -> String {
    format!("block.{number}")
}

impl std::fmt::Display for Link {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&blake3::Hash::from_bytes(self.0).to_hex())
    }
}
