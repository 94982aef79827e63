//! Who a client is when proxies stand between it and the gateway.
//!
//! A proxy that forwards a request adds the address that it got it from to `X-Forwarded-For`, at the end. What stands
//! there is as good as who wrote it: read from the end, addresses count for as long as they were written by proxies that
//! are trusted, and the first that is none of these is the client. Without trusted proxies the field says nothing.

use std::net::IpAddr;

use http::{HeaderMap, HeaderName};
use ipnet::IpNet;

const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// The address that a request came from: `peer`'s own, or, if that is a trusted proxy, what it and those before it say.
/// Where a trusted one says something that is no address, it counts itself.
pub(crate) fn client_address(peer: IpAddr, headers: &HeaderMap, trusted: &[IpNet]) -> IpAddr {
    let is_trusted = |address: IpAddr| trusted.iter().any(|net| net.contains(&address));
    let mut client = peer.to_canonical();
    if trusted.is_empty() || !is_trusted(client) {
        return client;
    }
    for field in headers.get_all(X_FORWARDED_FOR).iter().rev() {
        for element in field.to_str().unwrap_or_default().rsplit(',') {
            let Some(address) = parse(element.trim()) else { return client };
            client = address;
            if !is_trusted(client) {
                return client;
            }
        }
    }
    client
}

/// An address, which some proxies write with a port or in brackets.
fn parse(text: &str) -> Option<IpAddr> {
    let address = text.parse().ok();
    let with_port = || text.parse().ok().map(|address: std::net::SocketAddr| address.ip());
    let in_brackets = || text.strip_prefix('[')?.strip_suffix(']')?.parse().ok();
    address.or_else(with_port).or_else(in_brackets).map(|address: IpAddr| address.to_canonical())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client(peer: &str, fields: &[&str]) -> String {
        let trusted = ["10.0.0.0/8", "fd00::/8"].map(|net| net.parse().unwrap());
        let fields = fields.iter().map(|field| (X_FORWARDED_FOR, field.parse().unwrap()));
        let headers = HeaderMap::from_iter(fields.collect::<Vec<_>>());
        client_address(peer.parse().unwrap(), &headers, &trusted).to_string()
    }

    #[test]
    fn a_trusted_proxy_says_whom_it_serves() {
        assert_eq!(client("10.0.0.1", &["198.51.100.7"]), "198.51.100.7");
        assert_eq!(client("10.0.0.1", &["198.51.100.7, 10.0.0.2"]), "198.51.100.7");
        assert_eq!(client("10.0.0.1", &["198.51.100.7", "10.0.0.2"]), "198.51.100.7", "as two fields");
        assert_eq!(client("::ffff:10.0.0.1", &["[2001:db8::7]:4711"]), "2001:db8::7");
        assert_eq!(client("fd00::1", &["198.51.100.7:80"]), "198.51.100.7");
        assert_eq!(client("10.0.0.1", &["10.0.0.3, 10.0.0.2"]), "10.0.0.3", "a client beside the proxies");
    }

    #[test]
    fn what_a_client_claims_of_itself_does_not_count() {
        assert_eq!(client("198.51.100.7", &["203.0.113.1"]), "198.51.100.7", "it is no proxy of ours");
        assert_eq!(client("10.0.0.1", &["203.0.113.1, 198.51.100.7"]), "198.51.100.7");
        assert_eq!(client("10.0.0.1", &["203.0.113.1, unknown"]), "10.0.0.1");
        assert_eq!(client("10.0.0.1", &["203.0.113.1, unknown, 10.0.0.2"]), "10.0.0.2");
        assert_eq!(client("10.0.0.1", &[]), "10.0.0.1");
        assert_eq!(client("10.0.0.1", &[""]), "10.0.0.1");
    }
}
