//! Which of the gateway's addresses a request is for. Pure; `proxy` asks.

use service::health::{HEALTHZ, READYZ};

use crate::oauth::metadata::WELL_KNOWN;

/// What every MCP address begins with.
const PREFIX: &str = "/mcp-gateway/";

/// What a path names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Target<'a> {
    Healthz,
    Readyz,
    /// An endpoint of an instance, given by id or by name.
    Mcp {
        instance: &'a str,
        endpoint: Endpoint,
    },
    /// The metadata of the resource at this path, if that is an endpoint of an instance (RFC 9728 section 3.1).
    Metadata {
        instance: &'a str,
        path: &'a str,
    },
    Unknown,
}

/// An address of an instance.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Endpoint {
    /// Streamable HTTP: everything at one address.
    StreamableHttp,
    /// HTTP+SSE (2024-11-05): the stream, which is the session.
    Sse,
    /// HTTP+SSE: where the session's messages are posted, as the stream has said.
    Message,
}

/// The target of a path. Names and ids need no percent-encoding, so none is undone.
pub(crate) fn target(path: &str) -> Target<'_> {
    match path {
        HEALTHZ => return Target::Healthz,
        READYZ => return Target::Readyz,
        _ => {}
    }
    if let Some(path) = path.strip_prefix(WELL_KNOWN) {
        return match target(path) {
            Target::Mcp { instance, .. } => Target::Metadata { instance, path },
            Target::Healthz | Target::Readyz | Target::Metadata { .. } | Target::Unknown => Target::Unknown,
        };
    }
    let Some((instance, endpoint)) = path.strip_prefix(PREFIX).and_then(|rest| rest.split_once('/')) else {
        return Target::Unknown;
    };
    match endpoint {
        _ if instance.is_empty() => Target::Unknown,
        "mcp" | "v1/stream" => Target::Mcp { instance, endpoint: Endpoint::StreamableHttp },
        "sse" | "events" => Target::Mcp { instance, endpoint: Endpoint::Sse },
        "message" => Target::Mcp { instance, endpoint: Endpoint::Message },
        _ => Target::Unknown,
    }
}

/// Where messages are posted to the instance that a path of ours names.
pub(crate) fn message(path: &str) -> String {
    let instance = path.strip_prefix(PREFIX).and_then(|rest| rest.split('/').next()).unwrap_or_default();
    format!("{PREFIX}{instance}/message")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_of_an_endpoint_leads_to_the_instance() {
        for (path, endpoint) in [
            ("/mcp-gateway/everything/mcp", Endpoint::StreamableHttp),
            ("/mcp-gateway/everything/v1/stream", Endpoint::StreamableHttp),
            ("/mcp-gateway/everything/sse", Endpoint::Sse),
            ("/mcp-gateway/everything/events", Endpoint::Sse),
            ("/mcp-gateway/everything/message", Endpoint::Message),
        ] {
            assert_eq!(target(path), Target::Mcp { instance: "everything", endpoint });
            assert_eq!(message(path), "/mcp-gateway/everything/message");
        }
    }

    #[test]
    fn what_is_not_served_is_told_apart() {
        for path in [
            "/",
            "/mcp-gateway",
            "/mcp-gateway/",
            "/mcp-gateway//mcp",
            "/mcp-gateway/everything",
            "/mcp-gateway/everything/",
            "/mcp-gateway/everything/mcp/",
            "/mcp-gateway/everything/../mcp",
            "/.well-known/oauth-protected-resource",
            "/.well-known/oauth-protected-resource/healthz",
            "/.well-known/oauth-protected-resource/.well-known/oauth-protected-resource/mcp-gateway/x/mcp",
        ] {
            assert_eq!(target(path), Target::Unknown, "{path}");
        }
    }
}
