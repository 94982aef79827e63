//! Masks members of a JSON text by their keys, without parsing it whole: the text may be cut anywhere, and may be no
//! JSON at all.
//!
//! Every byte that is not masked stays as it is. A string that is JSON itself, as results of tools often are, is masked
//! within; one with escapes is looked into as it reads.

use memchr::memchr2;

use super::{MASK, Masking, Secrets};

/// [`MASK`] as a value.
const MASKED_VALUE: &str = r#""***""#;

/// How deep JSON in strings in JSON is looked into. What is deeper is masked as a whole.
const NESTED_MAX: usize = 4;

/// The text with what is masked replaced by [`MASK`].
pub(super) fn mask(text: &str, masking: &Masking, secrets: &Secrets) -> String {
    Masker { text, masking, secrets, nested: 0, out: String::with_capacity(text.len()), objects: vec![] }
        .run()
}

struct Masker<'a> {
    text: &'a str,
    masking: &'a Masking,
    secrets: &'a Secrets,
    nested: usize,
    out: String,
    /// The containers that are open, and whether each is an object.
    objects: Vec<bool>,
}

impl Masker<'_> {
    fn run(mut self) -> String {
        let (bytes, mut at, mut copied) = (self.text.as_bytes(), 0, 0);
        // Whether the next string of the object is a key, and whether the value after it is masked.
        let (mut key_next, mut masked) = (false, false);
        while at < bytes.len() {
            let byte = bytes[at];
            let begins_value = !matches!(byte, b' ' | b'\t' | b'\r' | b'\n' | b':' | b',' | b'}' | b']');
            if masked && begins_value {
                self.out.push_str(&self.text[copied..at]);
                self.out.push_str(MASKED_VALUE);
                at = value_end(bytes, at);
                (copied, masked) = (at, false);
                continue;
            }
            match byte {
                b'"' => {
                    let end = string_end(bytes, at);
                    let inner = &self.text[at + 1..end.map_or(bytes.len(), |end| end - 1)];
                    let is_key = key_next && self.objects.last() == Some(&true);
                    if is_key {
                        masked = self.masking.is_masked(&unescaped(inner));
                    } else if let Some(changed) = self.string(inner) {
                        self.out.push_str(&self.text[copied..=at]);
                        self.out.push_str(&changed);
                        copied = at + 1 + inner.len();
                    }
                    key_next = false;
                    at = end.unwrap_or(bytes.len());
                    continue;
                }
                b'{' | b'[' => {
                    self.objects.push(byte == b'{');
                    key_next = byte == b'{';
                }
                b'}' | b']' => {
                    self.objects.pop();
                    (key_next, masked) = (false, false);
                }
                b',' => (key_next, masked) = (true, false),
                _ => {}
            }
            at += 1;
        }
        self.out.push_str(&self.text[copied..]);
        self.out
    }

    /// What stands for the inside of a string, if it is not what it was.
    fn string(&self, inner: &str) -> Option<String> {
        let read = unescaped(inner);
        let masked = match read.trim_start().as_bytes().first() {
            Some(b'{' | b'[') if self.nested == NESTED_MAX => MASK.to_owned(),
            Some(b'{' | b'[') => {
                let (masking, secrets, nested) = (self.masking, self.secrets, self.nested + 1);
                let out = String::with_capacity(read.len());
                Masker { text: &read, masking, secrets, nested, out, objects: vec![] }.run()
            }
            _ if !inner.contains('\\') => return None,
            _ => read.clone(),
        };
        let masked = self.secrets.masked(&masked);
        if masked == read {
            return None;
        }
        let written = serde_json::to_string(&masked).expect("a text is JSON");
        Some(written[1..written.len() - 1].to_owned())
    }
}

/// What the inside of a string reads as. It may be cut, in the middle of an escape too; what is no escape stays.
fn unescaped(inner: &str) -> String {
    if !inner.contains('\\') {
        return inner.to_owned();
    }
    let longest_escape = r"\ud83d\ude0".len();
    for cut in 0..=longest_escape.min(inner.len()) {
        let Some(kept) = inner.get(..inner.len() - cut) else { continue };
        if let Ok(read) = serde_json::from_str::<String>(&format!("\"{kept}\"")) {
            return read;
        }
    }
    inner.to_owned()
}

/// The end of the string that begins here; none if the text is cut before it.
fn string_end(bytes: &[u8], start: usize) -> Option<usize> {
    let mut at = start + 1;
    loop {
        at += memchr2(b'"', b'\\', bytes.get(at..)?)?;
        match bytes[at] {
            b'"' => return Some(at + 1),
            _ => at += 2,
        }
    }
}

/// The end of the value that begins here, or of the text.
fn value_end(bytes: &[u8], start: usize) -> usize {
    let (mut at, mut depth) = (start, 0_usize);
    while let Some(byte) = bytes.get(at) {
        match byte {
            b'"' => {
                let Some(end) = string_end(bytes, at) else { return bytes.len() };
                at = end;
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
