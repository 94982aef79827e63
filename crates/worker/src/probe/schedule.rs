//! When each instance is probed. Pure: times are counted from the start of the worker.
//!
//! An instance has slots of its own, one interval apart, and where they lie follows from its id: so ten thousand
//! instances of one interval are spread over it evenly, whenever they were created and whenever the worker started, and
//! a probe that was late pushes none of the others away.

use std::collections::{BTreeSet, HashMap};
use std::time::Duration;

use domain::InstanceId;

/// The instances that are probed, and when.
#[derive(Debug, Default)]
pub(crate) struct Schedule {
    entries: HashMap<InstanceId, Entry>,
    due: BTreeSet<(Duration, InstanceId)>,
}

#[derive(Clone, Copy, Debug)]
struct Entry {
    interval: Duration,
    /// None while it is being probed.
    due: Option<Duration>,
    /// When it is wanted again, of what is being probed.
    hurry: Option<Duration>,
}

impl Schedule {
    /// Adds an instance, or gives it another interval.
    pub(crate) fn put(&mut self, id: InstanceId, interval: Duration, now: Duration) {
        let next = slot_after(id, interval, now);
        match self.entries.get_mut(&id) {
            None => {
                self.entries.insert(id, Entry { interval, due: Some(next), hurry: None });
                self.due.insert((next, id));
            }
            Some(entry) if entry.interval != interval => {
                entry.interval = interval;
                if entry.due.is_some() {
                    self.set_due(id, next);
                }
            }
            Some(_) => {}
        }
    }

    /// Drops all instances but those that are wanted.
    pub(crate) fn retain(&mut self, is_wanted: impl Fn(&InstanceId) -> bool) {
        self.entries.retain(|id, _| is_wanted(id));
        self.due.retain(|(_, id)| is_wanted(id));
    }

    /// Wants an instance probed no later than at a time; again, if it is being probed.
    pub(crate) fn hurry(&mut self, id: InstanceId, at: Duration) {
        match self.entries.get_mut(&id) {
            Some(Entry { due: None, hurry, .. }) => {
                *hurry = Some(hurry.map_or(at, |earlier| earlier.min(at)))
            }
            Some(Entry { due: Some(due), .. }) if *due > at => self.set_due(id, at),
            Some(_) | None => {}
        }
    }

    /// The instance that has waited longest of those that are due, which is being probed from now on.
    pub(crate) fn take(&mut self, now: Duration) -> Option<InstanceId> {
        let (due, id) = *self.due.first().filter(|(due, _)| *due <= now)?;
        self.due.remove(&(due, id));
        if let Some(entry) = self.entries.get_mut(&id) {
            entry.due = None;
        }
        Some(id)
    }

    /// The probe has ended; the next is in its slot, or after `pause` if that is sooner.
    pub(crate) fn done(&mut self, id: InstanceId, pause: Option<Duration>, now: Duration) {
        let Some(entry) = self.entries.get_mut(&id).filter(|entry| entry.due.is_none()) else { return };
        let soon = pause.map(|pause| now + pause);
        let regular = slot_after(id, entry.interval, now);
        let next = [soon, entry.hurry.take()].into_iter().flatten().fold(regular, Duration::min);
        entry.due = Some(next);
        self.due.insert((next, id));
    }

    /// When the next instance is due.
    pub(crate) fn next_due(&self) -> Option<Duration> {
        self.due.first().map(|(due, _)| *due)
    }

    fn set_due(&mut self, id: InstanceId, at: Duration) {
        if let Some(entry) = self.entries.get_mut(&id)
            && let Some(due) = entry.due.replace(at)
        {
            self.due.remove(&(due, id));
            self.due.insert((at, id));
        }
    }
}

/// The first of an instance's slots after a time.
fn slot_after(id: InstanceId, interval: Duration, now: Duration) -> Duration {
    let interval = u64::try_from(interval.as_millis()).unwrap_or(u64::MAX).max(1);
    let now = u64::try_from(now.as_millis()).unwrap_or(u64::MAX);
    // The last bytes of an id are random.
    let (_, random) = id.0.as_u64_pair();
    let offset = random % interval;
    let passed = if now < offset { 0 } else { (now - offset) / interval + 1 };
    Duration::from_millis(offset.saturating_add(passed.saturating_mul(interval)))
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    const INTERVAL: Duration = Duration::from_secs(30);

    fn id(random: u64) -> InstanceId {
        InstanceId(Uuid::from_u64_pair(7, random))
    }

    fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn slots_are_one_interval_apart_and_lateness_moves_none() {
        let mut schedule = Schedule::default();
        schedule.put(id(10_000), INTERVAL, Duration::ZERO);
        assert_eq!(schedule.next_due(), Some(seconds(10)));
        assert_eq!(schedule.take(seconds(9)), None);
        assert_eq!(schedule.take(seconds(25)), Some(id(10_000)));
        assert_eq!(schedule.next_due(), None, "it is being probed");
        schedule.done(id(10_000), None, seconds(26));
        assert_eq!(schedule.next_due(), Some(seconds(40)));
    }

    #[test]
    fn who_is_in_a_hurry_is_probed_sooner_and_once_more_if_it_is_being_probed() {
        let mut schedule = Schedule::default();
        schedule.put(id(10_000), INTERVAL, Duration::ZERO);
        schedule.hurry(id(10_000), seconds(1));
        assert_eq!(schedule.take(seconds(1)), Some(id(10_000)));
        schedule.hurry(id(10_000), seconds(2));
        schedule.done(id(10_000), None, seconds(3));
        assert_eq!(schedule.take(seconds(3)), Some(id(10_000)));
        schedule.done(id(10_000), Some(seconds(1)), seconds(4));
        assert_eq!(schedule.next_due(), Some(seconds(5)));
    }

    #[test]
    fn what_is_gone_is_not_probed_and_another_interval_counts_at_once() {
        let mut schedule = Schedule::default();
        schedule.put(id(1), INTERVAL, Duration::ZERO);
        schedule.put(id(20_000), INTERVAL, Duration::ZERO);
        schedule.put(id(20_000), seconds(5), Duration::ZERO);
        assert_eq!(schedule.take(seconds(1)), Some(id(1)));
        schedule.retain(|known| *known != id(1));
        schedule.done(id(1), None, seconds(1));
        assert_eq!(schedule.next_due(), Some(seconds(5)));
        assert_eq!(schedule.take(seconds(5)), Some(id(20_000)));
        assert_eq!(schedule.take(seconds(100)), None);
    }
}
