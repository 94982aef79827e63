//! Which header fields cross the gateway. Pure; `proxy` calls it on the way in and on the way out.
//!
//! Everything that is not named here passes unchanged, `Mcp-*` and unknown fields included: intermediaries must
//! forward them (MCP 2026-07-28, Transports). What `REQUEST_ONLY` names ends here, unless the token's passthrough list
//! names it too: then the client's field reaches a proxied server, but no value with the token's own credential in it.
//! What belongs to one connection never crosses.
//!
//! To what passes, `proxy` adds the instance's header fields and then the token's; each replaces those of the same name.
//! A hosted server has a bridge in front of it that takes no header fields to it over stdio: to a replica nothing of a
//! token goes, neither its header fields nor what its passthrough list names. One that stands before an API gets both
//! for the API, under names of their own, because `Authorization` is for the bridge itself. The bridge learns which requests are of one
//! client, which without sessions nothing else says.

use domain::TokenId;
use http::{HeaderMap, HeaderName, HeaderValue, header};
use mcp::protocol::{Era, Revision};
use mcp::session::{METHOD, PASSED_PREFIX, PROTOCOL_VERSION};

/// Fields that concern one connection only (RFC 9110 section 7.6.1), and those that the HTTP library writes itself.
const HOP_BY_HOP: [HeaderName; 9] = [
    header::CONNECTION,
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("proxy-connection"),
    header::TE,
    header::TRAILER,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
    header::CONTENT_LENGTH,
    header::EXPECT,
];

/// Fields of a client that end at the gateway.
const REQUEST_ONLY: [HeaderName; 19] = [
    // Credentials for the gateway must not transit to anybody else (MCP 2025-11-25, Authorization, Token Handling).
    header::AUTHORIZATION,
    header::PROXY_AUTHORIZATION,
    HeaderName::from_static("api-key"),
    HeaderName::from_static("x-api-key"),
    // Cookies belong to the platform's host name, not to the server behind this path.
    header::COOKIE,
    // They name the gateway; an upstream that guards against DNS rebinding would refuse them.
    header::HOST,
    header::ORIGIN,
    header::REFERER,
    // Answers stay readable for the access log, and event streams are not held back by a compressor.
    header::ACCEPT_ENCODING,
    // Nobody in front of the gateway is trusted to say where a request comes from.
    header::FORWARDED,
    header::VIA,
    HeaderName::from_static("x-forwarded-for"),
    HeaderName::from_static("x-forwarded-host"),
    HeaderName::from_static("x-forwarded-port"),
    HeaderName::from_static("x-forwarded-proto"),
    HeaderName::from_static("x-forwarded-prefix"),
    HeaderName::from_static("x-real-ip"),
    HeaderName::from_static("true-client-ip"),
    // Only the gateway says to a bridge who the client is.
    mcp::session::CLIENT,
];

/// Fields of an upstream that would tell its address, set state on the platform's host name, or start a login there.
const ANSWER_ONLY: [HeaderName; 11] = [
    header::LOCATION,
    header::CONTENT_LOCATION,
    header::REFRESH,
    header::ALT_SVC,
    header::VIA,
    header::SET_COOKIE,
    header::WWW_AUTHENTICATE,
    header::PROXY_AUTHENTICATE,
    header::STRICT_TRANSPORT_SECURITY,
    HeaderName::from_static("clear-site-data"),
    HeaderName::from_static("nel"),
];

/// Removes what must not reach the upstream. What `passthrough` names is let through, except for `credential` and for
/// what belongs to the connection.
pub(crate) fn strip_request(headers: &mut HeaderMap, passthrough: &[HeaderName], credential: &str) {
    // The host is the connection's: the client of the upstream names its own.
    let passing = passthrough.iter().filter(|name| REQUEST_ONLY.contains(*name) && **name != header::HOST);
    let passing: Vec<(HeaderName, HeaderValue)> = passing
        .flat_map(|name| headers.get_all(name).iter().map(|value| (name.clone(), value.clone())))
        .filter(|(_, value)| !holds(value, credential))
        .collect();
    let of_connection = named_by_connection(headers);
    strip(headers, &REQUEST_ONLY);
    // Only the gateway says to a bridge what is for an API.
    let claimed = |name: &&HeaderName| name.as_str().starts_with(PASSED_PREFIX);
    let claimed: Vec<_> = headers.keys().filter(claimed).cloned().collect();
    for name in claimed {
        headers.remove(name);
    }
    for (name, value) in passing {
        if !of_connection.contains(&name) {
            headers.append(name, value);
        }
    }
}

/// What a token's passthrough list lets through to the API behind a bridge, as the bridge is told.
pub(crate) fn for_api(
    headers: &HeaderMap,
    passthrough: &[HeaderName],
    credential: &str,
) -> Vec<(HeaderName, HeaderValue)> {
    let of_connection = named_by_connection(headers);
    let is_own = |name: &HeaderName| {
        *name == header::HOST || HOP_BY_HOP.contains(name) || of_connection.contains(name)
    };
    let names = passthrough.iter().filter(|name| !is_own(name));
    let fields = names.flat_map(|name| headers.get_all(name).iter().map(move |value| (name, value)));
    let fields = fields.filter(|(_, value)| !holds(value, credential));
    fields.map(|(name, value)| (named_for_api(name), value.clone())).collect()
}

/// The name under which a bridge is told a field for the API.
pub(crate) fn named_for_api(name: &HeaderName) -> HeaderName {
    let name = HeaderName::try_from(format!("{PASSED_PREFIX}{name}"));
    name.expect("a name with more of a name before it is a name")
}

/// Whether a field has the credential in it, however it is presented.
fn holds(value: &HeaderValue, credential: &str) -> bool {
    value.as_bytes().windows(credential.len().max(1)).any(|window| window == credential.as_bytes())
}

/// Removes what must not reach the client.
pub(crate) fn strip_answer(headers: &mut HeaderMap) {
    strip(headers, &ANSWER_ONLY);
}

fn strip(headers: &mut HeaderMap, names: &[HeaderName]) {
    for name in named_by_connection(headers) {
        headers.remove(name);
    }
    for name in HOP_BY_HOP.iter().chain(names) {
        headers.remove(name);
    }
}

/// The fields that `Connection` declares to be of this connection only.
fn named_by_connection(headers: &HeaderMap) -> Vec<HeaderName> {
    let values = headers.get_all(header::CONNECTION).iter().filter_map(|value| value.to_str().ok());
    values.flat_map(|value| value.split(',')).filter_map(|name| name.trim().parse().ok()).collect()
}

/// Names the client of a token to a bridge.
pub(crate) fn client(token: TokenId) -> HeaderValue {
    HeaderValue::try_from(token.0.simple().to_string()).expect("hexadecimal digits are visible ASCII")
}

/// Whether a request says that it is of a revision without sessions.
pub(crate) fn knows_no_sessions(headers: &HeaderMap) -> bool {
    let revision = headers.get(PROTOCOL_VERSION).and_then(|value| value.to_str().ok());
    let revision = revision.and_then(|text| text.parse::<Revision>().ok());
    revision.is_some_and(|revision| revision.era() == Era::Stateless)
}

/// Whether a request without sessions asks to be told of what changes; whoever answers it checks that the body says so.
pub(crate) fn listens(headers: &HeaderMap) -> bool {
    headers.get(METHOD).is_some_and(|method| method == "subscriptions/listen")
}

/// The media type of a `Content-Type`, without its parameters.
pub(crate) fn media_type(headers: &HeaderMap) -> &str {
    let value = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    value.split(';').next().unwrap_or_default().trim()
}

/// Whether a body is announced as an event stream.
pub(crate) fn is_event_stream(headers: &HeaderMap) -> bool {
    media_type(headers).eq_ignore_ascii_case(mcp::sse::CONTENT_TYPE)
}

/// Whether a body's bytes are its text, so that a scanner can read them. Of several codings none is believed.
pub(crate) fn is_identity_coded(headers: &HeaderMap) -> bool {
    let mut codings = headers.get_all(header::CONTENT_ENCODING).iter();
    let is_identity = codings.next().is_none_or(|coding| coding.as_bytes().eq_ignore_ascii_case(b"identity"));
    is_identity && codings.next().is_none()
}

/// Whether a body is of one media type, and says of no charset but UTF-8 that it is in it.
pub(crate) fn is_utf8(headers: &HeaderMap) -> bool {
    let mut types = headers.get_all(header::CONTENT_TYPE).iter();
    let Some(media_type) = types.next() else { return true };
    let Ok(media_type) = media_type.to_str() else { return false };
    let parameters = media_type.split(';').skip(1).filter_map(|parameter| parameter.split_once('='));
    let mut charsets = parameters.filter(|(name, _)| name.trim().eq_ignore_ascii_case("charset"));
    let is_known = |charset: &str| {
        let charset = charset.trim().trim_matches('"');
        ["utf-8", "utf8", "us-ascii"].iter().any(|known| charset.eq_ignore_ascii_case(known))
    };
    types.next().is_none() && charsets.all(|(_, charset)| is_known(charset))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.append(*name, HeaderValue::from_static(value));
        }
        headers
    }

    fn names(headers: &HeaderMap) -> Vec<&str> {
        let mut names: Vec<&str> = headers.keys().map(HeaderName::as_str).collect();
        names.sort_unstable();
        names
    }

    #[test]
    fn a_request_loses_credentials_and_what_belongs_to_its_connection() {
        let mut request = headers(&[
            ("authorization", "Bearer secret"),
            ("api-key", "secret"),
            ("cookie", "session=1"),
            ("host", "gateway"),
            ("origin", "https://gateway"),
            ("connection", "close, X-Only-Here"),
            ("connection", "keep-alive"),
            ("x-only-here", "1"),
            ("keep-alive", "timeout=5"),
            ("te", "trailers"),
            ("upgrade", "h2c"),
            ("transfer-encoding", "chunked"),
            ("x-forwarded-for", "203.0.113.7"),
            ("forwarded", "for=203.0.113.7"),
            ("accept", "application/json"),
            ("mcp-session-id", "s"),
            ("mcp-param-region", "eu"),
            ("mcp-method", "tools/call"),
            ("mcpcan-client", "somebody else"),
        ]);
        strip_request(&mut request, &[], "secret");
        assert_eq!(names(&request), ["accept", "mcp-method", "mcp-param-region", "mcp-session-id"]);
    }

    #[test]
    fn what_a_token_lets_through_passes_without_its_credential() {
        let mut request = headers(&[
            ("authorization", "Bearer secret"),
            ("x-api-key", "the client's own"),
            ("x-api-key", "secret"),
            ("api-key", "not listed"),
            ("cookie", "session=1"),
            ("cookie", "other=secret"),
            ("host", "gateway"),
            ("connection", "close, origin"),
            ("origin", "https://client"),
            ("te", "trailers"),
        ]);
        let listed = ["authorization", "x-api-key", "cookie", "host", "origin", "te", "connection"];
        let listed = listed.map(HeaderName::from_static);
        strip_request(&mut request, &listed, "secret");
        assert_eq!(names(&request), ["cookie", "x-api-key"]);
        assert_eq!(request.get_all("x-api-key").iter().collect::<Vec<_>>(), ["the client's own"]);
        assert_eq!(request.get_all("cookie").iter().collect::<Vec<_>>(), ["session=1"]);
    }

    #[test]
    fn an_answer_loses_what_tells_where_it_comes_from() {
        let mut answer = headers(&[
            ("location", "https://upstream.internal/"),
            ("set-cookie", "a=b"),
            ("www-authenticate", "Bearer"),
            ("content-type", "application/json"),
            ("mcp-session-id", "s"),
        ]);
        strip_answer(&mut answer);
        assert_eq!(names(&answer), ["content-type", "mcp-session-id"]);
    }

    #[test]
    fn only_what_is_certainly_utf8_without_coding_is_read() {
        for (fields, expected) in [
            (&[("content-type", "application/json")][..], true),
            (&[("content-type", "application/json; Charset=\"UTF-8\"")], true),
            (&[("content-type", "application/json; charset=utf-16")], false),
            (&[("content-type", "a/b; charset=utf-8; charset=utf-16")], false),
            (&[("content-type", "application/json"), ("content-type", "text/plain")], false),
            (&[("content-encoding", "identity")], true),
            (&[("content-encoding", "identity"), ("content-encoding", "gzip")], false),
            (&[("content-encoding", "identity, gzip")], false),
        ] {
            let fields = headers(fields);
            assert_eq!(is_identity_coded(&fields) && is_utf8(&fields), expected, "{fields:?}");
        }
    }

    #[test]
    fn an_event_stream_is_known_by_its_media_type() {
        assert!(is_event_stream(&headers(&[("content-type", "Text/Event-Stream; charset=utf-8")])));
        assert!(!is_event_stream(&headers(&[("content-type", "application/json")])));
        assert!(!is_event_stream(&HeaderMap::new()));
    }
}
