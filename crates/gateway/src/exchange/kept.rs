//! Which bodies are kept in part, and as what.

use domain::instance::Capture;
use http::HeaderMap;

use crate::headers;
use crate::traces::{Body, BodyKind, Prefix};

/// As what the body of a message is kept, if it is.
pub(super) fn kept(headers: &HeaderMap, capture: Capture) -> Option<BodyKind> {
    if !headers::is_identity_coded(headers) || !headers::is_utf8(headers) {
        return None;
    }
    let media_type = headers::media_type(headers).to_ascii_lowercase();
    let kind = match media_type.as_str() {
        "application/x-www-form-urlencoded" => BodyKind::Form,
        "application/json" => BodyKind::Text,
        other if other.ends_with("+json") || other.starts_with("text/") => BodyKind::Text,
        _ => return None,
    };
    match capture {
        Capture::Bodies => Some(kind),
        Capture::Metadata => (kind == BodyKind::Form).then_some(kind),
        Capture::Off => None,
    }
}

impl Body {
    pub(super) fn of(kind: BodyKind) -> Self {
        Self { kind, prefix: Prefix::default() }
    }

    pub(super) fn cut(self) -> Self {
        Self { prefix: self.prefix.cut(), ..self }
    }
}
