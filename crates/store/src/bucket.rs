//! Single keys of buckets.

use async_nats::jetstream::kv::{self, Operation};
use serde::de::DeserializeOwned;

use crate::codec;
use crate::error::{During, Unavailable};

/// The value at a key, with its revision; none where there never was one, or it was removed.
pub(crate) async fn read_key<T: DeserializeOwned>(
    bucket: &kv::Store,
    key: &str,
    operation: &'static str,
) -> Result<Option<(T, u64)>, Unavailable> {
    match bucket.entry(key).await.during(operation)? {
        Some(entry) if entry.operation == Operation::Put => {
            Ok(Some((codec::decode(&entry.value).during(operation)?, entry.revision)))
        }
        Some(_) | None => Ok(None),
    }
}
