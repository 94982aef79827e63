//! How long to leave something alone that has just failed.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::time::Instant;

/// The pause after the first failure.
const PAUSE_MIN: Duration = Duration::from_secs(1);
/// The longest pause. What has failed on a cluster for long is most often the way to it, which may be back any moment.
const PAUSE_MAX: Duration = Duration::from_secs(30);

/// What has failed lately, each with how often and until when it rests.
#[derive(Debug)]
pub(crate) struct Setbacks<K>(BTreeMap<K, (u32, Instant)>);

impl<K: Ord> Default for Setbacks<K> {
    fn default() -> Self {
        Setbacks(BTreeMap::new())
    }
}

impl<K: Ord> Setbacks<K> {
    /// Once more: each failure in a row doubles the pause.
    pub(crate) fn add(&mut self, key: K, now: Instant) {
        let (failures, until) = self.0.entry(key).or_insert((0, now));
        *until = now + pause(*failures);
        *failures = failures.saturating_add(1);
    }

    pub(crate) fn clear(&mut self, key: &K) {
        self.0.remove(key);
    }

    pub(crate) fn retain(&mut self, is_needed: impl Fn(&K) -> bool) {
        self.0.retain(|key, _| is_needed(key));
    }

    pub(crate) fn rests(&self, key: &K, now: Instant) -> bool {
        self.0.get(key).is_some_and(|(_, until)| *until > now)
    }

    /// When the next one has rested.
    pub(crate) fn next(&self, now: Instant) -> Option<Instant> {
        self.0.values().map(|(_, until)| *until).filter(|until| *until > now).min()
    }
}

fn pause(failures: u32) -> Duration {
    PAUSE_MIN.saturating_mul(2_u32.saturating_pow(failures)).min(PAUSE_MAX)
}
