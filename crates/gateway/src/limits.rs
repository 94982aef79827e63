//! How much anybody may ask of a gateway. Every bound has a name and a default here; `mcpcan` sets others. Each replica
//! counts for itself: together they let through as many times as much as there are of them.

mod failures;
mod rates;
mod uses;

pub(crate) use failures::Failures;
pub(crate) use rates::Rates;
pub(crate) use uses::{OpenRequest, Uses};

use std::num::NonZeroU32;
use std::str::FromStr;
use std::time::Duration;

use governor::Quota;

/// How often an address may present what is no valid credential, unless configured otherwise: a person's typing errors
/// and a client's restarts, not a search.
pub const FAILURES: Rate =
    Rate { per_second: NonZeroU32::new(1).unwrap(), burst: NonZeroU32::new(100).unwrap() };
/// How many requests of one token may be open at a time, event streams included, unless configured otherwise.
pub const OPEN_PER_TOKEN_MAX: usize = 4096;
/// How many sessions of one token may go on at a time, unless configured otherwise.
pub const SESSIONS_PER_TOKEN_MAX: usize = 20_000;
/// How long an upstream may take from the request's head to its answer's head, in which a tool runs, unless configured
/// otherwise.
pub const ANSWER_WAIT: Duration = Duration::from_secs(600);
/// How long an answer may be silent once it has begun, unless configured otherwise. A client that listens for events
/// opens its stream anew.
pub const STREAM_IDLE: Duration = Duration::from_secs(3600);
/// How long a client may leave unread what is written to it, unless configured otherwise.
pub const WRITE_WAIT: Duration = Duration::from_secs(60);

/// The bounds of one gateway.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Of what is no valid credential, per address (IPv6: per /64); none is no limit.
    pub failures: Option<Rate>,
    /// Of requests, per token; none is no limit, because only the operator knows what the servers behind bear.
    pub requests_per_token: Option<Rate>,
    /// Of requests, per instance; none is no limit.
    pub requests_per_instance: Option<Rate>,
    /// Requests of one token that are open at a time, event streams included.
    pub open_per_token_max: usize,
    /// Sessions of one token that go on at a time.
    pub sessions_per_token_max: usize,
    /// How long an upstream may take to begin its answer.
    pub answer_wait: Duration,
    /// How long an answer may be silent.
    pub stream_idle: Duration,
    /// How long a client may leave unread what is written to it.
    pub write_wait: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            failures: Some(FAILURES),
            requests_per_token: None,
            requests_per_instance: None,
            open_per_token_max: OPEN_PER_TOKEN_MAX,
            sessions_per_token_max: SESSIONS_PER_TOKEN_MAX,
            answer_wait: ANSWER_WAIT,
            stream_idle: STREAM_IDLE,
            write_wait: WRITE_WAIT,
        }
    }
}

/// So many a second, and so many at once after a time of rest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    pub per_second: NonZeroU32,
    pub burst: NonZeroU32,
}

impl Rate {
    fn quota(self) -> Quota {
        Quota::per_second(self.per_second).allow_burst(self.burst)
    }
}

/// A text that is no rate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a rate is a number per second such as `50`, or with a burst such as `50:200`")]
pub struct InvalidRate;

/// `50` or, with a burst, `50:200`. Without one as many may come at once as in a second.
impl FromStr for Rate {
    type Err = InvalidRate;

    fn from_str(text: &str) -> Result<Self, InvalidRate> {
        let (per_second, burst) = text.split_once(':').unwrap_or((text, text));
        let number = |text: &str| text.parse().map_err(|_| InvalidRate);
        Ok(Self { per_second: number(per_second)?, burst: number(burst)? })
    }
}

/// A wait in whole seconds, for `Retry-After`: never too short.
pub(crate) fn whole_seconds(wait: Duration) -> u32 {
    let seconds = wait.as_secs().saturating_add(u64::from(wait.subsec_nanos() > 0));
    u32::try_from(seconds.max(1)).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_is_a_number_with_or_without_a_burst() {
        let rate = |per_second, burst| {
            let number = |number| NonZeroU32::new(number).expect("not zero");
            Ok(Rate { per_second: number(per_second), burst: number(burst) })
        };
        assert_eq!("50".parse(), rate(50, 50));
        assert_eq!("50:200".parse(), rate(50, 200));
        for wrong in ["", "0", "50:", ":50", "50:0", "-1", "1.5", "50:1:1"] {
            assert_eq!(wrong.parse::<Rate>(), Err(InvalidRate), "{wrong}");
        }
    }

    #[test]
    fn a_wait_is_rounded_up() {
        assert_eq!(whole_seconds(Duration::ZERO), 1);
        assert_eq!(whole_seconds(Duration::from_millis(1001)), 2);
        assert_eq!(whole_seconds(Duration::MAX), u32::MAX);
    }
}
