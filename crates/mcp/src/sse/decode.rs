//! Puts whole events together, each at most as large as a given limit.

use bytes::{Bytes, BytesMut};

use super::{EVENT_BYTES_MAX, Piece, Splitter};

/// An event that was received.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Event {
    /// The id the event itself carried. [`Decoder::last_event_id`] also tells that of earlier events.
    pub id: Option<String>,
    /// The type, when one was given: `message` otherwise.
    pub event: Option<String>,
    /// The data lines, joined by line feeds.
    pub data: Bytes,
}

/// An event is larger than the decoder's limit, and the rest of the stream cannot be trusted to begin at an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an event of the stream is larger than {limit} bytes")]
pub struct EventTooLong {
    /// The limit that was passed, in bytes.
    pub limit: usize,
}

/// An incremental decoder of one event stream. See the [module](super).
#[derive(Debug)]
pub struct Decoder {
    splitter: Splitter,
    assembly: Assembly,
}

#[derive(Debug, Default)]
struct Assembly {
    limit: usize,
    data: BytesMut,
    data_lines: usize,
    event: Option<String>,
    id: Option<String>,
    last_id: String,
    retry_ms: Option<u64>,
    too_long: bool,
}

impl Default for Decoder {
    fn default() -> Self {
        Self::with_limit(EVENT_BYTES_MAX)
    }
}

impl Decoder {
    /// A decoder for events of at most [`EVENT_BYTES_MAX`] bytes of data.
    pub fn new() -> Self {
        Self::default()
    }

    /// A decoder for events of at most `limit` bytes of data.
    pub fn with_limit(limit: usize) -> Self {
        Self { splitter: Splitter::new(), assembly: Assembly { limit, ..Assembly::default() } }
    }

    /// Reads the next bytes of the stream and appends the events that they complete. After an error the stream is to
    /// be given up; the events before it have been appended.
    pub fn feed(&mut self, chunk: &[u8], events: &mut Vec<Event>) -> Result<(), EventTooLong> {
        let assembly = &mut self.assembly;
        self.splitter.feed(chunk, |piece| assembly.take(piece, events));
        if assembly.too_long { Err(EventTooLong { limit: assembly.limit }) } else { Ok(()) }
    }

    /// The id to send as `Last-Event-ID` when the stream is resumed; empty when there was none.
    pub fn last_event_id(&self) -> &str {
        &self.assembly.last_id
    }

    /// Milliseconds the server asks to wait before connecting again, when it said so.
    pub fn retry_ms(&self) -> Option<u64> {
        self.assembly.retry_ms
    }
}

impl Assembly {
    fn take(&mut self, piece: Piece<'_>, events: &mut Vec<Event>) {
        if self.too_long {
            return;
        }
        match piece {
            Piece::DataLine => {
                if self.data_lines > 0 {
                    self.push(b"\n");
                }
                self.data_lines += 1;
            }
            Piece::Data(bytes) => self.push(bytes),
            Piece::Event(name) => self.event = Some(String::from_utf8_lossy(name).into_owned()),
            Piece::Id(id) => self.id = Some(String::from_utf8_lossy(id).into_owned()),
            Piece::Retry(milliseconds) => self.retry_ms = Some(milliseconds),
            Piece::FieldTooLong => self.too_long = true,
            Piece::End => self.end(events),
        }
    }

    fn push(&mut self, bytes: &[u8]) {
        if self.data.len() + bytes.len() > self.limit {
            self.too_long = true;
        } else {
            self.data.extend_from_slice(bytes);
        }
    }

    fn end(&mut self, events: &mut Vec<Event>) {
        let (id, event) = (self.id.take(), self.event.take().filter(|event| !event.is_empty()));
        if let Some(id) = &id {
            self.last_id.clone_from(id);
        }
        // A block without a data line sets the id and dispatches nothing; one empty data line is an empty event.
        if std::mem::take(&mut self.data_lines) > 0 {
            events.push(Event { id, event, data: self.data.split().freeze() });
        }
    }
}
