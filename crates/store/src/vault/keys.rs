//! The bucket of the owners' keys. They lie there wrapped, so nothing here needs the master key.

use std::sync::Arc;

use async_nats::jetstream::kv::UpdateErrorKind;
use async_nats::jetstream::{self, kv};
use bytes::Bytes;
use tokio::sync::OnceCell;
use uuid::Uuid;

use super::OpenError;
use crate::error::{During, Unavailable};
use crate::subject;

/// The revision of an entry that nobody has ever written.
const NEVER_WRITTEN: u64 = 0;

/// Reads, keeps and shreds wrapped keys. Cheap to clone.
#[derive(Clone)]
pub struct Keys {
    jetstream: jetstream::Context,
    bucket: Arc<OnceCell<kv::Store>>,
}

impl Keys {
    pub(crate) fn new(jetstream: jetstream::Context) -> Self {
        Keys { jetstream, bucket: Arc::default() }
    }

    /// Deletes the owner's key: nothing that was sealed for it can be opened any more. May be repeated.
    ///
    /// The bucket keeps one message for each key, so the mark of deletion takes the key's place. A purge would do no
    /// more, and needs a right that empties the whole bucket as well.
    ///
    /// # Errors
    /// NATS did not answer.
    pub async fn shred(&self, owner: Uuid) -> Result<(), Unavailable> {
        self.bucket().await?.delete(owner.to_string()).await.during("shred a key")
    }

    /// Keeps the key of an owner that another system has wrapped under the same master key. False if there is, or
    /// was, a key already.
    pub(crate) async fn keep(&self, owner: Uuid, wrapped: Bytes) -> Result<bool, Unavailable> {
        self.create(owner, wrapped).await
    }

    /// Keeps a new owner's key. False if the owner has one, or had one that was shredded.
    pub(super) async fn create(&self, owner: Uuid, wrapped: Bytes) -> Result<bool, Unavailable> {
        // `create` of the client would put a key in the place of the mark that shredding leaves.
        match self.bucket().await?.update(owner.to_string(), wrapped, NEVER_WRITTEN).await {
            Ok(_) => Ok(true),
            Err(error) if error.kind() == UpdateErrorKind::WrongLastRevision => Ok(false),
            Err(error) => Err(Unavailable::new("make a key", error)),
        }
    }

    /// Whether the owner has a key.
    ///
    /// # Errors
    /// NATS did not answer.
    pub async fn has(&self, owner: Uuid) -> Result<bool, Unavailable> {
        match self.wrapped(owner).await {
            Ok(_) => Ok(true),
            Err(OpenError::Missing { .. } | OpenError::Shredded { .. } | OpenError::Damaged { .. }) => {
                Ok(false)
            }
            Err(OpenError::Unavailable(error)) => Err(error),
        }
    }

    /// The owner's key as it lies there.
    pub(super) async fn wrapped(&self, owner: Uuid) -> Result<Bytes, OpenError> {
        let entry = self.bucket().await?.entry(owner.to_string()).await.during("read a key")?;
        let entry = entry.ok_or(OpenError::Missing { owner })?;
        // What is shredded leaves its mark behind.
        match entry.operation {
            kv::Operation::Put => Ok(entry.value),
            kv::Operation::Delete | kv::Operation::Purge => Err(OpenError::Shredded { owner }),
        }
    }

    async fn bucket(&self) -> Result<&kv::Store, Unavailable> {
        let open = || async { self.jetstream.get_key_value(subject::KEYS_BUCKET).await };
        self.bucket.get_or_try_init(open).await.during("open bucket keys")
    }
}
