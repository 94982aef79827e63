//! The beginning of a body, kept while the body streams past.

/// How much of a request's body, and of an answer's, a record holds, in bytes.
pub(crate) const BODY_BYTES_MAX: usize = 16 * 1024;

/// The first bytes of a body, and whether there are more.
#[derive(Debug, Default)]
pub(crate) struct Prefix {
    bytes: Vec<u8>,
    is_cut: bool,
}

impl Prefix {
    /// The next bytes of the body.
    pub(crate) fn feed(&mut self, chunk: &[u8]) {
        let room = BODY_BYTES_MAX - self.bytes.len();
        self.is_cut |= chunk.len() > room;
        self.bytes.extend_from_slice(&chunk[..chunk.len().min(room)]);
    }

    /// More may come that is not kept.
    pub(crate) fn cut(mut self) -> Self {
        self.is_cut = true;
        self
    }

    pub(super) fn is_cut(&self) -> bool {
        self.is_cut
    }

    pub(super) fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// What is whole of it as text: a bound may fall into the middle of a character. None if it is none in UTF-8: with NULs
    /// in it, UTF-16 as likely as not, which would be legible to people and not to what masks.
    pub(super) fn text(&self) -> Option<std::borrow::Cow<'_, str>> {
        if self.bytes.contains(&0) {
            return None;
        }
        Some(match std::str::from_utf8(&self.bytes) {
            Err(error) if self.is_cut && error.error_len().is_none() => {
                String::from_utf8_lossy(&self.bytes[..error.valid_up_to()])
            }
            Ok(_) | Err(_) => String::from_utf8_lossy(&self.bytes),
        })
    }
}
