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
    unreported: u64,
}

impl Losses {
    /// How many were dropped since the start, per instance; the nil id stands for requests to no instance.
    pub fn by_instance(&self) -> BTreeMap<Uuid, u64> {
        self.0.lock().by_instance.clone()
    }

    pub(crate) fn add(&self, instance: Uuid, records: u64) {
        let mut counts = self.0.lock();
        *counts.by_instance.entry(instance).or_default() += records;
        counts.unreported += records;
    }

    /// How many were dropped since this was last asked.
    pub(crate) fn take_unreported(&self) -> u64 {
        std::mem::take(&mut self.0.lock().unreported)
    }
}
