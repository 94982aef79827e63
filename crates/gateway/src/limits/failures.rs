//! How often an address may present what is no valid credential.
//!
//! Whoever presents a valid one is let in all the same: many clients may share an address, and one of them must not lock
//! the others out.

use std::net::{IpAddr, Ipv6Addr};
use std::time::{Duration, Instant};

use governor::clock::{Clock as _, DefaultClock};
use governor::{DefaultDirectRateLimiter, DefaultKeyedRateLimiter, RateLimiter};
use parking_lot::Mutex;

use super::{Rate, whole_seconds};
use crate::refusal::Refusal;

/// How many addresses are told apart, at some 100 bytes each. When more fail at the same time, those that come on top
/// share one budget.
const ADDRESSES_MAX: usize = 100_000;

/// How far apart those that have rested are forgotten at least, while there are too many: each time all are looked at.
const SWEEP_INTERVAL: Duration = Duration::from_secs(1);

/// The bits that one customer of a provider has in IPv6 at least: within them addresses are free.
const V6_PREFIX: u128 = u128::MAX << 64;

/// Counts failed attempts.
pub(crate) struct Failures {
    limits: Option<(DefaultKeyedRateLimiter<IpAddr>, DefaultDirectRateLimiter)>,
    clock: DefaultClock,
    swept: Mutex<Option<Instant>>,
}

impl Failures {
    pub(crate) fn new(rate: Option<Rate>) -> Self {
        let limits = rate.map(|rate| (RateLimiter::keyed(rate.quota()), RateLimiter::direct(rate.quota())));
        Self { limits, clock: DefaultClock::default(), swept: Mutex::default() }
    }

    /// Notes an attempt of this address that has failed or may fail.
    ///
    /// # Errors
    /// There were too many.
    pub(crate) fn note(&self, address: IpAddr) -> Result<(), Refusal> {
        let Some((addresses, others)) = &self.limits else { return Ok(()) };
        if addresses.len() >= ADDRESSES_MAX && self.is_time_to_sweep() {
            addresses.retain_recent();
        }
        let noted = if addresses.len() < ADDRESSES_MAX {
            addresses.check_key(&network(address))
        } else {
            others.check()
        };
        noted.map_err(|until| {
            let retry_after = whole_seconds(until.wait_time_from(self.clock.now()));
            Refusal::TooManyFailures { retry_after }
        })
    }

    fn is_time_to_sweep(&self) -> bool {
        let mut swept = self.swept.lock();
        let is_time = swept.is_none_or(|swept| swept.elapsed() >= SWEEP_INTERVAL);
        if is_time {
            *swept = Some(Instant::now());
        }
        is_time
    }
}

/// What counts as one address.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(address) => IpAddr::V4(address),
        IpAddr::V6(address) => IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() & V6_PREFIX)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failures() -> Failures {
        Failures::new(Some("1:2".parse().expect("a rate")))
    }

    fn refused(failures: &Failures, address: &str) -> bool {
        failures.note(address.parse().expect("an address")).is_err()
    }

    #[test]
    fn an_address_has_a_budget_of_its_own_and_a_wait() {
        let failures = failures();
        assert!(!refused(&failures, "203.0.113.7") && !refused(&failures, "203.0.113.7"));
        let refusal = failures.note("::ffff:203.0.113.7".parse().expect("an address"));
        assert_eq!(refusal, Err(Refusal::TooManyFailures { retry_after: 1 }));
        assert!(!refused(&failures, "203.0.113.8"));
    }

    #[test]
    fn addresses_of_one_ipv6_network_share_a_budget() {
        let failures = failures();
        assert!(!refused(&failures, "2001:db8::1") && !refused(&failures, "2001:db8::2"));
        assert!(refused(&failures, "2001:db8::3"));
        assert!(!refused(&failures, "2001:db8:0:1::1"));
    }

    #[test]
    fn a_flood_of_addresses_takes_no_more_than_the_bound() {
        let failures = failures();
        let address = |number: u32| IpAddr::V4(std::net::Ipv4Addr::from_bits(number));
        let noted = (0..110_000).filter(|number| failures.note(address(*number)).is_ok()).count();
        let known = failures.limits.as_ref().map_or(0, |(addresses, _)| addresses.len());
        assert!(known <= ADDRESSES_MAX + 1, "{known}");
        assert!(noted >= ADDRESSES_MAX, "{noted}");
    }

    #[test]
    fn no_rate_is_no_limit() {
        let failures = Failures::new(None);
        assert!((0..1000).all(|_| !refused(&failures, "203.0.113.7")));
    }
}
