//! Which `Host` and `Origin` a server takes: its guard against DNS rebinding, by which a web page elsewhere makes a
//! browser speak to servers that only this machine should reach (2025-11-25, Transports, Security Warning).
//!
//! Gateway and bridge ask before anything else of a request counts.

use std::net::{IpAddr, SocketAddr};

use http::header::{HOST, HeaderMap, HeaderValue, ORIGIN};
use http::uri::Authority;

/// The names under which a server is known.
#[derive(Clone, Debug)]
pub struct Names {
    /// Whether only this machine can reach it.
    loopback: bool,
    /// Host names without ports.
    public: Vec<String>,
}

/// A request that is refused with 403.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Foreign {
    /// `Host` names another machine.
    Host,
    /// The request comes from a page of another origin.
    Origin,
}

impl Names {
    /// The names of a server that listens on this address, and is reached by the public names too.
    pub fn new(listening: SocketAddr, public: impl IntoIterator<Item = String>) -> Self {
        Self { loopback: listening.ip().is_loopback(), public: public.into_iter().collect() }
    }

    /// Whether `Host` and `Origin` are the server's. On a loopback address both must name this machine or be public.
    /// Elsewhere, other names may be the network's business, but a page must come from the host that it talks to.
    pub fn check(&self, headers: &HeaderMap) -> Result<(), Foreign> {
        let host = headers.get(HOST).and_then(text).unwrap_or_default();
        if self.loopback && !self.is_known(host) {
            return Err(Foreign::Host);
        }
        let Some(origin) = headers.get(ORIGIN) else { return Ok(()) };
        let origin = text(origin).and_then(|origin| origin.split_once("://")).map(|(_, origin)| origin);
        match origin {
            Some(origin) if self.is_known(origin) => Ok(()),
            Some(origin) if !self.loopback && origin.eq_ignore_ascii_case(host) => Ok(()),
            _ => Err(Foreign::Origin),
        }
    }

    fn is_known(&self, authority: &str) -> bool {
        let Ok(authority) = authority.parse::<Authority>() else { return false };
        // A user name in front of it would make `localhost@evil.example` look like something else.
        let host = authority.host();
        let public = self.public.iter().any(|name| name.eq_ignore_ascii_case(host));
        public || (self.loopback && is_loopback(host))
    }
}

fn text(value: &HeaderValue) -> Option<&str> {
    value.to_str().ok()
}

fn is_loopback(host: &str) -> bool {
    let literal = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    host.eq_ignore_ascii_case("localhost") || literal.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(names: &Names, host: &'static str, origin: Option<&'static str>) -> Result<(), Foreign> {
        let mut headers = HeaderMap::new();
        headers.insert(HOST, HeaderValue::from_static(host));
        headers.extend(origin.map(|origin| (ORIGIN, HeaderValue::from_static(origin))));
        names.check(&headers)
    }

    #[test]
    fn on_loopback_only_this_machine_and_public_names_may_be_named() {
        let names = Names::new("127.0.0.1:41234".parse().unwrap(), ["mcp.example".to_owned()]);
        for host in ["127.0.0.1:41234", "localhost", "LOCALHOST:1", "[::1]:5", "127.8.8.8", "MCP.example:443"]
        {
            assert_eq!(check(&names, host, None), Ok(()), "{host}");
        }
        for host in [
            "evil.example",
            "localhost.evil.example",
            "10.0.0.1",
            "",
            "127.0.0.1.evil.example:80",
            "a.mcp.example",
        ] {
            assert_eq!(check(&names, host, None), Err(Foreign::Host), "{host}");
        }
        for origin in ["http://localhost:3000", "https://mcp.example"] {
            assert_eq!(check(&names, "localhost", Some(origin)), Ok(()), "{origin}");
        }
        for origin in ["http://evil.example", "null", "http://localhost@evil.example", "localhost"] {
            assert_eq!(check(&names, "localhost", Some(origin)), Err(Foreign::Origin), "{origin}");
        }
    }

    #[test]
    fn elsewhere_a_page_must_come_from_the_host_or_a_public_name() {
        let names = Names::new("0.0.0.0:80".parse().unwrap(), ["mcp.example".to_owned()]);
        for origin in [None, Some("http://bridge:8080"), Some("https://mcp.example")] {
            assert_eq!(check(&names, "bridge:8080", origin), Ok(()), "{origin:?}");
        }
        for origin in ["http://evil.example", "http://localhost:8080"] {
            assert_eq!(check(&names, "bridge:8080", Some(origin)), Err(Foreign::Origin), "{origin}");
        }
    }
}
