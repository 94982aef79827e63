//! How much a gateway lets anybody ask, as the command line has it: for the role alone, and for `up`.

use std::net::IpAddr;
use std::str::FromStr;
use std::time::Duration;

use clap::{Args, ValueEnum};
use gateway::{InvalidRate, IpNet, Limits, Rate};

/// How long is counted in seconds.
const SECONDS: &str = "SECONDS";

/// The bounds of a gateway. Each replica counts for itself.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Limits of the gateway")]
pub(crate) struct GatewayLimits {
    /// How often a second an address may present what is no valid credential (IPv6: a /64 network), with a burst as in
    /// `1:100`; `off` for no limit.
    #[arg(long, value_name = "RATE|off", default_value = "1:100")]
    limit_failures: OptionalRate,
    /// Requests of one token per second, as `50` or with a burst as `50:200`.
    #[arg(long, value_name = "RATE|off", default_value = "off")]
    limit_token: OptionalRate,
    /// Requests to one instance per second.
    #[arg(long, value_name = "RATE|off", default_value = "off")]
    limit_instance: OptionalRate,
    /// Requests and event streams of one token that are open at a time.
    #[arg(long, value_name = "NUMBER", default_value_t = gateway::OPEN_PER_TOKEN_MAX)]
    limit_open: usize,
    /// Sessions of one token that go on at a time.
    #[arg(long, value_name = "NUMBER", default_value_t = gateway::SESSIONS_PER_TOKEN_MAX)]
    limit_sessions: usize,
    /// How long a server may take to begin its answer: a tool runs in this time.
    #[arg(long, value_name = SECONDS, default_value_t = gateway::ANSWER_WAIT.as_secs())]
    answer_wait: u64,
    /// How long an answer or an event stream may be silent.
    #[arg(long, value_name = SECONDS, default_value_t = gateway::STREAM_IDLE.as_secs())]
    stream_idle: u64,
    /// How long a client may leave unread what is written to it.
    #[arg(long, value_name = SECONDS, default_value_t = gateway::WRITE_WAIT.as_secs())]
    write_wait: u64,
}

impl From<&GatewayLimits> for Limits {
    fn from(limits: &GatewayLimits) -> Self {
        Limits {
            failures: limits.limit_failures.0,
            requests_per_token: limits.limit_token.0,
            requests_per_instance: limits.limit_instance.0,
            open_per_token_max: limits.limit_open,
            sessions_per_token_max: limits.limit_sessions,
            answer_wait: Duration::from_secs(limits.answer_wait),
            stream_idle: Duration::from_secs(limits.stream_idle),
            write_wait: Duration::from_secs(limits.write_wait),
        }
    }
}

/// What a gateway keeps out of the access log, besides what it knows to be a credential.
#[derive(Clone, Debug, Args)]
pub(crate) struct Masked {
    /// Names of header fields and JSON members whose values the access log does not get, in place of these. A name that
    /// ends with one of them counts too; case, `-`, `_` and `.` do not.
    #[arg(
        long,
        value_name = "NAME,…",
        value_delimiter = ',',
        default_values_t = gateway::MASKED_KEYS.map(str::to_owned)
    )]
    mask_keys: Vec<String>,
}

impl Masked {
    pub(crate) fn keys(&self) -> Vec<String> {
        self.mask_keys.clone()
    }
}

/// What stands before the gateway.
#[derive(Clone, Debug, Args)]
pub(crate) struct Proxies {
    /// A proxy or load balancer in front of the gateway, as an address or a network (10.0.0.0/8); repeat for more. It is
    /// believed when it says in X-Forwarded-For whom it serves, which the access log shows and the limit on failures
    /// counts by.
    #[arg(long = "trusted-proxy", value_name = "ADDRESS|NETWORK", value_parser = network)]
    trusted_proxies: Vec<IpNet>,
}

impl Proxies {
    pub(crate) fn trusted(&self) -> Vec<IpNet> {
        self.trusted_proxies.clone()
    }
}

fn network(text: &str) -> Result<IpNet, String> {
    let address = || text.parse().map(|address: IpAddr| address.into());
    text.parse()
        .or_else(|_| address())
        .map_err(|_| "it is no address and no network such as 10.0.0.0/8".to_owned())
}

/// Where proxied instances, and APIs of OpenAPI documents, may lead, as the api, the gateways and the workers are told.
#[derive(Clone, Copy, Debug, Args)]
pub(crate) struct UpstreamAddresses {
    /// Whether proxied instances and the APIs of OpenAPI documents may lead to private addresses, this machine included. Link-local addresses and those
    /// where clouds answer with credentials are always refused.
    #[arg(long, value_name = "allow|refuse", value_enum, default_value_t)]
    private_upstreams: Private,
}

impl UpstreamAddresses {
    pub(crate) fn allow_private(self) -> bool {
        match self.private_upstreams {
            Private::Allow => true,
            Private::Refuse => false,
        }
    }
}

/// Allowed unless somebody says otherwise: only who has the admin key makes instances, and servers beside the platform
/// are what many of them are for.
#[derive(Clone, Copy, Debug, Default, ValueEnum)]
enum Private {
    #[default]
    Allow,
    Refuse,
}

#[derive(Clone, Copy, Debug)]
struct OptionalRate(Option<Rate>);

impl FromStr for OptionalRate {
    type Err = InvalidRate;

    fn from_str(text: &str) -> Result<Self, InvalidRate> {
        match text {
            "off" => Ok(OptionalRate(None)),
            text => text.parse().map(Some).map(OptionalRate),
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Debug, Parser)]
    struct Line {
        #[command(flatten)]
        limits: GatewayLimits,
    }

    #[test]
    fn what_is_not_named_is_as_the_gateway_has_it() {
        let limits = |line: &str| {
            let words = std::iter::once("gateway").chain(line.split_whitespace());
            Line::try_parse_from(words).map(|line| Limits::from(&line.limits)).ok()
        };
        assert_eq!(limits(""), Some(Limits::default()));
        let expected = Limits {
            failures: None,
            requests_per_token: "5:9".parse().ok(),
            answer_wait: Duration::from_secs(7),
            ..Limits::default()
        };
        assert_eq!(limits("--limit-failures off --limit-token 5:9 --answer-wait 7"), Some(expected));
        assert_eq!(limits("--limit-token 0"), None);
    }
}
