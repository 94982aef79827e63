//! What is found in a message.

use super::key::Key;

/// Bytes kept of a method name.
pub const METHOD_BYTES_MAX: usize = 128;
/// Bytes kept of a message id, quotes and escapes included.
pub const ID_BYTES_MAX: usize = 128;
/// Bytes kept of a tool or prompt name, or of a resource's URI.
pub const TARGET_BYTES_MAX: usize = 512;
/// Bytes kept of a protocol revision.
pub const REVISION_BYTES_MAX: usize = 32;

/// A text found in a message, cut at a character boundary when it was longer than its limit.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Text {
    /// The text. Bytes that are not UTF-8 are replaced by U+FFFD.
    pub text: String,
    /// Whether the message holds more of it.
    pub truncated: bool,
}

/// What was found in the message, or in the first message of a batch.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    /// `method`, present in requests and notifications.
    pub method: Option<Text>,
    /// `id` as it stands in the message: a string with its quotes and escapes, a number, or `null`.
    pub id: Option<Text>,
    /// `params.name`: the tool or prompt.
    pub name: Option<Text>,
    /// `params.uri`: the resource.
    pub uri: Option<Text>,
    /// `params.protocolVersion` of an `initialize` request, or `result.protocolVersion` of its answer.
    pub protocol_version: Option<Text>,
    /// Whether there is a `result` that is not `null`.
    pub result: bool,
    /// `result.isError`: the tool ran and failed.
    pub is_error: bool,
    /// Whether there is an `error` that is not `null`.
    pub error: bool,
    /// `error.code`, when it is an integer.
    pub error_code: Option<i64>,
    /// Whether the body is an array of messages.
    pub batch: bool,
    /// Messages begun so far: 1 for a single message, the length of a batch at its end.
    pub messages: u64,
    /// Whether the outermost value has ended.
    pub complete: bool,
}

impl Summary {
    /// The tool, prompt or resource that the message is about.
    pub fn target(&self) -> Option<&Text> {
        self.name.as_ref().or(self.uri.as_ref())
    }

    /// Keeps the text that a key has.
    pub(super) fn keep(&mut self, key: Key, text: Text) {
        let text = Some(text);
        match key {
            Key::Method => self.method = text,
            Key::Id => self.id = text,
            Key::Name => self.name = text,
            Key::Uri => self.uri = text,
            Key::ProtocolVersion => self.protocol_version = text,
            Key::Params | Key::Result | Key::Error | Key::Code | Key::IsError | Key::Other => {}
        }
    }

    /// Forgets what an earlier occurrence of a key gave. The value that follows is `null` or not.
    pub(super) fn forget(&mut self, key: Key, null: bool) {
        match key {
            Key::Method => self.method = None,
            Key::Id => self.id = None,
            Key::Params => (self.name, self.uri, self.protocol_version) = (None, None, None),
            Key::Result => {
                (self.result, self.is_error) = (!null, false);
                self.protocol_version = None;
            }
            Key::Error => (self.error, self.error_code) = (!null, None),
            Key::Name => self.name = None,
            Key::Uri => self.uri = None,
            Key::ProtocolVersion => self.protocol_version = None,
            Key::Code => self.error_code = None,
            Key::IsError => self.is_error = false,
            Key::Other => {}
        }
    }
}
