//! How many requests a token may make, and how many an instance takes.

use governor::clock::{Clock as _, DefaultClock};
use governor::{DefaultKeyedRateLimiter, RateLimiter};
use uuid::Uuid;

use super::{Limits, Rate, whole_seconds};
use crate::refusal::Refusal;

/// When so many tokens or instances are remembered, those that have rested are forgotten.
const REMEMBERED_MAX: usize = 100_000;

/// Counts requests.
pub(crate) struct Rates {
    tokens: Option<DefaultKeyedRateLimiter<Uuid>>,
    instances: Option<DefaultKeyedRateLimiter<Uuid>>,
    clock: DefaultClock,
}

impl Rates {
    pub(crate) fn new(limits: &Limits) -> Self {
        let limiter = |rate: Option<Rate>| rate.map(|rate| RateLimiter::keyed(rate.quota()));
        Self {
            tokens: limiter(limits.requests_per_token),
            instances: limiter(limits.requests_per_instance),
            clock: DefaultClock::default(),
        }
    }

    /// Notes a request that was let in.
    ///
    /// # Errors
    /// There were too many of the token or to the instance.
    pub(crate) fn note(&self, token: Uuid, instance: Uuid) -> Result<(), Refusal> {
        let wait = |limiter, key| self.check(limiter, key);
        wait(&self.tokens, token).map_err(|retry_after| Refusal::TokenTooFast { retry_after })?;
        wait(&self.instances, instance).map_err(|retry_after| Refusal::InstanceTooFast { retry_after })
    }

    fn check(&self, limiter: &Option<DefaultKeyedRateLimiter<Uuid>>, key: Uuid) -> Result<(), u32> {
        let Some(limiter) = limiter else { return Ok(()) };
        let checked = limiter.check_key(&key);
        if limiter.len() > REMEMBERED_MAX {
            limiter.retain_recent();
        }
        checked.map_err(|until| whole_seconds(until.wait_time_from(self.clock.now())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_and_instances_are_counted_apart() {
        let (one, two) = (Uuid::from_u128(1), Uuid::from_u128(2));
        let rate = |text: &str| Some(text.parse().expect("a rate"));
        let limits = Limits {
            requests_per_token: rate("1:2"),
            requests_per_instance: rate("1:3"),
            ..Limits::default()
        };
        let rates = Rates::new(&limits);
        assert_eq!(rates.note(one, one), Ok(()));
        assert_eq!(rates.note(one, one), Ok(()));
        assert_eq!(rates.note(one, one), Err(Refusal::TokenTooFast { retry_after: 1 }));
        assert_eq!(rates.note(two, one), Ok(()));
        assert_eq!(rates.note(two, one), Err(Refusal::InstanceTooFast { retry_after: 1 }));
        let free = Rates::new(&Limits::default());
        assert!((0..1000).all(|_| free.note(one, one).is_ok()));
    }
}
