//! Server-Sent Events (WHATWG HTML, section 9.2): an encoder, and two decoders that take chunks of any size.
//!
//! [`Splitter`] passes the parts of events on while they stream by, without holding data, so that the gateway can look
//! into streams of any length. [`Decoder`] puts whole events together, up to a bound, for the client and for tests.
//! [`Frame`] is what the bridge writes.

mod decode;
mod encode;
mod split;
#[cfg(test)]
mod tests;

pub use decode::{Decoder, Event, EventTooLong};
pub use encode::{Frame, comment};
pub use split::{Piece, Splitter};

/// The media type of an event stream.
pub const CONTENT_TYPE: &str = "text/event-stream";
/// Bytes of data that an event may have, unless the caller of [`Decoder::with_limit`] says otherwise.
pub const EVENT_BYTES_MAX: usize = 64 * 1024 * 1024;
/// Bytes kept of an `id`, `event` or `retry` field.
pub const FIELD_BYTES_MAX: usize = 4096;
