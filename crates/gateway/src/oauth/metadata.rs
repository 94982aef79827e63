//! Protected resource metadata (RFC 9728): tells clients who issues the access tokens of an instance.
//!
//! It lies under a path of its own for each address of an instance, the well-known part in front (section 3.1). Where no
//! issuer is configured there is none: any other answer than 404 sends clients into a login that leads nowhere.

use domain::instance::Authorization;
use http::{HeaderMap, header};
use serde_json::json;
use url::Url;

/// What the path of metadata begins with.
pub(crate) const WELL_KNOWN: &str = "/.well-known/oauth-protected-resource";

/// Where clients reach the gateway: as it was told, or as they call it.
pub(crate) fn base(public_url: Option<&Url>, headers: &HeaderMap) -> String {
    match public_url {
        Some(url) => url.as_str().trim_end_matches('/').to_owned(),
        None => {
            let host = headers.get(header::HOST).and_then(|host| host.to_str().ok()).unwrap_or("localhost");
            format!("http://{host}")
        }
    }
}

/// The metadata of the resource at this path.
pub(crate) fn document(base: &str, path: &str, authorization: &Authorization) -> String {
    json!({
        "resource": format!("{base}{path}"),
        "authorization_servers": [authorization.issuer],
        "scopes_supported": authorization.scopes,
        "bearer_methods_supported": ["header"],
        "resource_name": "mcpcan",
    })
    .to_string()
}

/// Where the metadata of the resource at this path is.
pub(crate) fn url(base: &str, path: &str) -> String {
    match base.parse::<Url>() {
        Ok(parsed) => {
            let (origin, prefix) =
                (parsed.origin().ascii_serialization(), parsed.path().trim_end_matches('/'));
            format!("{origin}{WELL_KNOWN}{prefix}{path}")
        }
        Err(_) => format!("{base}{WELL_KNOWN}{path}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_well_known_part_stands_in_front_of_the_path() {
        let path = "/mcp-gateway/everything/mcp";
        assert_eq!(
            url("https://gateway.example", path),
            "https://gateway.example/.well-known/oauth-protected-resource/mcp-gateway/everything/mcp"
        );
        assert_eq!(
            url("https://gateway.example/base", path),
            "https://gateway.example/.well-known/oauth-protected-resource/base/mcp-gateway/everything/mcp"
        );
    }

    #[test]
    fn the_gateway_is_called_as_it_was_told_or_as_clients_do() {
        let headers = HeaderMap::from_iter([(header::HOST, "127.0.0.1:7090".parse().expect("a value"))]);
        assert_eq!(base(None, &headers), "http://127.0.0.1:7090");
        let url = "https://gateway.example/base/".parse().expect("a url");
        assert_eq!(base(Some(&url), &headers), "https://gateway.example/base");
    }
}
