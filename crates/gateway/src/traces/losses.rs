//! What had to be dropped, per instance. Kept for as long as the process lives; metrics read it.

use std::collections::BTreeMap;

use parking_lot::Mutex;
use uuid::Uuid;

/// Counts the trace events that were dropped because a bound was reached.
#[derive(Debug, Default)]
pub struct Losses(Mutex<Counts>);

#[derive(Debug, Default)]
struct Counts {
    by_instance: BTreeMap<Uuid, u64>,
    unreported: BTreeMap<Uuid, u64>,
}

impl Losses {
    /// How many were dropped since the start, per instance; the nil id stands for requests to no instance.
    pub fn by_instance(&self) -> BTreeMap<Uuid, u64> {
        self.0.lock().by_instance.clone()
    }

    pub(crate) fn add(&self, instance: Uuid, records: u64) {
        let mut counts = self.0.lock();
        *counts.by_instance.entry(instance).or_default() += records;
        *counts.unreported.entry(instance).or_default() += records;
    }

    /// How many were dropped since this was last asked, per instance.
    pub(crate) fn take_unreported(&self) -> BTreeMap<Uuid, u64> {
        std::mem::take(&mut self.0.lock().unreported)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_dropped_is_reported_once_and_counted_for_ever() {
        let (losses, first, second) = (Losses::default(), Uuid::from_u128(1), Uuid::from_u128(2));
        losses.add(first, 1);
        losses.add(first, 2);
        losses.add(second, 5);
        assert_eq!(losses.take_unreported(), BTreeMap::from([(first, 3), (second, 5)]));
        losses.add(second, 1);
        assert_eq!(losses.take_unreported(), BTreeMap::from([(second, 1)]));
        assert_eq!(losses.by_instance(), BTreeMap::from([(first, 3), (second, 6)]));
    }
}
