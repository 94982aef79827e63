//! Session ids and the header names of Streamable HTTP (2025-11-25, Transports, Session Management).
//!
//! An id is visible ASCII and cannot be guessed: the caller gives the random bytes, so that this stays a pure
//! function. Bridge and client use it; the gateway seals the ids of upstreams into its own.

use std::fmt::Write as _;

use http::HeaderName;

/// The session a request belongs to.
pub const SESSION_ID: HeaderName = HeaderName::from_static("mcp-session-id");
/// The revision that a request after initialisation speaks.
pub const PROTOCOL_VERSION: HeaderName = HeaderName::from_static("mcp-protocol-version");
/// The method of a request's body (2026-07-28, Streamable HTTP, Standard Request Headers).
pub const METHOD: HeaderName = HeaderName::from_static("mcp-method");
/// The tool, prompt or resource that a request's body names.
pub const NAME: HeaderName = HeaderName::from_static("mcp-name");
/// Begins the names of the fields that mirror arguments of a tool.
pub const PARAMETER_PREFIX: &str = "mcp-param-";
/// Tells a bridge which client a request is of, in words that mean nothing elsewhere: the gateway's own field.
pub const CLIENT: HeaderName = HeaderName::from_static("mcpcan-client");
/// Begins the names of fields that a token lets through to the API behind a bridge: the gateway's own, too.
pub const PASSED_PREFIX: &str = "mcpcan-pass-";
/// The last event a client has seen of a stream that it resumes.
pub const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");

/// Random bytes in an id.
pub const ID_BYTES: usize = 16;

/// An id made of `random`, which must come from a cryptographically secure generator.
pub fn id(random: [u8; ID_BYTES]) -> String {
    let mut id = String::with_capacity(ID_BYTES * 2);
    for byte in random {
        write!(id, "{byte:02x}").expect("writing to a String cannot fail");
    }
    id
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_keeps_every_bit() {
        assert_eq!(id([0xA5; ID_BYTES]), "a5".repeat(16));
        assert_eq!(id([0; ID_BYTES]), "0".repeat(32));
    }
}
