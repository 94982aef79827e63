//! Changes single values of a JSON text and leaves every other byte as it is.
//!
//! A message that passes through must not be parsed and written again: numbers, key order, escapes and unknown members
//! would change. [`find`] says where a value lies, [`Edits`] puts others in its place. The texts are valid JSON, for
//! they come out of [`message::parse`](crate::message::parse); of a text that is not, nothing is found, and nothing
//! panics. A key that occurs twice counts the last time, as in JavaScript and Python.

#[cfg(test)]
mod tests;

use std::borrow::Cow;
use std::ops::Range;

use memchr::memchr2;

/// Where the value at the end of a path of keys lies; `None` if there is none. An empty path is the text's own value.
pub fn find(text: &str, path: &[&str]) -> Option<Range<usize>> {
    let start = space(text.as_bytes(), 0);
    let mut range = start..value_end(text.as_bytes(), start)?;
    for key in path {
        range = Members::of(text, range)?.filter(|member| member.is(text, key)).last()?.value;
    }
    Some(range)
}

/// Where a text lies in one that it was borrowed from.
pub fn range_of(text: &str, part: &str) -> Option<Range<usize>> {
    let start = (part.as_ptr() as usize).checked_sub(text.as_ptr() as usize)?;
    let end = start.checked_add(part.len())?;
    (end <= text.len()).then_some(start..end)
}

/// A member of an object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// The key with its quotes.
    pub key: Range<usize>,
    /// The value.
    pub value: Range<usize>,
}

impl Member {
    /// Whether the member has this key, however it is written.
    pub fn is(&self, text: &str, key: &str) -> bool {
        let quoted = &text[self.key.clone()];
        let written = &quoted[1..quoted.len() - 1];
        if !written.contains('\\') {
            return written == key;
        }
        serde_json::from_str::<String>(quoted).is_ok_and(|read| read == key)
    }
}

/// The members of an object, in their order.
#[derive(Clone, Debug)]
pub struct Members<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Members<'a> {
    /// The members of the object at this place of a text; `None` if the value there is no object.
    pub fn of(text: &'a str, object: Range<usize>) -> Option<Self> {
        text.as_bytes().get(object.start).filter(|byte| **byte == b'{')?;
        Some(Self { text, at: object.start + 1 })
    }
}

impl Iterator for Members<'_> {
    type Item = Member;

    fn next(&mut self) -> Option<Member> {
        let bytes = self.text.as_bytes();
        let mut start = space(bytes, self.at);
        if bytes.get(start) == Some(&b',') {
            start = space(bytes, start + 1);
        }
        let key = start..text_end(bytes, start)?;
        let colon = space(bytes, key.end);
        bytes.get(colon).filter(|byte| **byte == b':')?;
        let start = space(bytes, colon + 1);
        let value = start..value_end(bytes, start)?;
        self.at = value.end;
        Some(Member { key, value })
    }
}

/// Changes that are made to a text all at once. They must not overlap.
#[derive(Debug)]
pub struct Edits<'a> {
    text: &'a str,
    list: Vec<(Range<usize>, Cow<'a, str>)>,
}

impl<'a> Edits<'a> {
    /// No change to this text so far.
    pub fn of(text: &'a str) -> Self {
        Self { text, list: Vec::new() }
    }

    /// Puts something in the place of a value.
    pub fn replace(&mut self, place: Range<usize>, by: impl Into<Cow<'a, str>>) {
        self.list.push((place, by.into()));
    }

    /// Puts members, written as in an object and without a comma around them, before those of an object.
    pub fn insert(&mut self, object: &Range<usize>, members: impl Into<Cow<'a, str>>) {
        let start = object.start + 1;
        let mut members = members.into();
        if let Some((_, before)) = self.list.iter_mut().find(|(place, _)| *place == (start..start)) {
            // Those have seen to the comma before what follows.
            members.to_mut().push(',');
            *before.to_mut() = format!("{members}{before}");
            return;
        }
        if self.text.as_bytes().get(space(self.text.as_bytes(), start)) != Some(&b'}') {
            members.to_mut().push(',');
        }
        self.list.push((start..start, members));
    }

    /// Takes a member out of an object, with the comma that it no longer needs.
    pub fn remove(&mut self, object: &Range<usize>, key: &str) {
        let Some(members) = Members::of(self.text, object.clone()) else { return };
        let members: Vec<_> = members.collect();
        let kept = members.iter().rposition(|member| !member.is(self.text, key));
        let trailing = kept.map_or(0, |kept| kept + 1);
        for at in 0..trailing {
            if members[at].is(self.text, key) {
                self.replace(members[at].key.start..members[at + 1].key.start, "");
            }
        }
        if let [first, ..] = &members[trailing..]
            && let Some(last) = members.last()
        {
            let start = kept.map_or(first.key.start, |kept| members[kept].value.end);
            self.replace(start..last.value.end, "");
        }
    }

    /// The text with the changes.
    pub fn apply(mut self) -> String {
        self.list.sort_by_key(|(place, _)| (place.start, place.end));
        let added: usize = self.list.iter().map(|(_, by)| by.len()).sum();
        let mut edited = String::with_capacity(self.text.len() + added);
        let mut at = 0;
        for (place, by) in &self.list {
            edited.push_str(&self.text[at..place.start]);
            edited.push_str(by);
            at = place.end;
        }
        edited.push_str(&self.text[at..]);
        edited
    }
}

/// The first byte from here on that is not white space.
fn space(bytes: &[u8], from: usize) -> usize {
    let rest = bytes.get(from..).unwrap_or_default();
    from + rest.iter().take_while(|byte| matches!(byte, b' ' | b'\t' | b'\n' | b'\r')).count()
}

/// The end of the string that begins here.
fn text_end(bytes: &[u8], start: usize) -> Option<usize> {
    bytes.get(start).filter(|byte| **byte == b'"')?;
    let mut at = start + 1;
    loop {
        at += memchr2(b'"', b'\\', bytes.get(at..)?)?;
        match bytes[at] {
            b'"' => return Some(at + 1),
            _ => at += 2,
        }
    }
}

/// The end of the value that begins here.
fn value_end(bytes: &[u8], start: usize) -> Option<usize> {
    match bytes.get(start)? {
        b'"' => text_end(bytes, start),
        b'{' | b'[' => container_end(bytes, start),
        _ => {
            let scalar = bytes[start..].iter();
            let ends =
                |byte: &&u8| matches!(byte, b',' | b'}' | b']' | b':' | b'"' | b' ' | b'\t' | b'\n' | b'\r');
            let length = scalar.take_while(|byte| !ends(byte)).count();
            (length > 0).then_some(start + length)
        }
    }
}

fn container_end(bytes: &[u8], start: usize) -> Option<usize> {
    let (mut at, mut depth) = (start, 0_usize);
    loop {
        match bytes.get(at)? {
            b'"' => {
                at = text_end(bytes, at)?;
                continue;
            }
            b'{' | b'[' => depth += 1,
            b'}' | b']' => {
                depth -= 1;
                if depth == 0 {
                    return Some(at + 1);
                }
            }
            _ => {}
        }
        at += 1;
    }
}
