//! Whether what a probe has seen is told: only changes are, and only once they have lasted. Pure.
//!
//! A server that is unknown so far is told of at once. One that has answered is given up only after
//! [`SAMPLES_TO_WORSEN`] probes in a row, which come [`CONFIRM_PAUSE`] apart, so that it takes seconds, and is taken back
//! after [`SAMPLES_TO_MEND`]. One that has gone back and forth [`FLAPS_MAX`] times within [`FLAP_WINDOW`] is *unsteady*:
//! then each change needs [`UNSTEADY_FACTOR`] times as many samples, at the ordinary interval.

use std::collections::VecDeque;
use std::time::Duration;

use domain::instance::{Health, HealthStatus};

/// So many samples in a row that are worse are told.
pub(crate) const SAMPLES_TO_WORSEN: u32 = 3;
/// So many samples in a row that are better, or bad in another way, are told.
pub(crate) const SAMPLES_TO_MEND: u32 = 2;
/// How soon a sample that differs is followed by another.
pub(crate) const CONFIRM_PAUSE: Duration = Duration::from_secs(1);
/// So many changes within [`FLAP_WINDOW`] make an instance unsteady.
pub(crate) const FLAPS_MAX: usize = 4;
pub(crate) const FLAP_WINDOW: Duration = Duration::from_secs(600);
/// How many times as many samples an unsteady instance needs for a change.
pub(crate) const UNSTEADY_FACTOR: u32 = 3;

/// What is remembered of an instance from one sample to the next. Times are counted from the start of the worker.
#[derive(Debug, Default)]
pub(crate) struct Damper {
    /// What was seen last, if it differs from what is told, and how often in a row.
    candidate: Option<(Health, u32)>,
    /// When the status was told to have changed.
    changes: VecDeque<Duration>,
}

/// What follows from a sample.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Nothing is new.
    Same,
    /// It has to be told.
    Tell(Health),
    /// It differs, and another sample has to say the same first: soon, if a time is given.
    Confirm(Option<Duration>),
}

impl Damper {
    /// Takes a sample. `told` is what the log says.
    pub(crate) fn observe(&mut self, told: Option<&Health>, seen: Health, now: Duration) -> Verdict {
        while self.changes.front().is_some_and(|at| now.saturating_sub(*at) > FLAP_WINDOW) {
            self.changes.pop_front();
        }
        let unsteady = self.changes.len() >= FLAPS_MAX;
        let seen = Health { unsteady, ..seen };
        let Some(told) = told else { return Verdict::Tell(seen) };
        if is_same(told, &seen) {
            self.candidate = None;
            return if told.unsteady == unsteady { Verdict::Same } else { Verdict::Tell(seen) };
        }
        let count = match &self.candidate {
            // That it is worse in another way each time makes it no better.
            Some((before, count)) if before.status == seen.status && told.status != seen.status => count + 1,
            Some((before, count)) if is_same(before, &seen) => count + 1,
            Some(_) | None => 1,
        };
        self.candidate = Some((seen.clone(), count));
        if count >= samples_needed(told, &seen) {
            return Verdict::Tell(seen);
        }
        Verdict::Confirm((!unsteady).then_some(CONFIRM_PAUSE))
    }

    /// The log has taken what was to be told.
    pub(crate) fn told(&mut self, before: Option<HealthStatus>, status: HealthStatus, now: Duration) {
        self.candidate = None;
        if before.is_some_and(|before| before != status) {
            self.changes.push_back(now);
        }
    }
}

fn samples_needed(told: &Health, seen: &Health) -> u32 {
    let samples = if seen.status > told.status { SAMPLES_TO_WORSEN } else { SAMPLES_TO_MEND };
    if seen.unsteady { samples * UNSTEADY_FACTOR } else { samples }
}

/// Details may differ from one sample to the next without anything being otherwise.
fn is_same(one: &Health, other: &Health) -> bool {
    let class = |health: &Health| health.problem.as_ref().map(|problem| problem.class);
    let all = |health: &Health| (health.status, health.container, health.service, health.mcp, class(health));
    all(one) == all(other)
}

#[cfg(test)]
mod tests {
    use domain::instance::{Dimension, Problem, ProblemClass};

    use super::*;

    fn healthy() -> Health {
        let ready = Dimension::Ready;
        let status = HealthStatus::Healthy;
        Health { status, container: ready, service: ready, mcp: ready, unsteady: false, problem: None }
    }

    fn bad(class: ProblemClass) -> Health {
        let problem = Some(Problem { class, detail: "it does not answer".to_owned() });
        Health { status: HealthStatus::Unhealthy, mcp: Dimension::NotReady, problem, ..healthy() }
    }

    fn hanging() -> Health {
        bad(ProblemClass::AnswerTimeout)
    }

    /// What is told of samples that come every ten seconds, as the status and whether it is unsteady.
    fn told(samples: impl IntoIterator<Item = Health>) -> Vec<(usize, HealthStatus, bool)> {
        let (mut damper, mut told, mut events) = (Damper::default(), None::<Health>, vec![]);
        for (at, sample) in samples.into_iter().enumerate() {
            let now = Duration::from_secs(10 * u64::try_from(at).unwrap());
            if let Verdict::Tell(health) = damper.observe(told.as_ref(), sample, now) {
                damper.told(told.as_ref().map(|told| told.status), health.status, now);
                events.push((at, health.status, health.unsteady));
                told = Some(health);
            }
        }
        events
    }

    #[test]
    fn what_is_unknown_is_told_at_once_and_what_lasts_after_its_samples() {
        use HealthStatus::{Healthy, Unhealthy};
        assert_eq!(told([hanging()]), [(0, Unhealthy, false)]);
        let outage = [healthy(), healthy(), hanging(), hanging(), hanging(), hanging(), healthy(), healthy()];
        assert_eq!(told(outage), [(0, Healthy, false), (4, Unhealthy, false), (7, Healthy, false)]);
        let blink = [healthy(), hanging(), hanging(), healthy(), hanging(), healthy()];
        assert_eq!(told(blink), [(0, Healthy, false)], "too short to be told");
    }

    #[test]
    fn a_server_that_fails_in_another_way_each_time_fails_all_the_same() {
        let refused = || bad(ProblemClass::PortNotListening);
        let events = told([healthy(), hanging(), refused(), hanging(), refused(), refused()]);
        assert_eq!(events.len(), 3, "{events:?}");
        assert_eq!(events[1], (3, HealthStatus::Unhealthy, false));
        assert_eq!(events[2].0, 5, "another class is told once it has lasted");
    }

    #[test]
    fn the_detail_alone_is_no_change() {
        let mut other = hanging();
        other.problem.as_mut().unwrap().detail = "after 6 s".to_owned();
        assert_eq!(told([hanging(), other.clone(), other.clone(), other]).len(), 1);
    }

    #[test]
    fn who_goes_back_and_forth_becomes_unsteady_and_steady_again() {
        let cycle = || [vec![hanging(); 3], vec![healthy(); 2]].concat();
        let flapping: Vec<Health> = std::iter::once(healthy()).chain((0..30).flat_map(|_| cycle())).collect();
        let count = flapping.len();
        let events = told(flapping.into_iter().chain(vec![healthy(); 70]));
        let before = events.iter().filter(|(at, ..)| *at < count).count();
        assert!(before < 20, "{before} of sixty changes are told");
        assert!(events.iter().any(|(_, _, unsteady)| *unsteady));
        assert_eq!(
            events.last().map(|(_, status, unsteady)| (*status, *unsteady)),
            Some((HealthStatus::Healthy, false))
        );
    }

    #[test]
    fn a_sample_that_differs_is_followed_by_another_soon() {
        let mut damper = Damper::default();
        let verdict = damper.observe(Some(&healthy()), hanging(), Duration::ZERO);
        assert_eq!(verdict, Verdict::Confirm(Some(CONFIRM_PAUSE)));
        for at in 0..4 {
            damper.told(Some(HealthStatus::Healthy), HealthStatus::Unhealthy, Duration::from_secs(at));
        }
        let told = Health { unsteady: true, ..healthy() };
        let verdict = damper.observe(Some(&told), hanging(), Duration::from_secs(5));
        assert_eq!(verdict, Verdict::Confirm(None), "an unsteady one waits for its turn");
    }
}
