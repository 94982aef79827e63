//! Which addresses a proxied instance may lead to. Pure; the connector asks for every address it is about to use,
//! after names are resolved, so that a name cannot lead where a literal may not.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Where clouds answer with an instance's credentials, outside of the link-local ranges.
const METADATA_V4: [Ipv4Addr; 2] = [Ipv4Addr::new(100, 100, 100, 200), Ipv4Addr::new(192, 0, 0, 192)];
const METADATA_V6: [Ipv6Addr; 1] = [Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254)];

/// Whether an upstream may have this address. Link-local and metadata addresses never, whatever the configuration;
/// nor any that is no host: unspecified, broadcast, multicast.
pub(crate) fn is_allowed(address: IpAddr) -> bool {
    match address.to_canonical() {
        IpAddr::V4(address) => is_allowed_v4(address),
        IpAddr::V6(address) => embedded_v4(address).map_or_else(|| is_allowed_v6(address), is_allowed_v4),
    }
}

fn is_allowed_v4(address: Ipv4Addr) -> bool {
    let no_host = address.octets()[0] == 0 || address.is_broadcast() || address.is_multicast();
    !(no_host || address.is_link_local() || METADATA_V4.contains(&address))
}

fn is_allowed_v6(address: Ipv6Addr) -> bool {
    let no_host = address.is_unspecified() || address.is_multicast();
    !(no_host || address.is_unicast_link_local() || METADATA_V6.contains(&address))
}

/// The IPv4 address that a translating network would reach: NAT64 (RFC 6052) and 6to4 (RFC 3056).
fn embedded_v4(address: Ipv6Addr) -> Option<Ipv4Addr> {
    let [a, b, c, d, e, f, high, low] = address.segments();
    let v4 = |high: u16, low: u16| Ipv4Addr::from_bits(u32::from(high) << 16 | u32::from(low));
    match (a, b) {
        (0x64, 0xff9b) if [c, d, e, f] == [0; 4] => Some(v4(high, low)),
        (0x2002, high) => Some(v4(high, c)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metadata_and_link_local_addresses_are_refused_in_every_spelling() {
        for text in [
            "169.254.169.254",
            "169.254.0.1",
            "100.100.100.200",
            "0.0.0.0",
            "255.255.255.255",
            "224.0.0.1",
            "::",
            "fe80::1",
            "fd00:ec2::254",
            "ff02::1",
            "::ffff:169.254.169.254",
            "64:ff9b::a9fe:a9fe",
            "2002:a9fe:a9fe::1",
        ] {
            assert!(!is_allowed(text.parse().expect("an address")), "{text}");
        }
    }

    #[test]
    fn ordinary_addresses_are_allowed() {
        for text in ["127.0.0.1", "10.0.0.7", "203.0.113.7", "::1", "2001:db8::1", "64:ff9b::cb00:7107"] {
            assert!(is_allowed(text.parse().expect("an address")), "{text}");
        }
    }
}
