//! The form of an image's reference.

use crate::violation::Violations;

pub(in crate::settings) const IMAGE_BYTES_MAX: usize = 512;
/// The longest tag (OCI distribution specification, section "Pulling manifests").
const TAG_BYTES_MAX: usize = 128;

pub(in crate::settings) fn check_image(image: &str, violations: &mut Violations) {
    if image.len() > IMAGE_BYTES_MAX {
        violations.add_at(&["image"], format!("an image's reference has at most {IMAGE_BYTES_MAX} bytes"));
    }
    if !is_image(image) {
        let detail = "an image's reference has the form `[host[:port]/]path[:tag][@sha256:digest]`, \
                      with a path in lower case";
        violations.add_at(&["image"], detail);
    }
}

/// The grammar of `distribution/reference`, with SHA-256 as the only digest.
fn is_image(image: &str) -> bool {
    let (name, digest) = match image.split_once('@') {
        Some((name, digest)) => (name, Some(digest)),
        None => (image, None),
    };
    let is_digest = |digest: &str| {
        let hex = digest.strip_prefix("sha256:");
        hex.is_some_and(|hex| hex.len() == 64 && hex.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f')))
    };
    // A colon behind the last slash begins a tag, one before it a port.
    let path_at = name.rfind('/').map_or(0, |slash| slash + 1);
    let (path, tag) = match name[path_at..].split_once(':') {
        Some((last, tag)) => (&name[..path_at + last.len()], Some(tag)),
        None => (name, None),
    };
    let is_path = match path.split_once('/') {
        Some((host, rest)) if is_host(host) => rest.split('/').all(is_component),
        Some(_) | None => path.split('/').all(is_component),
    };
    is_path && tag.is_none_or(is_tag) && digest.is_none_or(is_digest)
}

/// The first part is a host if it could be nothing else.
fn is_host(text: &str) -> bool {
    let (host, port) = match text.split_once(':') {
        Some((host, port)) => (host, Some(port)),
        None => (text, None),
    };
    let is_port = |port: &str| port.parse::<u16>().is_ok_and(|port| port > 0);
    let is_name =
        !host.is_empty() && host.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-'));
    is_name && port.is_none_or(is_port) && (text.contains(['.', ':']) || text == "localhost")
}

/// Lower-case letters and digits, with single `.`, one or two `_`, or any number of `-` between them.
fn is_component(text: &str) -> bool {
    let is_word = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let bytes = text.as_bytes();
    let is_separator = |run: &[u8]| matches!(run, [] | b"." | b"_" | b"__") || run.iter().all(|b| *b == b'-');
    bytes.first().copied().is_some_and(is_word)
        && bytes.last().copied().is_some_and(is_word)
        && bytes.split(|byte| is_word(*byte)).all(is_separator)
}

fn is_tag(tag: &str) -> bool {
    let is_word = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    tag.len() <= TAG_BYTES_MAX
        && tag.bytes().next().is_some_and(is_word)
        && tag.bytes().all(|byte| is_word(byte) || matches!(byte, b'.' | b'-'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_of_images_are_told_from_other_texts() {
        let digest = format!("sha256:{}", "0a".repeat(32));
        for good in [
            "server",
            "server:1.2",
            "library/server_x",
            "a__b",
            "a--b/c.d",
            "example.org/team/server:V1_x",
            "localhost/server",
            "example.org:5000/server",
            &format!("ghcr.io/a/b:1@{digest}"),
            &format!("a@{digest}"),
        ] {
            assert!(is_image(good), "{good}");
        }
        for bad in [
            "",
            "Server",
            "a//b",
            "/a",
            "a/",
            "a:",
            "a:b:c",
            "a@sha256:00",
            "a b",
            "-a",
            "a_",
            "a..b",
            "a___b",
            "example.org:0/a",
            "https://example.org/a",
            &format!("a:{}", "x".repeat(129)),
        ] {
            assert!(!is_image(bad), "{bad}");
        }
    }
}
