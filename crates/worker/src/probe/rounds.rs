//! Begins what is due, so much at a time, and hands over what came of it.
//!
//! # The arithmetic of ten thousand instances
//! At the default interval of 30 s they make 10,000 / 30 = 333 probes a second. A probe that is answered takes some
//! 20 ms, so 333 × 0.02 = 7 are under way at a time. One that meets silence takes up to
//! [`CONNECT_MAX`](super::ask::CONNECT_MAX) or [`REQUEST_MAX`](super::conversation::REQUEST_MAX), 5 s at most: the
//! [`PROBES_AT_ONCE`] places hold 512 / 5 = 102 such a second, which are 30 % of all instances. If more than that are
//! silent at a time, everybody's probe comes late, nobody's is left out, and never are more than 512 connections open.
//!
//! A server over stdio that has a process for each session pays for a handshake with the start of one, some 0.3 s of a
//! processor. Nine rounds of ten are therefore light there: only a connection is made, unless somebody asks, something has
//! changed, or it is not well. What hangs is noticed within ten intervals; what ends is told by the runtime at once.

use std::time::Duration;

use domain::InstanceId;
use tokio::task::{JoinError, JoinSet};
use tokio::time::{Instant, sleep_until};

use super::schedule::Schedule;

/// How many instances are probed at the same time.
pub(crate) const PROBES_AT_ONCE: usize = 512;

/// The schedule, and the probes that are under way; each ends as a `T`.
pub(crate) struct Rounds<T> {
    pub(crate) schedule: Schedule,
    started: Instant,
    probes: JoinSet<(InstanceId, T)>,
}

impl<T: Send + 'static> Rounds<T> {
    pub(crate) fn new() -> Self {
        Rounds { schedule: Schedule::default(), started: Instant::now(), probes: JoinSet::new() }
    }

    /// The time since the start, as the schedule counts it.
    pub(crate) fn now(&self) -> Duration {
        self.started.elapsed()
    }

    /// Begins what is due, as far as there is room. `probe` gives none for what is not to be probed after all.
    pub(crate) fn begin<F>(&mut self, mut probe: impl FnMut(InstanceId) -> Option<F>)
    where
        F: Future<Output = T> + Send + 'static,
    {
        let now = self.now();
        while self.probes.len() < PROBES_AT_ONCE
            && let Some(id) = self.schedule.take(now)
        {
            match probe(id) {
                Some(probe) => self.go_on(id, probe),
                None => self.schedule.done(id, None, now),
            }
        }
    }

    /// Adds to what is under way for an instance that is being probed.
    pub(crate) fn go_on(&mut self, id: InstanceId, step: impl Future<Output = T> + Send + 'static) {
        self.probes.spawn(async move { (id, step.await) });
    }

    /// Waits for the end of a probe, or, with nothing, until something is due that there is room for.
    ///
    /// # Errors
    /// A probe panicked.
    pub(crate) async fn next(&mut self) -> Result<Option<(InstanceId, T)>, JoinError> {
        let has_room = self.probes.len() < PROBES_AT_ONCE;
        let due = self.schedule.next_due().filter(|_| has_room).map(|due| self.started + due);
        let wake = async {
            match due {
                Some(due) => sleep_until(due).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            Some(ended) = self.probes.join_next() => ended.map(Some),
            () = wake => Ok(None),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use tokio::time::sleep;
    use uuid::Uuid;

    use super::*;

    const INSTANCES: u64 = 10_000;
    const INTERVAL: Duration = Duration::from_secs(30);
    const ROUNDS: u32 = 5;

    /// What a simulated run has seen.
    struct Run {
        at_once: usize,
        per_second: Vec<u32>,
        probes: HashMap<InstanceId, u32>,
    }

    /// Probes ten thousand instances for [`ROUNDS`] intervals of simulated time. `takes` says how long each probe is.
    async fn simulated(takes: impl Fn(u64) -> Duration) -> Run {
        let mut rounds = Rounds::<()>::new();
        let under_way = Arc::new(AtomicUsize::new(0));
        for number in 0..INSTANCES {
            // Ids as they are: the last bits are random.
            let random = u128::from(number).wrapping_mul(0x9E37_79B9_7F4A_7C15_F39C_C060_5CED_C835);
            let (random, _) = Uuid::from_u128(random).as_u64_pair();
            rounds.schedule.put(InstanceId(Uuid::from_u64_pair(number, random)), INTERVAL, rounds.now());
        }
        let mut run = Run { at_once: 0, per_second: vec![0; 200], probes: HashMap::new() };
        let end = INTERVAL * ROUNDS;
        while rounds.now() < end {
            let second = usize::try_from(rounds.now().as_secs()).unwrap();
            rounds.begin(|id| {
                run.per_second[second] += 1;
                *run.probes.entry(id).or_default() += 1;
                let (under_way, takes) = (under_way.clone(), takes(id.0.as_u64_pair().0));
                under_way.fetch_add(1, Ordering::Relaxed);
                Some(async move {
                    sleep(takes).await;
                    under_way.fetch_sub(1, Ordering::Relaxed);
                })
            });
            run.at_once = run.at_once.max(under_way.load(Ordering::Relaxed));
            if let Some((id, ())) = rounds.next().await.unwrap() {
                rounds.schedule.done(id, None, rounds.now());
            }
        }
        run
    }

    #[tokio::test(start_paused = true)]
    async fn ten_thousand_instances_are_probed_in_their_intervals_and_evenly() {
        let run = simulated(|_| Duration::from_millis(20)).await;
        let counts = run.probes.values().copied();
        assert_eq!(run.probes.len(), usize::try_from(INSTANCES).unwrap());
        assert!(counts.clone().all(|count| (ROUNDS - 1..=ROUNDS + 1).contains(&count)));
        // 333 a second on average; the slots are as even as random numbers are.
        let busiest = run.per_second.iter().max().copied().unwrap();
        assert!(busiest < 450, "{busiest} in one second");
        assert!(run.at_once < 60, "{} at once", run.at_once);
    }

    #[tokio::test(start_paused = true)]
    async fn silent_instances_hold_nobody_else_up_below_their_share_and_starve_nobody_above_it() {
        let silent = |share: u64| {
            move |number: u64| match number % 100 < share {
                true => Duration::from_secs(5),
                false => Duration::from_millis(20),
            }
        };
        let run = simulated(silent(20)).await;
        assert!(run.at_once <= PROBES_AT_ONCE);
        assert!(run.probes.values().all(|count| *count >= ROUNDS - 1), "a fifth is borne");
        let run = simulated(silent(80)).await;
        assert_eq!(run.at_once, PROBES_AT_ONCE, "the bound holds");
        assert_eq!(run.probes.len(), usize::try_from(INSTANCES).unwrap(), "everybody's turn comes");
        let (least, most) = (run.probes.values().min().unwrap(), run.probes.values().max().unwrap());
        assert!(most - least <= 1, "{least} to {most}: late, but fair");
    }
}
