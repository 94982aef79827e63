//! Names of tools: unique, short enough for every client, and the same with each import of a document.

use std::collections::BTreeSet;

use crate::limit::NAME_CHARS_MAX;

/// Characters of the hash that tells names apart.
const HASH_CHARS: usize = 8;

/// The name that an operation would have alone: its id, or its method and path.
pub(crate) fn of_operation(id: Option<&str>, method: &str, path: &str) -> String {
    let wanted = id.map(str::to_owned).unwrap_or_else(|| format!("{method} {path}"));
    let name = clean(&wanted);
    let name = if name.is_empty() { clean(&format!("{method} {path}")) } else { name };
    if name.len() <= NAME_CHARS_MAX { name } else { hashed(&name, &wanted) }
}

/// Names for several operations in order, each with the place that tells it from all others. Only those that would share
/// one get a hash, and of those not the first whose id is the name as it stands.
pub(crate) fn unique(wanted: &[(String, String, bool)]) -> Vec<String> {
    let mut taken = BTreeSet::new();
    let mut names = vec![None; wanted.len()];
    for exact in [true, false] {
        for (at, (name, place, is_exact)) in wanted.iter().enumerate().filter(|(_, (.., is))| *is == exact) {
            debug_assert_eq!(*is_exact, exact);
            let name = if taken.contains(name) { hashed(name, place) } else { name.clone() };
            taken.insert(name.clone());
            names[at] = Some(name);
        }
    }
    names.into_iter().flatten().collect()
}

/// A name of an argument as clients take it.
pub(crate) fn of_argument(name: &str) -> String {
    let name = clean(name);
    match name.len() {
        0 => "value".to_owned(),
        length if length <= NAME_CHARS_MAX => name,
        _ => hashed(&name, &name),
    }
}

/// Whether a tool can have this name.
pub(crate) fn is_valid(name: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.');
    (1..=NAME_CHARS_MAX).contains(&name.len()) && name.bytes().all(allowed)
}

/// Letters, digits, `_` and `-`, with one `_` for whatever else stands between them.
pub(crate) fn clean(text: &str) -> String {
    let mut name = String::with_capacity(text.len());
    for char in text.chars() {
        if char.is_ascii_alphanumeric() || matches!(char, '_' | '-') {
            name.push(char);
        } else if !name.ends_with('_') {
            name.push('_');
        }
    }
    // What was between braces or brackets leaves a mark at the ends only.
    let is_mark = |text: &str| !text.starts_with('_');
    let trimmed = if is_mark(text) { name.trim_start_matches('_') } else { &name };
    let trimmed = if text.ends_with('_') { trimmed } else { trimmed.trim_end_matches('_') };
    trimmed.to_owned()
}

/// The beginning of a name, and a hash of what it stands for.
fn hashed(name: &str, place: &str) -> String {
    let kept = name.len().min(NAME_CHARS_MAX - HASH_CHARS - 1);
    format!("{}_{:08x}", &name[..kept], crc32fast::hash(place.as_bytes()))
}
