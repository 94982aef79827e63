//! Reading log rows while they are on their way: what a stream still holds, what comes, and what of it has certainly
//! arrived where its sink carries it. Nothing here takes a message away from the sink.

use bytes::Bytes;

use super::DataStream;
use crate::connection::Store;
use crate::direct_get::batch_within;
use crate::envelope::{self, HeaderError};
use crate::error::{During, Unavailable};
use crate::reader::{self, Reader};

/// How many messages one page brings at most.
const PAGE_MESSAGES_MAX: usize = 256;
/// After how many bytes a page ends. One message may be larger than that.
const PAGE_BYTES_MAX: usize = 4 * 1024 * 1024;

/// What a stream holds, and how far its sink has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Extent {
    /// The first message that the stream still holds; one after the last when it holds none.
    pub first_sequence: u64,
    /// 0 when the stream never held anything.
    pub last_sequence: u64,
    /// Every message before this one has arrived, or lies with the dead letters.
    pub arrived_before: u64,
}

/// One message: rows as their publisher wrote them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DataMessage {
    pub sequence: u64,
    pub rows: Bytes,
}

/// A run of messages. None are left out but those that the stream holds no more.
#[derive(Clone, Debug)]
pub struct DataPage {
    pub messages: Vec<DataMessage>,
    /// Whether the stream held more when the page was made.
    pub more: bool,
}

/// Reads a stream as messages come, for ever; a lost connection is waited out.
pub struct DataReader(Reader);

impl Store {
    /// Looks at a stream and at its sink, in this order: what is said to have arrived may be less than what has.
    ///
    /// # Errors
    /// NATS did not answer.
    pub async fn data_extent(&self, stream: DataStream) -> Result<Extent, Unavailable> {
        let bounds = reader::bounds(self, stream.name()).await?;
        let arrived_before = self.arrived_before(stream, &bounds).await?;
        let (first_sequence, last_sequence) = (bounds.first_sequence, bounds.last_sequence);
        Ok(Extent { first_sequence, last_sequence, arrived_before })
    }

    /// What the stream holds from a sequence on, as much as fits into a page.
    ///
    /// # Errors
    /// NATS did not answer.
    pub async fn data_page(&self, stream: DataStream, from: u64) -> Result<DataPage, Unavailable> {
        const OPERATION: &str = "read log rows";
        let request = batch_within(from, &stream.subject(">"), PAGE_MESSAGES_MAX, PAGE_BYTES_MAX);
        let page = self.direct_get(stream.name(), &request, OPERATION).await?;
        let messages: Result<_, HeaderError> = page.messages.into_iter().map(of_direct_get).collect();
        Ok(DataPage { messages: messages.during(OPERATION)?, more: page.more })
    }

    /// Follows a stream from a sequence on.
    pub fn follow_data(&self, stream: DataStream, from: u64) -> DataReader {
        DataReader(Reader::new(self.clone(), stream.name(), String::new(), from))
    }
}

impl DataReader {
    /// The next message. Waits as long as it takes; dropping the future loses nothing.
    pub async fn next(&mut self) -> DataMessage {
        let read = self.0.next().await;
        DataMessage { sequence: read.sequence, rows: read.message.payload.clone() }
    }
}

fn of_direct_get(message: async_nats::Message) -> Result<DataMessage, HeaderError> {
    let headers = message.headers.as_ref().ok_or(HeaderError::Absent("Nats-Sequence"))?;
    Ok(DataMessage { sequence: envelope::parse(headers, "Nats-Sequence")?, rows: message.payload.clone() })
}
