//! What keeps an instance from being started right away: it has just failed, or the view has not caught up.

use std::time::Duration;

/// The pause after the first failure.
pub(crate) const PAUSE_MIN: Duration = Duration::from_secs(1);
/// The longest pause; each failure in a row doubles it up to here.
pub(crate) const PAUSE_MAX: Duration = Duration::from_secs(60);
/// A replica that was ready for this long has proved itself: its failure counts as the first again.
pub(crate) const STEADY_AFTER: Duration = Duration::from_secs(60);

/// A reason to wait. Times are counted from the start of the worker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Hold {
    /// Replicas of this generation failed `failures` times in a row.
    Setback { generation: u64, failures: u32, not_before: Duration },
    /// The log refused a replica that the row at `sequence` asked for: the row is out of date, a newer one comes.
    Behind { sequence: u64 },
    /// This runtime cannot run what this generation asks for; only other settings can change that.
    Unsupported { generation: u64 },
}

/// The hold after one more failure. `ready_for` is how long the failed replica had been ready, if it ever was.
pub(crate) fn after_failure(
    before: Option<&Hold>,
    generation: u64,
    ready_for: Option<Duration>,
    now: Duration,
) -> Hold {
    let steady = ready_for.is_some_and(|ready_for| ready_for >= STEADY_AFTER);
    let earlier = match before {
        Some(Hold::Setback { generation: held, failures, .. }) if *held == generation && !steady => *failures,
        Some(Hold::Setback { .. } | Hold::Behind { .. } | Hold::Unsupported { .. }) | None => 0,
    };
    let not_before = now.saturating_add(pause(earlier));
    Hold::Setback { generation, failures: earlier.saturating_add(1), not_before }
}

/// The pause after a failure that had `earlier` failures before it.
fn pause(earlier: u32) -> Duration {
    PAUSE_MIN.saturating_mul(2_u32.saturating_pow(earlier)).min(PAUSE_MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn not_before(hold: &Hold) -> Duration {
        match hold {
            Hold::Setback { not_before, .. } => *not_before,
            Hold::Behind { .. } | Hold::Unsupported { .. } => panic!("a failure gives a setback"),
        }
    }

    #[test]
    fn the_pause_doubles_up_to_its_bound() {
        let (mut hold, mut pauses) = (None, vec![]);
        for _ in 0..9 {
            let next = after_failure(hold.as_ref(), 1, None, Duration::ZERO);
            pauses.push(not_before(&next).as_secs());
            hold = Some(next);
        }
        assert_eq!(pauses, [1, 2, 4, 8, 16, 32, 60, 60, 60]);
        let long_ago = Hold::Setback { generation: 1, failures: u32::MAX, not_before: Duration::ZERO };
        assert_eq!(not_before(&after_failure(Some(&long_ago), 1, None, Duration::ZERO)), PAUSE_MAX);
    }

    #[test]
    fn a_steady_replica_or_a_new_generation_starts_the_count_again() {
        let often = Hold::Setback { generation: 1, failures: 5, not_before: Duration::ZERO };
        let now = Duration::from_secs(100);
        let pause = |generation, ready_for| {
            not_before(&after_failure(Some(&often), generation, ready_for, now)).saturating_sub(now)
        };
        assert_eq!(pause(1, Some(STEADY_AFTER)), PAUSE_MIN);
        assert_eq!(pause(2, None), PAUSE_MIN);
        assert_eq!(pause(1, Some(Duration::from_secs(1))), Duration::from_secs(32));
    }
}
