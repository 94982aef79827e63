//! What a gateway is told. `mcpcan` fills it in from the command line.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use ipnet::IpNet;
use url::Url;

use crate::limits::Limits;
use crate::masking::MASKED_KEYS;
use crate::traces::Losses;

/// The largest body of a request, in bytes, unless configured otherwise.
pub const REQUEST_BODY_BYTES_MAX: u64 = 64 * 1024 * 1024;
/// How many clients may be connected at a time, unless configured otherwise.
pub const CONNECTIONS_MAX: usize = 10_000;
/// How much trace events may take on disk while NATS is away, in bytes, unless configured otherwise.
pub const SPOOL_BYTES_MAX: u64 = 1024 * 1024 * 1024;
/// How long calls may go on after a shutdown has begun, unless configured otherwise.
pub const GRACE: Duration = Duration::from_secs(10);
/// The longest id of a gateway, in characters.
const GATEWAY_ID_CHARS_MAX: usize = 64;

/// The configuration of one gateway replica.
#[derive(Clone, Debug)]
pub struct Config {
    /// Names this replica in trace events and on the bus: letters, digits, `-` and `_`, and nobody else's.
    pub gateway_id: String,
    /// Where trace events wait on disk while NATS is away. Used by one gateway at a time.
    pub spool_dir: PathBuf,
    /// How much they may take there, in bytes.
    pub spool_bytes_max: u64,
    /// The largest body of a request, in bytes; a larger one is 413.
    pub request_body_bytes_max: u64,
    /// How many clients may be connected at a time; others wait to be accepted.
    pub connections_max: usize,
    /// How long calls may go on after a shutdown has begun.
    pub grace: Duration,
    /// Where clients reach the gateway: what the metadata of instances with an issuer says. Otherwise it says what each
    /// client calls it, over http. On a loopback address, requests to any other name than this one's and the machine's
    /// own are refused.
    pub public_url: Option<Url>,
    /// The proxies that stand before the gateway and are believed when they say in `X-Forwarded-For` whom they serve.
    /// Otherwise all clients of a proxy are one address, for the log and for the bound on failures.
    pub trusted_proxies: Vec<IpNet>,
    /// Whether proxied instances may lead to private addresses, this machine included. Link-local and metadata addresses
    /// they never may.
    pub private_upstreams: bool,
    /// How much anybody may ask.
    pub limits: Limits,
    /// Names of JSON members and header fields whose values are masked in the access log.
    pub masked_keys: Vec<String>,
    /// Counts the trace events that were dropped. Keep a clone to read them.
    pub losses: Arc<Losses>,
}

impl Config {
    /// The configuration with the default bounds.
    pub fn new(gateway_id: String, spool_dir: PathBuf) -> Self {
        Self {
            gateway_id,
            spool_dir,
            spool_bytes_max: SPOOL_BYTES_MAX,
            request_body_bytes_max: REQUEST_BODY_BYTES_MAX,
            connections_max: CONNECTIONS_MAX,
            grace: GRACE,
            public_url: None,
            trusted_proxies: Vec::new(),
            private_upstreams: true,
            limits: Limits::default(),
            masked_keys: MASKED_KEYS.map(str::to_owned).to_vec(),
            losses: Arc::default(),
        }
    }

    pub(crate) fn check(&self) -> anyhow::Result<()> {
        let id = &self.gateway_id;
        let valid = (1..=GATEWAY_ID_CHARS_MAX).contains(&id.len())
            && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'));
        anyhow::ensure!(
            valid,
            "gateway id `{id}` must have 1 to {GATEWAY_ID_CHARS_MAX} letters, digits, `-` or `_`"
        );
        anyhow::ensure!(self.connections_max > 0, "a gateway needs at least one connection");
        Ok(())
    }
}
