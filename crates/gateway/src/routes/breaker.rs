//! Leaves an upstream alone that takes no requests: after some failures in a row it is asked once in a while only, and
//! clients hear at once when to come again. Times are milliseconds of any clock that only goes forward.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

/// So many failures in a row open the circuit.
const FAILURES_MAX: u32 = 5;
/// For so long it stays open until one request tries again, and then until the next.
pub(super) const OPEN: Duration = Duration::from_secs(5);

/// A circuit, closed at first.
#[derive(Debug, Default)]
pub(super) struct Breaker {
    failures: AtomicU32,
    /// When the next request may try. 0 while the circuit is closed.
    next_try: AtomicU64,
}

impl Breaker {
    /// Lets a request through: each while the circuit is closed, and the one that tries again.
    ///
    /// # Errors
    /// How long the circuit stays open.
    pub(super) fn admit(&self, now: u64) -> Result<(), Duration> {
        let next_try = self.next_try.load(Ordering::Relaxed);
        if next_try == 0 {
            return Ok(());
        }
        let wait = next_try.saturating_sub(now);
        if wait > 0 {
            return Err(Duration::from_millis(wait));
        }
        // Whoever puts the next try off is the one that tries now.
        let later = now + milliseconds(OPEN);
        let taken = self.next_try.compare_exchange(next_try, later, Ordering::Relaxed, Ordering::Relaxed);
        taken.map(|_| ()).map_err(|_| OPEN)
    }

    pub(super) fn is_open(&self, now: u64) -> bool {
        self.next_try.load(Ordering::Relaxed) > now
    }

    pub(super) fn succeeded(&self) {
        // Nearly always it is so already, and reading is shared where writing is not.
        if self.failures.load(Ordering::Relaxed) != 0 {
            self.failures.store(0, Ordering::Relaxed);
            self.next_try.store(0, Ordering::Relaxed);
        }
    }

    pub(super) fn failed(&self, now: u64) {
        if self.failures.fetch_add(1, Ordering::Relaxed) + 1 >= FAILURES_MAX {
            self.next_try.store(now + milliseconds(OPEN), Ordering::Relaxed);
        }
    }
}

pub(super) fn milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failures_in_a_row_open_the_circuit_and_one_request_tries_again() {
        let breaker = Breaker::default();
        for _ in 1..FAILURES_MAX {
            breaker.failed(100);
        }
        assert_eq!(breaker.admit(100), Ok(()));
        breaker.failed(100);
        assert!(breaker.is_open(100));
        assert_eq!(breaker.admit(1100), Err(Duration::from_secs(4)));
        assert_eq!(breaker.admit(5100), Ok(()), "one tries");
        assert_eq!(breaker.admit(5100), Err(OPEN), "and no other");
        breaker.failed(5200);
        assert_eq!(breaker.admit(5300), Err(Duration::from_millis(4900)));
        assert_eq!(breaker.admit(10_200), Ok(()));
        breaker.succeeded();
        assert!((0..100).all(|_| breaker.admit(10_300).is_ok()), "closed");
    }

    #[test]
    fn a_success_in_between_starts_the_count_anew() {
        let breaker = Breaker::default();
        for _ in 0..10 * FAILURES_MAX {
            breaker.failed(1);
            breaker.succeeded();
        }
        assert_eq!(breaker.admit(1), Ok(()));
    }
}
