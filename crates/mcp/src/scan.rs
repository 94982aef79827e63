//! Finds what routing and the access log need in a JSON-RPC message while its bytes stream past.
//!
//! The scanner never holds a message: it keeps a few bounded texts and a depth, whatever the size of the body and
//! wherever chunk borders fall. It does not validate. Of input that is not JSON it reports what it found before the
//! input went wrong, and never panics. A key that occurs twice counts the last time, as in JavaScript and Python.
//! The gateway feeds it request and response bodies.

mod capture;
mod key;
mod summary;
#[cfg(test)]
mod tests;

use capture::Capture;
use key::Key;
use memchr::memchr2;
pub use summary::{ID_BYTES_MAX, METHOD_BYTES_MAX, REVISION_BYTES_MAX, Summary, TARGET_BYTES_MAX, Text};

/// Bytes kept of a key; longer ones are none of those looked for.
const KEY_BYTES_MAX: usize = 24;
/// Bytes kept of a number, `true`, `false` or `null`.
const SCALAR_BYTES_MAX: usize = 32;

/// A streaming scanner of one body. See the [module](self).
#[derive(Debug, Default)]
pub struct Scanner {
    state: State,
    /// Containers open at this point.
    depth: u64,
    /// The depth inside the scanned message: 1, or 2 in a batch.
    message_depth: u64,
    focus: Focus,
    /// Whether the next string of the object is a key. Only read in an object that is looked into.
    key_next: bool,
    /// Whether the next value at depth 1 of a batch begins another message.
    element_next: bool,
    /// The last key of the message.
    member: Key,
    /// Whether the member's value is an object that is looked into.
    inside: bool,
    /// The last key of that object.
    field: Key,
    target: Target,
    capture: Capture,
    summary: Summary,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum State {
    #[default]
    Start,
    Structure,
    Text,
    Scalar,
    End,
}

/// Where the scanned message lies from here.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Focus {
    #[default]
    Ahead,
    Within,
    Past,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Level {
    Message,
    Member,
    Elsewhere,
}

/// What the string or scalar being read is kept for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Target {
    Key,
    Value(Key),
    #[default]
    Nothing,
}

impl Scanner {
    /// A scanner at the start of a body.
    pub fn new() -> Self {
        Self::default()
    }

    /// Reads the next bytes of the body.
    pub fn feed(&mut self, chunk: &[u8]) {
        let mut rest = chunk;
        while !rest.is_empty() {
            rest = match self.state {
                State::Start => self.start(rest),
                State::Structure => self.structure(rest),
                State::Text => self.text(rest),
                State::Scalar => self.scalar(rest),
                State::End => return,
            };
        }
    }

    /// What was found so far.
    pub fn summary(&self) -> &Summary {
        &self.summary
    }

    /// What was found in the whole body.
    pub fn into_summary(self) -> Summary {
        self.summary
    }

    fn start<'a>(&mut self, bytes: &'a [u8]) -> &'a [u8] {
        match bytes[0] {
            b'{' => {
                (self.message_depth, self.depth) = (1, 1);
                (self.focus, self.key_next) = (Focus::Within, true);
                self.summary.messages = 1;
                self.state = State::Structure;
            }
            b'[' => {
                (self.message_depth, self.depth) = (2, 1);
                (self.summary.batch, self.element_next) = (true, true);
                self.state = State::Structure;
            }
            // White space, and the bytes of a byte order mark.
            b' ' | b'\t' | b'\r' | b'\n' | 0xEF | 0xBB | 0xBF => {}
            _ => self.state = State::End,
        }
        &bytes[1..]
    }

    fn structure<'a>(&mut self, bytes: &'a [u8]) -> &'a [u8] {
        for (at, &byte) in bytes.iter().enumerate() {
            match byte {
                b'"' => {
                    self.open_text();
                    return &bytes[at + 1..];
                }
                b'{' | b'[' => self.open(byte == b'{'),
                b'}' | b']' => self.close(),
                b',' => {
                    self.key_next = true;
                    self.element_next = self.depth == 1;
                }
                b':' => self.key_next = false,
                b' ' | b'\t' | b'\r' | b'\n' => {}
                _ if self.open_scalar(byte) => return &bytes[at..],
                _ => {}
            }
            if self.state == State::End {
                break;
            }
        }
        &[]
    }

    fn level(&self) -> Level {
        match self.focus {
            Focus::Within if self.depth == self.message_depth => Level::Message,
            Focus::Within if self.inside && self.depth == self.message_depth + 1 => Level::Member,
            Focus::Within | Focus::Ahead | Focus::Past => Level::Elsewhere,
        }
    }

    fn open(&mut self, object: bool) {
        self.value_begins(object, false);
        if self.level() == Level::Message {
            self.inside = object && matches!(self.member, Key::Params | Key::Result | Key::Error);
            self.field = Key::Other;
        }
        self.depth = self.depth.saturating_add(1);
        self.key_next = object;
    }

    fn close(&mut self) {
        self.depth = self.depth.saturating_sub(1);
        self.key_next = false;
        if self.focus == Focus::Within && self.depth <= self.message_depth {
            self.inside = false;
            if self.depth < self.message_depth {
                self.focus = Focus::Past;
            }
        }
        if self.depth == 0 {
            self.summary.complete = true;
            self.state = State::End;
        }
    }

    fn open_text(&mut self) {
        let limit = match (self.level(), self.key_next) {
            (Level::Elsewhere, _) => {
                self.value_begins(false, false);
                self.target = Target::Nothing;
                0
            }
            (Level::Message | Level::Member, true) => {
                self.target = Target::Key;
                KEY_BYTES_MAX
            }
            (Level::Message | Level::Member, false) => {
                self.value_begins(false, false);
                let (key, limit) = match self.key_here() {
                    Key::Method => (Key::Method, METHOD_BYTES_MAX),
                    Key::Id => (Key::Id, ID_BYTES_MAX),
                    key @ (Key::Name | Key::Uri) => (key, TARGET_BYTES_MAX),
                    Key::ProtocolVersion => (Key::ProtocolVersion, REVISION_BYTES_MAX),
                    _ => (Key::Other, 0),
                };
                self.target = if key == Key::Other { Target::Nothing } else { Target::Value(key) };
                limit
            }
        };
        self.capture.begin(limit, self.target == Target::Value(Key::Id));
        self.state = State::Text;
    }

    fn text<'a>(&mut self, bytes: &'a [u8]) -> &'a [u8] {
        if self.capture.in_escape() {
            let taken = self.capture.escaped(bytes[0]);
            return &bytes[usize::from(taken)..];
        }
        let Some(at) = memchr2(b'"', b'\\', bytes) else {
            self.capture.keep(bytes);
            return &[];
        };
        self.capture.keep(&bytes[..at]);
        if bytes[at] == b'\\' {
            self.capture.escape();
        } else {
            self.close_text();
        }
        &bytes[at + 1..]
    }

    fn close_text(&mut self) {
        self.state = State::Structure;
        match self.target {
            Target::Nothing => {}
            Target::Key => {
                let key = Key::named(&self.capture.end());
                if self.level() == Level::Message {
                    self.member = key.filter(|key| key.of_message()).unwrap_or_default();
                } else {
                    self.field = key.filter(|key| key.inside(self.member)).unwrap_or_default();
                }
            }
            Target::Value(key) => {
                let text = self.capture.end();
                self.summary.keep(key, text);
            }
        }
    }

    /// Whether the scalar that begins here is to be read as a whole; others are passed over byte by byte.
    fn open_scalar(&mut self, first: u8) -> bool {
        self.value_begins(false, first == b'n');
        let wanted = match self.level() {
            Level::Elsewhere => false,
            _ if self.key_next => false,
            Level::Message | Level::Member => {
                matches!(self.key_here(), Key::Id | Key::Result | Key::Error | Key::Code | Key::IsError)
            }
        };
        if wanted {
            let key = self.key_here();
            self.target = Target::Value(key);
            self.capture.begin(if key == Key::Id { ID_BYTES_MAX } else { SCALAR_BYTES_MAX }, false);
            self.state = State::Scalar;
        }
        wanted
    }

    fn scalar<'a>(&mut self, bytes: &'a [u8]) -> &'a [u8] {
        let end = bytes.iter().position(|byte| {
            matches!(byte, b',' | b'}' | b']' | b':' | b'"' | b'{' | b'[' | b' ' | b'\t' | b'\r' | b'\n')
        });
        self.capture.keep(&bytes[..end.unwrap_or(bytes.len())]);
        let Some(end) = end else { return &[] };
        self.state = State::Structure;
        let text = self.capture.end();
        match self.target {
            Target::Value(Key::Id) => self.summary.id = Some(text),
            Target::Value(Key::Code) => self.summary.error_code = text.text.parse().ok(),
            Target::Value(Key::IsError) => self.summary.is_error = text.text == "true",
            Target::Value(_) | Target::Key | Target::Nothing => {}
        }
        &bytes[end..]
    }

    fn key_here(&self) -> Key {
        if self.level() == Level::Message { self.member } else { self.field }
    }

    /// Counts the messages of a batch, and forgets what an earlier occurrence of the same key gave.
    fn value_begins(&mut self, object: bool, null: bool) {
        if self.summary.batch && self.depth == 1 && self.element_next {
            self.element_next = false;
            self.summary.messages += 1;
            self.focus = if object && self.summary.messages == 1 { Focus::Within } else { Focus::Past };
            return;
        }
        let level = self.level();
        if level == Level::Elsewhere || self.key_next {
            return;
        }
        let key = if level == Level::Message { self.member } else { self.field };
        self.summary.forget(key, null);
    }
}
