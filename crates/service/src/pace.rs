//! Keeps to a rate.

use std::num::NonZeroU32;
use std::time::Duration;

use tokio::time::{Instant, sleep_until};

/// How far behind its rate something may be and still catch up: timers tick in milliseconds, and more would be a burst.
const BEHIND_MAX: Duration = Duration::from_millis(10);

/// Waits between things that may happen so often a second.
#[derive(Debug)]
pub struct Pace {
    period: Duration,
    next: Instant,
}

impl Pace {
    pub fn new(per_second: NonZeroU32) -> Self {
        Pace { period: Duration::from_secs(1) / per_second.get(), next: Instant::now() }
    }

    /// Waits until the next one may happen.
    pub async fn wait(&mut self) {
        if let Some(moment) = self.next_after(Instant::now()) {
            sleep_until(moment).await;
        }
    }

    /// When the next one may happen, if that is not at once.
    fn next_after(&mut self, now: Instant) -> Option<Instant> {
        if let Some(earliest) = now.checked_sub(BEHIND_MAX) {
            self.next = self.next.max(earliest);
        }
        let moment = self.next;
        self.next += self.period;
        (moment > now).then_some(moment)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lost_time_is_not_made_good_by_a_burst() {
        let mut pace = Pace::new(NonZeroU32::new(1000).expect("not zero"));
        let now = pace.next + Duration::from_secs(10);
        let at_once = (0..100).filter(|_| pace.next_after(now).is_none()).count();
        assert_eq!(at_once, 11, "ten milliseconds are caught up");
        assert_eq!(pace.next_after(now), Some(now + Duration::from_millis(90)));
    }
}
