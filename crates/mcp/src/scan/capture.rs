//! A bounded text that is being read: escapes decoded, or kept as they are. Only the scanner calls it.

use super::Text;

#[derive(Debug, Default)]
pub(super) struct Capture {
    bytes: Vec<u8>,
    limit: usize,
    truncated: bool,
    /// Keeps quotes and escapes as they stand.
    raw: bool,
    escape: Escape,
    /// The first half of a surrogate pair that waits for its second.
    high: Option<u16>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Escape {
    #[default]
    Outside,
    Backslash,
    Hex {
        left: u8,
        unit: u16,
    },
}

impl Capture {
    /// Starts over. With a `limit` of 0 the text is only passed over.
    pub(super) fn begin(&mut self, limit: usize, raw: bool) {
        self.bytes.clear();
        *self = Self { bytes: std::mem::take(&mut self.bytes), limit, raw, ..Self::default() };
        if raw {
            self.keep(b"\"");
        }
    }

    pub(super) fn keep(&mut self, bytes: &[u8]) {
        if self.limit == 0 || bytes.is_empty() {
            return;
        }
        self.flush_half_pair();
        self.push(bytes);
    }

    pub(super) fn in_escape(&self) -> bool {
        self.escape != Escape::Outside
    }

    /// A backslash begins an escape.
    pub(super) fn escape(&mut self) {
        self.escape = Escape::Backslash;
        if self.raw {
            self.push(b"\\");
        }
    }

    /// Takes the next byte of an escape; `false` if the byte is not part of it and is to be read again.
    pub(super) fn escaped(&mut self, byte: u8) -> bool {
        match self.escape {
            Escape::Outside => return false,
            Escape::Backslash if self.raw || self.limit == 0 => {
                self.keep(&[byte]);
                self.escape = Escape::Outside;
            }
            Escape::Backslash => {
                self.escape = Escape::Outside;
                match byte {
                    b'u' => self.escape = Escape::Hex { left: 4, unit: 0 },
                    b'b' => self.keep(b"\x08"),
                    b'f' => self.keep(b"\x0c"),
                    b'n' => self.keep(b"\n"),
                    b'r' => self.keep(b"\r"),
                    b't' => self.keep(b"\t"),
                    other => self.keep(&[other]),
                }
            }
            Escape::Hex { left, unit } => {
                let Some(digit) = char::from(byte).to_digit(16) else {
                    self.escape = Escape::Outside;
                    self.push_char(char::REPLACEMENT_CHARACTER);
                    return false;
                };
                let unit = unit << 4 | digit as u16;
                if left > 1 {
                    self.escape = Escape::Hex { left: left - 1, unit };
                } else {
                    self.escape = Escape::Outside;
                    self.code_unit(unit);
                }
            }
        }
        true
    }

    /// The finished text.
    pub(super) fn end(&mut self) -> Text {
        self.flush_half_pair();
        if self.raw {
            self.push(b"\"");
        }
        let whole = match std::str::from_utf8(&self.bytes) {
            // The limit fell into a character.
            Err(error) if self.truncated && error.error_len().is_none() => error.valid_up_to(),
            _ => self.bytes.len(),
        };
        let text = String::from_utf8_lossy(&self.bytes[..whole]).into_owned();
        Text { text, truncated: self.truncated }
    }

    fn code_unit(&mut self, unit: u16) {
        match (self.high, unit) {
            (Some(high), 0xDC00..=0xDFFF) => {
                self.high = None;
                let pair = char::decode_utf16([high, unit]).next();
                self.push_char(pair.and_then(Result::ok).unwrap_or(char::REPLACEMENT_CHARACTER));
            }
            (_, 0xD800..=0xDBFF) => {
                self.flush_half_pair();
                self.high = Some(unit);
            }
            _ => self.push_char(char::from_u32(unit.into()).unwrap_or(char::REPLACEMENT_CHARACTER)),
        }
    }

    fn flush_half_pair(&mut self) {
        if self.high.take().is_some() {
            self.push(char::REPLACEMENT_CHARACTER.encode_utf8(&mut [0; 4]).as_bytes());
        }
    }

    fn push_char(&mut self, char: char) {
        self.keep(char.encode_utf8(&mut [0; 4]).as_bytes());
    }

    fn push(&mut self, bytes: &[u8]) {
        let kept = bytes.len().min(self.limit - self.bytes.len());
        self.bytes.extend_from_slice(&bytes[..kept]);
        self.truncated |= kept < bytes.len();
    }
}
