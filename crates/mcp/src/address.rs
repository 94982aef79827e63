//! Which addresses an instance may lead to. The api asks for the address that a url names, when somebody asks for the
//! instance; the gateway, and the bridge before an API, ask for every address that they are about to connect to, after
//! names are resolved, so that a name cannot lead where a literal may not.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Where clouds answer with an instance's credentials, outside of the link-local ranges: Alibaba, Oracle, Azure.
const METADATA_V4: [Ipv4Addr; 3] =
    [Ipv4Addr::new(100, 100, 100, 200), Ipv4Addr::new(192, 0, 0, 192), Ipv4Addr::new(168, 63, 129, 16)];
/// The same of AWS, all of whose services for an instance lie in one /32, and of Google.
const METADATA_V6_AWS: [u16; 2] = [0xfd00, 0xec2];
const METADATA_V6: [Ipv6Addr; 1] = [Ipv6Addr::new(0xfd20, 0xce, 0, 0, 0, 0, 0, 0x254)];

/// Why no upstream may have an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AddressRefusal {
    /// Whatever the configuration.
    #[error("{0} is link-local, answers for a cloud's metadata, or is no host: no instance leads there")]
    Never(IpAddr),
    /// Where the configuration says so.
    #[error("{0} is private, and this platform leads to public addresses only (`--private-upstreams`)")]
    Private(IpAddr),
}

/// Whether an upstream may have this address, where private ones are allowed or not.
///
/// # Errors
/// Link-local and metadata addresses never, nor any that is no host (unspecified, broadcast, multicast); loopback,
/// private, shared and unique local ones only where they are allowed.
pub fn require_allowed(address: IpAddr, private: bool) -> Result<(), AddressRefusal> {
    let reached = match address.to_canonical() {
        IpAddr::V4(address) => IpAddr::V4(address),
        IpAddr::V6(address) => embedded_v4(address).map_or(IpAddr::V6(address), IpAddr::V4),
    };
    let (is_never, is_private) = match reached {
        IpAddr::V4(address) => (is_never_v4(address), is_private_v4(address)),
        IpAddr::V6(address) => (is_never_v6(address), is_private_v6(address)),
    };
    if is_never {
        return Err(AddressRefusal::Never(address));
    }
    if is_private && !private {
        return Err(AddressRefusal::Private(address));
    }
    Ok(())
}

fn is_never_v4(address: Ipv4Addr) -> bool {
    let no_host = address.octets()[0] == 0 || address.is_broadcast() || address.is_multicast();
    no_host || address.is_link_local() || METADATA_V4.contains(&address)
}

fn is_never_v6(address: Ipv6Addr) -> bool {
    let no_host = address.is_unspecified() || address.is_multicast();
    let is_metadata = address.segments()[..2] == METADATA_V6_AWS || METADATA_V6.contains(&address);
    no_host || is_metadata || address.is_unicast_link_local()
}

/// RFC 1918, loopback, shared address space (RFC 6598), protocol assignments (RFC 6890) and benchmarks (RFC 2544).
fn is_private_v4(address: Ipv4Addr) -> bool {
    let [a, b, c, _] = address.octets();
    let is_special = matches!((a, b, c), (100, 64..=127, _) | (192, 0, 0) | (198, 18..=19, _));
    is_special || address.is_private() || address.is_loopback()
}

/// Unique local addresses (RFC 4193), loopback, and site-local ones (RFC 3879), which some networks still have.
fn is_private_v6(address: Ipv6Addr) -> bool {
    let is_site_local = address.segments()[0] & 0xffc0 == 0xfec0;
    is_site_local || address.is_unique_local() || address.is_loopback()
}

/// The IPv4 address that a translating network would reach: NAT64 (RFC 6052, RFC 8215), 6to4 (RFC 3056), Teredo
/// (RFC 4380), and the IPv4-compatible form (RFC 4291 section 2.5.5.1).
fn embedded_v4(address: Ipv6Addr) -> Option<Ipv4Addr> {
    let [a, b, c, d, e, f, high, low] = address.segments();
    let v4 = |high: u16, low: u16| Ipv4Addr::from_bits(u32::from(high) << 16 | u32::from(low));
    match (a, b, c) {
        (0x64, 0xff9b, 0) if [d, e, f] == [0; 3] => Some(v4(high, low)),
        (0x64, 0xff9b, 1) => Some(v4(high, low)),
        (0x2002, high, low) => Some(v4(high, low)),
        (0x2001, 0, _) => Some(v4(!high, !low)),
        (0, 0, 0) if [d, e, f] == [0; 3] && high != 0 => Some(v4(high, low)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn allowed(text: &str, private: bool) -> Result<(), AddressRefusal> {
        require_allowed(text.parse().unwrap(), private)
    }

    #[test]
    fn metadata_and_link_local_addresses_are_refused_in_every_spelling() {
        for text in [
            "169.254.169.254",
            "169.254.0.1",
            "100.100.100.200",
            "168.63.129.16",
            "0.0.0.0",
            "0.1.2.3",
            "255.255.255.255",
            "224.0.0.1",
            "::",
            "fe80::1",
            "fd00:ec2::254",
            "fd00:ec2::23",
            "fd20:ce::254",
            "ff02::1",
            "::ffff:169.254.169.254",
            "::169.254.169.254",
            "64:ff9b::a9fe:a9fe",
            "64:ff9b:1::a9fe:a9fe",
            "2002:a9fe:a9fe::1",
            "2001::5601:5601",
        ] {
            assert_eq!(allowed(text, true), Err(AddressRefusal::Never(text.parse().unwrap())), "{text}");
        }
    }

    #[test]
    fn private_addresses_are_allowed_where_the_configuration_says_so() {
        for text in [
            "127.0.0.1",
            "10.0.0.7",
            "172.16.0.1",
            "192.168.1.1",
            "100.64.0.1",
            "198.18.0.1",
            "::1",
            "fd12:3456::1",
            "::ffff:10.0.0.7",
            "64:ff9b::a00:7",
            "2002:a00:7::1",
        ] {
            assert_eq!(allowed(text, true), Ok(()), "{text}");
            assert_eq!(allowed(text, false), Err(AddressRefusal::Private(text.parse().unwrap())), "{text}");
        }
    }

    #[test]
    fn public_addresses_are_allowed() {
        for text in ["203.0.113.7", "8.8.8.8", "2001:db8::1", "2606:4700::1111", "64:ff9b::cb00:7107"] {
            assert_eq!(allowed(text, false), Ok(()), "{text}");
        }
    }
}
