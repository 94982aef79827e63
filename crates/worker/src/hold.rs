//! What keeps an instance from being started right away: it has just failed, or the view has not caught up.

use std::time::Duration;

/// The pause after the first failure.
pub(crate) const PAUSE_MIN: Duration = Duration::from_secs(1);
/// The longest pause; each failure in a row doubles it up to here.
pub(crate) const PAUSE_MAX: Duration = Duration::from_secs(300);
/// So many failures in a row, and a generation of which no replica was ever ready is given up: some nine minutes after
/// the first. What has worked once is tried for ever, because what it lacks may come back.
pub(crate) const ATTEMPTS_MAX: u32 = 10;
/// A replica that was ready for this long has proved itself: its failure counts as the first again.
pub(crate) const STEADY_AFTER: Duration = Duration::from_secs(60);

/// A reason to wait. Times are counted from the start of the worker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Hold {
    /// Replicas of this generation failed `failures` times in a row.
    /// `proven` if one of them had been ready before.
    Setback { generation: u64, failures: u32, proven: bool, not_before: Duration },
    /// [`ATTEMPTS_MAX`] replicas of this generation have failed and none was ever ready; only a start, a restart or an
    /// edit, which open another, can change that.
    GivenUp { generation: u64 },
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
    let (earlier, was_proven) = match before {
        Some(Hold::Setback { generation: held, failures, proven, .. }) if *held == generation => {
            (if steady { 0 } else { *failures }, *proven)
        }
        Some(
            Hold::Setback { .. } | Hold::GivenUp { .. } | Hold::Behind { .. } | Hold::Unsupported { .. },
        )
        | None => (0, false),
    };
    let (failures, proven) = (earlier.saturating_add(1), was_proven || ready_for.is_some());
    if failures >= ATTEMPTS_MAX && !proven {
        return Hold::GivenUp { generation };
    }
    Hold::Setback { generation, failures, proven, not_before: now.saturating_add(pause(earlier)) }
}

/// Whether a replica that fails now without having been ready is the last that is tried of its generation.
pub(crate) fn is_last_attempt(hold: Option<&Hold>, generation: u64) -> bool {
    let after = after_failure(hold, generation, None, Duration::ZERO);
    matches!(after, Hold::GivenUp { .. })
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
            Hold::GivenUp { .. } | Hold::Behind { .. } | Hold::Unsupported { .. } => {
                panic!("it is tried again")
            }
        }
    }

    fn setback(failures: u32, proven: bool) -> Hold {
        Hold::Setback { generation: 1, failures, proven, not_before: Duration::ZERO }
    }

    #[test]
    fn the_pause_doubles_up_to_its_bound() {
        let (mut hold, mut pauses) = (Some(setback(0, true)), vec![]);
        for _ in 0..11 {
            let next = after_failure(hold.as_ref(), 1, None, Duration::ZERO);
            pauses.push(not_before(&next).as_secs());
            hold = Some(next);
        }
        assert_eq!(pauses, [1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300]);
        let long_ago = setback(u32::MAX, true);
        assert_eq!(not_before(&after_failure(Some(&long_ago), 1, None, Duration::ZERO)), PAUSE_MAX);
    }

    #[test]
    fn what_never_worked_is_given_up_and_another_generation_is_tried_anew() {
        let (mut hold, mut attempts) = (None, 0);
        while !matches!(hold, Some(Hold::GivenUp { .. })) {
            assert_eq!(is_last_attempt(hold.as_ref(), 1), attempts == ATTEMPTS_MAX - 1);
            hold = Some(after_failure(hold.as_ref(), 1, None, Duration::ZERO));
            attempts += 1;
        }
        assert_eq!(attempts, ATTEMPTS_MAX);
        assert_eq!(not_before(&after_failure(hold.as_ref(), 2, None, Duration::ZERO)), PAUSE_MIN);
        let ready = after_failure(Some(&setback(ATTEMPTS_MAX, false)), 1, Some(PAUSE_MIN), Duration::ZERO);
        assert!(not_before(&ready) > Duration::ZERO, "what has been ready is tried on");
    }

    #[test]
    fn a_steady_replica_or_a_new_generation_starts_the_count_again() {
        let often = setback(5, false);
        let now = Duration::from_secs(100);
        let pause = |generation, ready_for| {
            not_before(&after_failure(Some(&often), generation, ready_for, now)).saturating_sub(now)
        };
        assert_eq!(pause(1, Some(STEADY_AFTER)), PAUSE_MIN);
        assert_eq!(pause(2, None), PAUSE_MIN);
        assert_eq!(pause(1, Some(Duration::from_secs(1))), Duration::from_secs(32));
    }
}
