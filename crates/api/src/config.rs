//! What the role is configured with. Everything else that bounds it is a named constant beside what it bounds.

use std::fmt;
use std::time::Duration;

use subtle::ConstantTimeEq;
use url::Url;

/// How long a request waits for its command to be decided, unless configured otherwise.
pub const COMMAND_WAIT: Duration = Duration::from_secs(15);

/// How long a decided command's request waits for the views to show it, unless configured otherwise.
pub const VIEW_WAIT: Duration = Duration::from_secs(10);

/// The configuration of one api replica.
#[derive(Clone, Debug)]
pub struct Config {
    /// What guards the whole command API.
    pub admin_key: AdminKey,
    /// The gateway's public address, to which the paths of instances are appended.
    pub gateway_url: Url,
    /// Whether proxied instances may lead to private addresses: what the gateways are told.
    pub private_upstreams: bool,
    pub command_wait: Duration,
    pub view_wait: Duration,
}

impl Config {
    /// A configuration with the waits of a production system.
    pub fn new(admin_key: AdminKey, gateway_url: Url) -> Self {
        Config {
            admin_key,
            gateway_url,
            private_upstreams: true,
            command_wait: COMMAND_WAIT,
            view_wait: VIEW_WAIT,
        }
    }
}

/// The admin key, of which only a digest is kept: enough to recognise it, nothing to leak.
#[derive(Clone)]
pub struct AdminKey(blake3::Hash);

impl AdminKey {
    pub fn new(key: &str) -> Self {
        AdminKey(blake3::hash(key.as_bytes()))
    }

    /// Compares digests in constant time, so that neither content nor length of the key shows in the clock.
    pub(crate) fn admits(&self, presented: &[u8]) -> bool {
        self.0.as_bytes().ct_eq(blake3::hash(presented).as_bytes()).into()
    }
}

impl fmt::Debug for AdminKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AdminKey(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_key_itself_is_admitted() {
        let key = AdminKey::new("secret");
        assert!(key.admits(b"secret"));
        for other in ["", "secre", "secrets", "Secret", "secret\0"] {
            assert!(!key.admits(other.as_bytes()), "{other:?}");
        }
        assert!(!format!("{key:?}").contains("secret"));
    }
}
