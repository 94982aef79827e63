//! The rules on what people note down.

use domain::instance::Profile;
use domain::instance::profile::{ICON_BYTES_MAX, LABELS_MAX, NOTES_CHARS_MAX};
use url::Url;

use crate::violation::Violations;

pub(in crate::settings) const LABEL_KEY_BYTES_MAX: usize = 128;
pub(in crate::settings) const LABEL_VALUE_CHARS_MAX: usize = 256;

pub(in crate::settings) fn check(profile: &Profile, violations: &mut Violations) {
    if profile.labels.len() > LABELS_MAX {
        violations.add_at(&["labels"], format!("there are at most {LABELS_MAX} labels"));
    }
    check_labels(profile.labels.iter(), violations);
    check_notes(&profile.notes, violations);
    check_icon(&profile.icon, violations);
}

pub(in crate::settings) fn check_labels<'a>(
    labels: impl Iterator<Item = (&'a String, &'a String)>,
    violations: &mut Violations,
) {
    for (key, value) in labels {
        check_label_key(key, violations);
        if value.chars().count() > LABEL_VALUE_CHARS_MAX {
            let detail = format!("a label's value has at most {LABEL_VALUE_CHARS_MAX} characters");
            violations.add_at(&["labels", key], detail);
        }
        if value.chars().any(char::is_control) {
            violations.add_at(&["labels", key], "a label's value has no control characters");
        }
    }
}

/// As schemas write it: `^[A-Za-z0-9]([A-Za-z0-9._/-]*[A-Za-z0-9])?$`.
pub(in crate::settings) fn check_label_key(key: &str, violations: &mut Violations) {
    let inside = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'/' | b'-');
    let edge = |byte: Option<&u8>| byte.is_some_and(u8::is_ascii_alphanumeric);
    let bytes = key.as_bytes();
    if !bytes.iter().copied().all(inside) || !edge(bytes.first()) || !edge(bytes.last()) {
        let detail =
            "a label's key has letters, digits, `.`, `_`, `/` and `-`, and a letter or digit at its ends";
        violations.add_at(&["labels", key], detail);
    }
    if key.len() > LABEL_KEY_BYTES_MAX {
        violations.add_at(&["labels", key], format!("a label's key has at most {LABEL_KEY_BYTES_MAX} bytes"));
    }
}

pub(in crate::settings) fn check_notes(notes: &str, violations: &mut Violations) {
    if notes.chars().count() > NOTES_CHARS_MAX {
        violations.add_at(&["notes"], format!("notes have at most {NOTES_CHARS_MAX} characters"));
    }
    if notes.chars().any(|c| c.is_control() && !matches!(c, '\n' | '\r' | '\t')) {
        violations.add_at(&["notes"], "notes have no control characters but line ends and tabs");
    }
}

pub(in crate::settings) fn check_icon(icon: &str, violations: &mut Violations) {
    if icon.len() > ICON_BYTES_MAX {
        violations.add_at(&["icon"], format!("an icon has at most {ICON_BYTES_MAX} bytes"));
    }
    if !icon.is_empty() && !is_picture(icon) {
        let detail =
            "an icon is an http or https address without credentials, or a picture as `data:image/…,…`";
        violations.add_at(&["icon"], detail);
    }
}

fn is_picture(icon: &str) -> bool {
    if !icon.bytes().all(|byte| byte.is_ascii_graphic()) {
        return false;
    }
    if let Some(picture) = icon.strip_prefix("data:image/") {
        return picture.split_once(',').is_some_and(|(kind, data)| !kind.is_empty() && !data.is_empty());
    }
    Url::parse(icon).is_ok_and(|url| {
        matches!(url.scheme(), "http" | "https") && url.username().is_empty() && url.password().is_none()
    })
}
