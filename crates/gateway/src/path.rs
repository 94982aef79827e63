//! Which of the gateway's addresses a request is for. Pure; `proxy` asks.

use service::health::{HEALTHZ, READYZ};

/// What every MCP address begins with.
const PREFIX: &str = "/mcp-gateway/";

/// What a path names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Target<'a> {
    Healthz,
    Readyz,
    /// The Streamable HTTP endpoint of an instance, given by id or by name.
    StreamableHttp {
        instance: &'a str,
    },
    /// An endpoint of HTTP+SSE (2024-11-05), which this gateway does not serve.
    HttpSse,
    /// Anything else. That includes `/.well-known/oauth-protected-resource…`: without an authorization server, any
    /// other answer than an unauthenticated 404 sends clients into a login that leads nowhere (RFC 9728 section 3).
    Unknown,
}

/// The target of a path. Names and ids need no percent-encoding, so none is undone.
pub(crate) fn target(path: &str) -> Target<'_> {
    match path {
        HEALTHZ => return Target::Healthz,
        READYZ => return Target::Readyz,
        _ => {}
    }
    let Some((instance, endpoint)) = path.strip_prefix(PREFIX).and_then(|rest| rest.split_once('/')) else {
        return Target::Unknown;
    };
    match endpoint {
        _ if instance.is_empty() => Target::Unknown,
        "mcp" | "v1/stream" => Target::StreamableHttp { instance },
        "sse" | "message" | "events" => Target::HttpSse,
        _ => Target::Unknown,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_names_of_the_endpoint_lead_to_the_instance() {
        for path in ["/mcp-gateway/everything/mcp", "/mcp-gateway/everything/v1/stream"] {
            assert_eq!(target(path), Target::StreamableHttp { instance: "everything" });
        }
    }

    #[test]
    fn what_is_not_served_is_told_apart() {
        assert_eq!(target("/mcp-gateway/everything/sse"), Target::HttpSse);
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
            "/.well-known/oauth-protected-resource/mcp-gateway/everything/mcp",
        ] {
            assert_eq!(target(path), Target::Unknown, "{path}");
        }
    }
}
