//! Cuts a stream into the parts of events as it passes, holding at most one short field.

use memchr::memchr2;

use super::FIELD_BYTES_MAX;

/// Longest field name that means something (`retry`, `event`), after a byte order mark.
const NAME_BYTES_MAX: usize = 8;
const BYTE_ORDER_MARK: &[u8] = b"\xEF\xBB\xBF";

/// A part of an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Piece<'a> {
    /// A `data` line begins. From the second on, the event's data continues with a line feed.
    DataLine,
    /// The next bytes of the data line.
    Data(&'a [u8]),
    /// The event's `event` field.
    Event(&'a [u8]),
    /// The event's `id` field; it is never one with a NUL, which receivers ignore.
    Id(&'a [u8]),
    /// The event's `retry` field, in milliseconds.
    Retry(u64),
    /// An `event`, `id` or `retry` field was longer than [`FIELD_BYTES_MAX`] and has been left out.
    FieldTooLong,
    /// A blank line: the event is complete.
    End,
}

/// A streaming splitter of one event stream. See the [module](super).
#[derive(Debug)]
pub struct Splitter {
    line: Line,
    /// The field name, or the value of a short field.
    held: Vec<u8>,
    /// The line's name, or its short field, is longer than what is held of it.
    overflow: bool,
    /// A CR ended the last line: a LF that follows belongs to it.
    after_cr: bool,
    /// A space that follows the colon is not part of the value.
    after_colon: bool,
    first_line: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Line {
    Name,
    Value(Field),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Field {
    Data,
    Event,
    Id,
    Retry,
    /// A comment or an unknown field.
    Ignored,
}

impl Default for Splitter {
    fn default() -> Self {
        Self {
            line: Line::Name,
            held: Vec::new(),
            overflow: false,
            after_cr: false,
            after_colon: false,
            first_line: true,
        }
    }
}

impl Splitter {
    /// A splitter at the start of a stream.
    pub fn new() -> Self {
        Self::default()
    }

    /// Reads the next bytes of the stream and gives their parts to `take`.
    pub fn feed<'a>(&mut self, chunk: &'a [u8], mut take: impl FnMut(Piece<'_>)) {
        let mut rest: &'a [u8] = chunk;
        while let Some(&first) = rest.first() {
            if std::mem::take(&mut self.after_cr) && first == b'\n' {
                rest = &rest[1..];
                continue;
            }
            rest = match self.line {
                Line::Name => self.name(rest, &mut take),
                Line::Value(field) => self.value(field, rest, &mut take),
            };
        }
    }

    fn name<'a>(&mut self, bytes: &'a [u8], take: &mut impl FnMut(Piece<'_>)) -> &'a [u8] {
        let end = bytes.iter().position(|byte| matches!(byte, b':' | b'\r' | b'\n'));
        self.hold(&bytes[..end.unwrap_or(bytes.len())], NAME_BYTES_MAX);
        let Some(end) = end else { return &[] };
        let name = match self.held.strip_prefix(BYTE_ORDER_MARK) {
            Some(name) if self.first_line => name,
            _ => &self.held[..],
        };
        let blank = name.is_empty();
        let field = match name {
            _ if self.overflow => Field::Ignored,
            b"data" => Field::Data,
            b"event" => Field::Event,
            b"id" => Field::Id,
            b"retry" => Field::Retry,
            _ => Field::Ignored,
        };
        self.held.clear();
        self.overflow = false;
        if bytes[end] == b':' || !blank {
            if field == Field::Data {
                take(Piece::DataLine);
            }
            self.line = Line::Value(field);
            self.after_colon = true;
        } else {
            take(Piece::End);
        }
        if bytes[end] != b':' {
            self.line_ends(bytes[end], take);
        }
        &bytes[end + 1..]
    }

    fn value<'a>(&mut self, field: Field, bytes: &'a [u8], take: &mut impl FnMut(Piece<'_>)) -> &'a [u8] {
        if std::mem::take(&mut self.after_colon) && bytes[0] == b' ' {
            return &bytes[1..];
        }
        let end = memchr2(b'\r', b'\n', bytes);
        let part = &bytes[..end.unwrap_or(bytes.len())];
        match field {
            Field::Data if !part.is_empty() => take(Piece::Data(part)),
            Field::Event | Field::Id | Field::Retry => self.hold(part, FIELD_BYTES_MAX),
            Field::Data | Field::Ignored => {}
        }
        let Some(end) = end else { return &[] };
        self.line_ends(bytes[end], take);
        &bytes[end + 1..]
    }

    fn line_ends(&mut self, end: u8, take: &mut impl FnMut(Piece<'_>)) {
        match self.line {
            Line::Value(Field::Event | Field::Id | Field::Retry) if self.overflow => {
                take(Piece::FieldTooLong);
            }
            Line::Value(Field::Event) => take(Piece::Event(&self.held)),
            Line::Value(Field::Id) if !self.held.contains(&0) => take(Piece::Id(&self.held)),
            Line::Value(Field::Retry) => {
                if let Some(milliseconds) = digits(&self.held) {
                    take(Piece::Retry(milliseconds));
                }
            }
            Line::Name | Line::Value(Field::Id | Field::Data | Field::Ignored) => {}
        }
        self.held.clear();
        self.overflow = false;
        self.line = Line::Name;
        self.after_colon = false;
        self.after_cr = end == b'\r';
        self.first_line = false;
    }

    fn hold(&mut self, bytes: &[u8], limit: usize) {
        let kept = bytes.len().min(limit.saturating_sub(self.held.len()));
        self.held.extend_from_slice(&bytes[..kept]);
        self.overflow |= kept < bytes.len();
    }
}

/// ASCII digits only: neither a sign nor white space is a number here.
fn digits(bytes: &[u8]) -> Option<u64> {
    if bytes.is_empty() || !bytes.iter().all(u8::is_ascii_digit) {
        return None;
    }
    std::str::from_utf8(bytes).ok()?.parse().ok()
}
