//! Writes events. Whatever the fields hold, the frame is one event: nothing in them can begin a field of its own.

use bytes::{BufMut as _, BytesMut};
use memchr::memchr2;

/// An event to write. Fields that are `None` are left out.
#[derive(Clone, Copy, Debug, Default)]
pub struct Frame<'a> {
    /// What a client sends back as `Last-Event-ID`. Line ends and NUL are left out.
    pub id: Option<&'a str>,
    /// The type of the event; `message` when left out. Line ends are left out.
    pub event: Option<&'a str>,
    /// Milliseconds to wait before connecting again.
    pub retry_ms: Option<u64>,
    /// The data; a line end in it begins another `data` line. Without data, no event is dispatched at the receiver.
    pub data: Option<&'a [u8]>,
}

/// Bytes of field names, colons and line ends, with some reserve: saves a second allocation.
const FRAME_OVERHEAD_BYTES: usize = 64;

impl Frame<'_> {
    /// Appends the frame to `out`.
    pub fn encode(&self, out: &mut BytesMut) {
        let text = self.id.map_or(0, str::len) + self.event.map_or(0, str::len);
        out.reserve(text + self.data.map_or(0, <[u8]>::len) + FRAME_OVERHEAD_BYTES);
        if let Some(id) = self.id {
            put_line(out, b"id: ", id);
        }
        if let Some(event) = self.event {
            put_line(out, b"event: ", event);
        }
        if let Some(retry) = self.retry_ms {
            put_line(out, b"retry: ", &retry.to_string());
        }
        if let Some(data) = self.data {
            put_data(out, data);
        }
        out.put_u8(b'\n');
    }
}

/// Appends a comment, which receivers ignore: it keeps a quiet connection open.
pub fn comment(text: &str, out: &mut BytesMut) {
    put_line(out, b": ", text);
    out.put_u8(b'\n');
}

fn put_line(out: &mut BytesMut, name: &[u8], value: &str) {
    out.put_slice(name);
    for part in value.split(['\r', '\n', '\0']) {
        out.put_slice(part.as_bytes());
    }
    out.put_u8(b'\n');
}

fn put_data(out: &mut BytesMut, data: &[u8]) {
    let mut rest = data;
    loop {
        out.put_slice(b"data: ");
        let Some(end) = memchr2(b'\r', b'\n', rest) else {
            out.put_slice(rest);
            out.put_u8(b'\n');
            return;
        };
        out.put_slice(&rest[..end]);
        out.put_u8(b'\n');
        let line_end = if rest[end..].starts_with(b"\r\n") { 2 } else { 1 };
        rest = &rest[end + line_end..];
    }
}
