//! Events once more, for whoever listens at `replay.<name>`. Nothing is stored: who is not there misses them.

use std::str::FromStr;

use async_nats::HeaderMap;

use crate::connection::Store;
use crate::error::{During, Unavailable};
use crate::stored_event::StoredEvent;
use crate::subject::{self, header};

/// What is done here, in errors.
const OPERATION: &str = "replay an event";

/// The longest name.
const NAME_BYTES_MAX: usize = 64;

/// Where a replay goes: the last token of its subject.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReplayName(String);

/// The text cannot name a replay.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("1 to {NAME_BYTES_MAX} letters, digits, `-` and `_` were expected")]
pub struct NotAName;

impl FromStr for ReplayName {
    type Err = NotAName;

    fn from_str(text: &str) -> Result<Self, NotAName> {
        if text.len() <= NAME_BYTES_MAX && subject::is_token(text) {
            Ok(ReplayName(text.to_owned()))
        } else {
            Err(NotAName)
        }
    }
}

impl Store {
    /// Publishes an event as it is stored: its header fields and its payload, with its place.
    ///
    /// # Errors
    /// NATS did not take it.
    pub async fn replay_stored(&self, name: &ReplayName, event: &StoredEvent) -> Result<(), Unavailable> {
        let headers = event.header_map().during(OPERATION)?;
        self.replay(name, event, headers, event.payload.clone()).await
    }

    /// Publishes what people may see of an event, with its name and its place.
    ///
    /// # Errors
    /// NATS did not take it.
    pub async fn replay_document(
        &self,
        name: &ReplayName,
        event: &StoredEvent,
        document: Vec<u8>,
    ) -> Result<(), Unavailable> {
        let mut headers = HeaderMap::new();
        if let Some(name) = event.name() {
            headers.insert(header::EVENT, name);
        }
        self.replay(name, event, headers, document.into()).await
    }

    async fn replay(
        &self,
        name: &ReplayName,
        event: &StoredEvent,
        mut headers: HeaderMap,
        payload: bytes::Bytes,
    ) -> Result<(), Unavailable> {
        headers.insert(header::SEQUENCE, event.sequence.to_string());
        headers.insert(header::SUBJECT, event.subject.as_str());
        let subject = subject::replay(&name.0);
        self.client.publish_with_headers(subject, headers, payload).await.during(OPERATION)
    }
}
