//! The `endpoint` event of HTTP+SSE (2024-11-05, Transports): a server says with it where the stream's messages are to be
//! posted. On its way to the client it becomes an address of the gateway, with the server's own sealed into it; the rest
//! of the stream passes as it is. `body` feeds it.
//!
//! What kind of event it is may stand after its data. So an event is held until that is known, or until it is larger than
//! an address may be.

use bytes::BytesMut;
use http::uri::PathAndQuery;
use mcp::sse::{Frame, Piece, Splitter};
use memchr::memchr2;
use url::Url;

/// How much of an event is held, in bytes: an address and its field names fit.
const HELD_BYTES_MAX: usize = 16 * 1024;

/// Why a stream cannot go on.
#[derive(Debug, thiserror::Error)]
pub(crate) enum EndpointError {
    #[error("the endpoint event holds no address")]
    Invalid,
    #[error("the endpoint event leads to another origin")]
    ForeignOrigin,
    #[error("an endpoint event is larger than {HELD_BYTES_MAX} bytes, or says too late what it is")]
    TooLong,
}

/// Rewrites one stream.
pub(crate) struct Rewriter {
    /// Where the stream came from, which a relative address is relative to.
    stream: Url,
    /// Makes the gateway's address of the server's.
    address: Box<dyn FnMut(&PathAndQuery) -> String + Send + Sync>,
    splitter: Splitter,
    event: Event,
    /// The event so far, unless it passes.
    held: BytesMut,
    /// What the client has been told.
    found: Option<String>,
}

#[derive(Default)]
struct Event {
    kind: Kind,
    /// Its bytes are no longer held.
    passes: bool,
    ended: bool,
    data: Vec<u8>,
    has_data: bool,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Kind {
    #[default]
    Unknown,
    Endpoint,
    Other,
}

impl Rewriter {
    pub(crate) fn new(
        stream: Url,
        address: impl FnMut(&PathAndQuery) -> String + Send + Sync + 'static,
    ) -> Self {
        Self {
            stream,
            address: Box::new(address),
            splitter: Splitter::new(),
            event: Event::default(),
            held: BytesMut::new(),
            found: None,
        }
    }

    /// The address that the client has been told, once it has.
    pub(crate) fn address(&self) -> Option<&str> {
        self.found.as_deref()
    }

    /// Reads the next bytes of the stream, and writes those that the client gets.
    pub(crate) fn feed(&mut self, chunk: &[u8], out: &mut BytesMut) -> Result<(), EndpointError> {
        let mut rest = chunk;
        while !rest.is_empty() {
            // An event begins and ends with a line.
            let line = memchr2(b'\r', b'\n', rest).map_or(rest.len(), |end| end + 1);
            let (line, after) = rest.split_at(line);
            rest = after;
            self.splitter.feed(line, |piece| self.event.take(piece));
            self.pass(line, out)?;
        }
        Ok(())
    }

    fn pass(&mut self, line: &[u8], out: &mut BytesMut) -> Result<(), EndpointError> {
        let event = &mut self.event;
        if event.passes {
            if event.kind == Kind::Endpoint {
                return Err(EndpointError::TooLong);
            }
            out.extend_from_slice(line);
        } else {
            self.held.extend_from_slice(line);
            let too_long = self.held.len() > HELD_BYTES_MAX;
            match event.kind {
                Kind::Endpoint if too_long => return Err(EndpointError::TooLong),
                Kind::Endpoint if event.ended && event.has_data => {
                    self.held.clear();
                    let address =
                        address(&self.stream, &event.data).map(|address| (self.address)(&address))?;
                    let frame =
                        Frame { event: Some("endpoint"), data: Some(address.as_bytes()), ..Frame::default() };
                    frame.encode(out);
                    self.found = Some(address);
                }
                Kind::Endpoint if !event.ended => {}
                Kind::Unknown if !event.ended && !too_long => {}
                Kind::Unknown | Kind::Other | Kind::Endpoint => {
                    out.extend_from_slice(&self.held.split());
                    event.passes = true;
                }
            }
        }
        if event.ended {
            *event = Event::default();
        }
        Ok(())
    }
}

impl Event {
    fn take(&mut self, piece: Piece<'_>) {
        match piece {
            Piece::Event(b"endpoint") => self.kind = Kind::Endpoint,
            // The last one counts, and not every client knows that: no address gets past by being two kinds of event.
            Piece::Event(_) if self.kind == Kind::Endpoint => {}
            Piece::Event(_) => self.kind = Kind::Other,
            Piece::DataLine if self.has_data && !self.passes => self.data.push(b'\n'),
            Piece::DataLine => self.has_data = true,
            Piece::Data(bytes) if !self.passes => {
                let room = HELD_BYTES_MAX.saturating_sub(self.data.len());
                self.data.extend_from_slice(&bytes[..bytes.len().min(room)]);
            }
            Piece::End => self.ended = true,
            Piece::Data(_) | Piece::Id(_) | Piece::Retry(_) | Piece::FieldTooLong => {}
        }
    }
}

/// The address in an endpoint event, which must be of the stream's own origin.
fn address(stream: &Url, data: &[u8]) -> Result<PathAndQuery, EndpointError> {
    let data = std::str::from_utf8(data).map_err(|_| EndpointError::Invalid)?.trim();
    if data.is_empty() {
        return Err(EndpointError::Invalid);
    }
    let address = stream.join(data).map_err(|_| EndpointError::Invalid)?;
    if address.origin() != stream.origin() {
        return Err(EndpointError::ForeignOrigin);
    }
    let path_and_query = match address.query() {
        Some(query) => PathAndQuery::try_from(format!("{}?{query}", address.path())),
        None => PathAndQuery::try_from(address.path()),
    };
    path_and_query.map_err(|_| EndpointError::Invalid)
}

#[cfg(test)]
mod tests;
