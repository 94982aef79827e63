//! The keys of secrets, on their way out and in. They stay wrapped: nothing here could open them.

use uuid::Uuid;

use crate::archive::KeyRecord;
use crate::connection::Store;
use crate::direct_get::batch_from;
use crate::envelope;
use crate::error::{During, Unavailable};
use crate::subject;

/// How many keys one request brings.
const PAGE_KEYS: usize = 500;

/// The header field of a bucket's entry that is none any more.
const OPERATION_HEADER: &str = "KV-Operation";

/// Some of the keys.
pub struct KeyPage {
    pub keys: Vec<KeyRecord>,
    /// Where the next page begins; none after the last.
    pub next: Option<u64>,
}

impl Store {
    /// The keys of secrets, wrapped, from a place in their bucket on; the first place is 1.
    ///
    /// # Errors
    /// NATS did not answer.
    pub async fn wrapped_keys(&self, from: u64) -> Result<KeyPage, Unavailable> {
        const OPERATION: &str = "read keys";
        let stream = format!("KV_{}", subject::KEYS_BUCKET);
        let prefix = format!("$KV.{}.", subject::KEYS_BUCKET);
        let request = batch_from(from, &format!("{prefix}>"), PAGE_KEYS);
        let page = self.direct_get(&stream, &request, OPERATION).await?;
        let (mut keys, mut last) = (vec![], None);
        for message in page.messages {
            let headers = message.headers.unwrap_or_default();
            last = Some(envelope::parse::<u64>(&headers, "Nats-Sequence").during(OPERATION)?);
            let subject = envelope::text(&headers, "Nats-Subject").during(OPERATION)?;
            // What was shredded has left a mark and nothing else.
            if headers.get(OPERATION_HEADER).is_none()
                && let Some(owner) = subject.strip_prefix(&prefix)
            {
                keys.push(KeyRecord { owner: owner.to_owned(), wrapped: message.payload });
            }
        }
        Ok(KeyPage { keys, next: last.filter(|_| page.more).map(|last| last + 1) })
    }

    /// Keeps a key that another system has wrapped under the same master key. False if there is, or was, one already.
    ///
    /// # Errors
    /// NATS did not answer, or the record names no owner.
    pub async fn keep_key(&self, key: KeyRecord) -> Result<bool, Unavailable> {
        let owner: Uuid = key.owner.parse().during("keep an imported key")?;
        self.keys().keep(owner, key.wrapped).await
    }

    /// When the log was made: another log was made at another time.
    ///
    /// # Errors
    /// NATS did not answer.
    pub async fn log_created_at(&self) -> Result<jiff::Timestamp, Unavailable> {
        let bounds = crate::reader::bounds(self, subject::EVENTS).await?;
        jiff::Timestamp::from_nanosecond(bounds.created_ns).during("look at the log")
    }
}
