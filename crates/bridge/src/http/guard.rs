//! What a request must say about itself before anything is done with it.

use ::http::header::{ACCEPT, CONTENT_TYPE};
use ::http::{HeaderMap, HeaderName};
use mcp::protocol::{Era, Revision};
use mcp::session::{CLIENT, PROTOCOL_VERSION};

use super::Refusal;
use crate::credential::Credential;

/// Whether the request presents the bridge's credential, if it has one.
pub(super) fn credential(headers: &HeaderMap, credential: Option<&Credential>) -> Result<(), Refusal> {
    match credential {
        Some(credential) if !credential.is_presented(headers) => Err(Refusal::NoCredential),
        Some(_) | None => Ok(()),
    }
}

/// Whether the client takes all of these media types. Without the header it takes any (RFC 9110, section 12.5.1).
pub(super) fn accepts(headers: &HeaderMap, wanted: &'static [&'static str]) -> Result<(), Refusal> {
    if !headers.contains_key(ACCEPT) {
        return Ok(());
    }
    let accepted = |media_type: &&str| {
        let (kind, _) = media_type.split_once('/').expect("a media type has a slash");
        values(headers, &ACCEPT).any(|range| {
            let mut parts = range.split(';').map(str::trim);
            let range = parts.next().unwrap_or_default();
            let refused = parts.any(|part| matches!(part, "q=0" | "q=0.0" | "q=0.00" | "q=0.000"));
            let any_of_kind = range.strip_suffix("/*").is_some_and(|range| range.eq_ignore_ascii_case(kind));
            !refused && (range.eq_ignore_ascii_case(media_type) || range == "*/*" || any_of_kind)
        })
    };
    if wanted.iter().all(accepted) { Ok(()) } else { Err(Refusal::NotAcceptable(wanted)) }
}

/// Whether the body is said to be JSON.
pub(super) fn json(headers: &HeaderMap) -> Result<(), Refusal> {
    let content_type = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let essence = content_type.split(';').next().unwrap_or_default().trim();
    if essence.eq_ignore_ascii_case("application/json") { Ok(()) } else { Err(Refusal::NotJson) }
}

/// Whether the revision that the request names, if it names one, has sessions.
pub(super) fn revision(headers: &HeaderMap) -> Result<(), Refusal> {
    match named_era(headers) {
        None | Some(Some(Era::Sessions)) => Ok(()),
        Some(Some(Era::Stateless) | None) => Err(Refusal::UnknownRevision),
    }
}

/// The era of the revision that the request names, if it names one and if that is known.
pub(super) fn named_era(headers: &HeaderMap) -> Option<Option<Era>> {
    let revision = headers.get(PROTOCOL_VERSION)?.to_str().ok().and_then(|text| text.parse().ok());
    Some(revision.map(Revision::era))
}

/// The client that the request is of; empty if it does not say.
pub(super) fn client(headers: &HeaderMap) -> &str {
    headers.get(CLIENT).and_then(|client| client.to_str().ok()).unwrap_or_default()
}

/// The elements of a header that is a list, over all its lines.
fn values<'a>(headers: &'a HeaderMap, name: &HeaderName) -> impl Iterator<Item = &'a str> {
    let lines = headers.get_all(name).into_iter().filter_map(|value| value.to_str().ok());
    lines.flat_map(|line| line.split(',')).map(str::trim)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(HeaderName, &'static str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (name.clone(), value.parse().unwrap())).collect()
    }

    #[test]
    fn accept_is_read_as_a_list_of_ranges() {
        let both: &[&str] = &["application/json", "text/event-stream"];
        let check = |accept| accepts(&headers(&[(ACCEPT, accept)]), both).is_ok();
        assert!(check("application/json, text/event-stream"));
        assert!(check("text/*;q=0.5, Application/JSON; charset=utf-8"));
        assert!(check("*/*"));
        assert!(!check("application/json"));
        assert!(!check("text/event-stream, application/json;q=0"));
        assert!(accepts(&HeaderMap::new(), both).is_ok());
    }

    #[test]
    fn only_known_revisions_with_sessions_pass() {
        let check = |version| revision(&headers(&[(PROTOCOL_VERSION, version)])).is_ok();
        assert!(check("2025-06-18") && check("2024-11-05"));
        assert!(!check("2026-07-28") && !check("1.0"));
        assert!(revision(&HeaderMap::new()).is_ok());
    }
}
