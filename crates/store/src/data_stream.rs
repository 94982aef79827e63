//! The streams of log rows: publishing with acknowledgement, and reading along.

mod follow;

use async_nats::HeaderMap;
use async_nats::header as nats_header;
use bytes::Bytes;

use crate::connection::Store;
use crate::direct_get::last_of;
use crate::error::{During, Unavailable};
use crate::subject;

pub use follow::{DataMessage, DataPage, DataReader, Extent};

/// A stream of log rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DataStream {
    /// Trace events, by gateway.
    Traces,
    /// Output of hosted servers, by instance.
    Logs,
    /// What probes saw, by worker.
    Samples,
}

impl DataStream {
    /// The stream's name.
    pub fn name(self) -> &'static str {
        match self {
            DataStream::Traces => subject::TRACES,
            DataStream::Logs => subject::LOGS,
            DataStream::Samples => subject::SAMPLES,
        }
    }

    fn subject(self, source: &str) -> String {
        match self {
            DataStream::Traces => format!("traces.{source}"),
            DataStream::Logs => format!("logs.{source}"),
            DataStream::Samples => format!("samples.{source}"),
        }
    }
}

/// The largest message that the streams take, in bytes; see `max_msg_size` in `nats/streams/`.
pub const MESSAGE_BYTES_MAX: usize = 4 * 1024 * 1024;

impl Store {
    /// Publishes a batch of rows and waits for its acknowledgement. `source` is one token of a subject, or two; the same
    /// `message_id` within the stream's window of duplicates (half an hour) counts once, so a batch may be sent
    /// again until it is acknowledged.
    ///
    /// # Errors
    /// It was not acknowledged; whether it is stored is not known.
    pub async fn publish(
        &self,
        stream: DataStream,
        source: &str,
        message_id: &str,
        rows: Bytes,
    ) -> Result<(), Unavailable> {
        const OPERATION: &str = "publish log rows";
        let mut headers = HeaderMap::new();
        headers.insert(nats_header::NATS_MESSAGE_ID, message_id);
        let publish = async {
            let sent = self.jetstream.publish_with_headers(stream.subject(source), headers, rows).await;
            sent.during(OPERATION)?.await.during(OPERATION).map(drop)
        };
        // Who publishes has the rows in memory alone: no time is lost on an answer that does not come.
        self.link.while_connected(OPERATION, publish).await
    }

    /// The rows that a source has published last, if the stream still holds them.
    ///
    /// # Errors
    /// NATS did not answer.
    pub async fn last_rows(&self, stream: DataStream, source: &str) -> Result<Option<Bytes>, Unavailable> {
        const OPERATION: &str = "read the last log rows";
        let request = last_of([stream.subject(source)]);
        let page = self.direct_get(stream.name(), &request, OPERATION).await?;
        Ok(page.messages.into_iter().next().map(|message| message.payload))
    }

    /// Puts rows that nobody will ever take where a person finds them.
    ///
    /// # Errors
    /// NATS did not answer.
    pub async fn bury_rows(&self, stream: DataStream, rows: Bytes, reason: &str) -> Result<(), Unavailable> {
        self.bury(stream.name(), rows, reason).await
    }
}
