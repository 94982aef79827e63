//! Masks members of JSON by their keys, wherever it stands in a text: the text may be cut anywhere, may have JSON in
//! the middle of other words, and may be no JSON at all.
//!
//! A text is taken as what stands between its quotation marks, without asking which of them begin a string: so it does
//! not matter what comes before, or where the text begins. What stands before a mark with a colon behind is a key. Every
//! byte that is not masked stays as it is; what has escapes is looked into as it reads, JSON in strings in JSON too. Each
//! level costs one pass over the text, which is bounded by what a record may hold.

use memchr::memchr2;

use super::{MASK, Masking, Secrets};

/// [`MASK`] as a value.
const MASKED_VALUE: &str = r#""***""#;

/// How deep JSON in strings in JSON is looked into. What is deeper is masked as a whole.
const NESTED_MAX: usize = 4;

/// The text with what is masked replaced by [`MASK`].
pub(super) fn mask(text: &str, masking: &Masking, secrets: &Secrets) -> String {
    Masker { masking, secrets }.masked(text, 0)
}

struct Masker<'a> {
    masking: &'a Masking,
    secrets: &'a Secrets,
}

impl Masker<'_> {
    fn masked(&self, text: &str, nested: usize) -> String {
        let bytes = text.as_bytes();
        let mut out = String::with_capacity(text.len());
        // Where the piece begins, and whether a quotation mark is in front of it.
        let (mut start, mut is_quoted) = (0, false);
        loop {
            let end = mark(bytes, start);
            let piece = &text[start..end.unwrap_or(bytes.len())];
            let value = end.filter(|_| is_quoted).and_then(|end| value_start(bytes, end + 1));
            if let Some(value) = value
                && self.masking.is_masked(&unescaped(piece))
            {
                out.push_str(&text[start..value]);
                out.push_str(MASKED_VALUE);
                (start, is_quoted) = (value_end(bytes, value), false);
                continue;
            }
            match self.string(piece, nested) {
                Some(changed) => out.push_str(&changed),
                None => out.push_str(piece),
            }
            let Some(end) = end else { return out };
            out.push('"');
            (start, is_quoted) = (end + 1, true);
        }
    }

    /// What stands for the inside of a string with escapes, if it is not what it was.
    fn string(&self, inner: &str, nested: usize) -> Option<String> {
        if !inner.contains('\\') {
            return None;
        }
        let read = unescaped(inner);
        let masked = match read.contains('"') {
            true if nested == NESTED_MAX => MASK.to_owned(),
            true => self.masked(&read, nested + 1),
            false => read.clone(),
        };
        let masked = self.masking.text(&masked, self.secrets);
        if masked == read {
            return None;
        }
        let written = serde_json::to_string(&masked).expect("a text is JSON");
        Some(written[1..written.len() - 1].to_owned())
    }
}

/// What the inside of a string reads as. Half of a surrogate pair becomes U+FFFD; what is no escape stays.
fn unescaped(inner: &str) -> String {
    let (mut read, mut rest) = (String::with_capacity(inner.len()), inner);
    while let Some(at) = memchr::memchr(b'\\', rest.as_bytes()) {
        read.push_str(&rest[..at]);
        let (character, bytes) = escape(&rest[at..]).unwrap_or(('\\', 1));
        read.push(character);
        rest = &rest[at + bytes..];
    }
    read.push_str(rest);
    read
}

/// The escape that a text begins with (RFC 8259 section 7), and how long it is.
fn escape(text: &str) -> Option<(char, usize)> {
    let character = match text.as_bytes().get(1)? {
        b'n' => '\n',
        b't' => '\t',
        b'r' => '\r',
        b'b' => '\u{8}',
        b'f' => '\u{c}',
        plain @ (b'"' | b'\\' | b'/') => char::from(*plain),
        b'u' => {
            const UNIT: usize = r"\u0000".len();
            let unit = code_unit(text)?;
            let low = code_unit(text.get(UNIT..)?);
            return Some(match char::decode_utf16([unit].into_iter().chain(low)).next() {
                Some(Ok(character)) => (character, UNIT * character.len_utf16()),
                Some(Err(_)) | None => (char::REPLACEMENT_CHARACTER, UNIT),
            });
        }
        _ => return None,
    };
    Some((character, 2))
}

/// The UTF-16 code unit of a `\u` escape that a text begins with.
fn code_unit(text: &str) -> Option<u16> {
    let digits = text.strip_prefix(r"\u")?.get(..4)?;
    let are_hex = digits.bytes().all(|digit| digit.is_ascii_hexdigit());
    u16::from_str_radix(digits, 16).ok().filter(|_| are_hex)
}

/// The next quotation mark that is not escaped.
fn mark(bytes: &[u8], mut at: usize) -> Option<usize> {
    loop {
        at += memchr2(b'"', b'\\', bytes.get(at..)?)?;
        match bytes[at] {
            b'"' => return Some(at),
            _ => at += 2,
        }
    }
}

/// Where the value begins, if what ends here is a key and has one.
fn value_start(bytes: &[u8], key_end: usize) -> Option<usize> {
    let is_space = |byte: &u8| matches!(byte, b' ' | b'\t' | b'\r' | b'\n');
    let next = |from: usize| Some(from + bytes.get(from..)?.iter().position(|byte| !is_space(byte))?);
    let colon = next(key_end).filter(|at| bytes[*at] == b':')?;
    next(colon + 1).filter(|at| !matches!(bytes[*at], b',' | b'}' | b']'))
}

/// The end of the value that begins here, or of the text.
fn value_end(bytes: &[u8], start: usize) -> usize {
    let (mut at, mut depth) = (start, 0_usize);
    while let Some(byte) = bytes.get(at) {
        match byte {
            b'"' => {
                let Some(end) = mark(bytes, at + 1) else { return bytes.len() };
                at = end + 1;
                if depth == 0 {
                    return at;
                }
                continue;
            }
            b'{' | b'[' => depth += 1,
            b'}' | b']' if depth == 0 => return at,
            b'}' | b']' => {
                depth -= 1;
                if depth == 0 {
                    return at + 1;
                }
            }
            b',' | b' ' | b'\t' | b'\r' | b'\n' if depth == 0 => return at,
            _ => {}
        }
        at += 1;
    }
    bytes.len()
}
