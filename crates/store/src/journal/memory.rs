//! Aggregates that this process has loaded lately, so that loading one again reads only what has come since.
//!
//! What is remembered is a snapshot like those in the bucket: its event is read again and compared, and what came after
//! it is folded. Only those who append use it as it is, because the server compares for them. Nothing is ever answered
//! from memory alone.

use std::any::Any;
use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::Mutex;

use super::snapshot::Snapshot;
use crate::upcast::Stored;

/// How much is remembered before what was not asked for meanwhile is forgotten, in bytes of [`weight`].
const HALF_BYTES_MAX: usize = 16 * 1024 * 1024;
/// What a state weighs, about, in bytes.
const STATE_BYTES: usize = 2 * 1024;

/// Snapshots by the subject of their aggregate.
#[derive(Default)]
pub(crate) struct Memory(Mutex<Halves>);

/// What was asked for lately, and what was before that. When the first half is full, the second one is dropped.
#[derive(Default)]
struct Halves {
    young: HashMap<String, Arc<dyn Any + Send + Sync>>,
    young_bytes: usize,
    old: HashMap<String, Arc<dyn Any + Send + Sync>>,
}

impl Memory {
    pub(super) fn recall<D: Stored>(&self, subject: &str) -> Option<Arc<Snapshot<D>>> {
        let halves = self.0.lock();
        let found = halves.young.get(subject).or_else(|| halves.old.get(subject))?.clone();
        drop(halves);
        found.downcast().ok()
    }

    pub(super) fn remember<D: Stored>(&self, subject: &str, snapshot: Snapshot<D>) {
        let bytes = weight(&snapshot);
        let mut halves = self.0.lock();
        if halves.young_bytes + bytes > HALF_BYTES_MAX {
            halves.old = std::mem::take(&mut halves.young);
            halves.young_bytes = 0;
        }
        halves.young_bytes += bytes;
        halves.young.insert(subject.to_owned(), Arc::new(snapshot));
    }
}

fn weight<D: Stored>(snapshot: &Snapshot<D>) -> usize {
    STATE_BYTES + snapshot.commands.bytes()
}
