//! One generation of a view that is being folded.
//!
//! Reading goes on while rows are written. While there is more to read, many events become one write per changed row;
//! once there is nothing left, what has changed is written at once. A position alone can wait: see [`POSITION_INTERVAL`].

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use domain::Recorded;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use tokio::time::Instant;
use uuid::Uuid;
use views::View;

use super::ProjectError;
use super::decoding::{Chunk, Decoding};
use super::monitor::Gauge;
use crate::codec;
use crate::connection::Store;
use crate::error::Unavailable;
use crate::view::layout::{Reached, Rows, ViewBucket};

/// How long events are gathered before their rows are written, while there are more to read.
const GATHER: Duration = Duration::from_millis(250);

/// How far apart positions are written at least that no row has changed for: nobody waits for those.
const POSITION_INTERVAL: Duration = Duration::from_millis(100);

/// One generation, its rows in memory.
pub(super) struct Fold<V: View> {
    store: Store,
    bucket: ViewBucket,
    pub(super) generation: u64,
    rows: HashMap<Uuid, Arc<V::Row>>,
    pub(super) position: u64,
    /// The position that the bucket has.
    pub(super) written: u64,
    /// The rows that the bucket does not have in this form.
    changed: HashSet<Uuid>,
    /// At which revisions the bucket's keys were read or written. Writing names them, so that of two projectors the
    /// slower one meets a conflict instead of putting an old row over a newer one.
    revisions: HashMap<Uuid, u64>,
    position_revision: u64,
    /// How many events are known to come.
    pending: u64,
    last_write: Instant,
    pub(super) gauge: Arc<Gauge>,
    decoding: Decoding,
    writing: Option<Writing>,
}

/// What the bucket has taken.
struct Written {
    rows: Vec<(Uuid, u64)>,
    position: u64,
    position_revision: u64,
}

impl<V: View> Fold<V> {
    /// Goes on with a generation.
    pub(super) async fn open(
        store: &Store,
        bucket: &ViewBucket,
        generation: u64,
    ) -> Result<Self, Unavailable> {
        let Rows { rows, position, revisions, position_revision } = bucket.rows::<V>(generation).await?;
        Ok(Fold {
            store: store.clone(),
            bucket: bucket.clone(),
            generation,
            position,
            written: position,
            changed: HashSet::new(),
            revisions,
            position_revision,
            pending: 0,
            last_write: Instant::now(),
            gauge: Gauge::new(generation, position, rows.len()),
            rows,
            decoding: Decoding::start(store, position + 1),
            writing: None,
        })
    }

    /// Folds until the bucket has every event up to `until`, or for ever.
    ///
    /// # Errors
    /// See [`ProjectError`]. After an event that cannot be read, the bucket has everything before it.
    pub(super) async fn run(&mut self, until: Option<u64>) -> Result<(), ProjectError> {
        // A server that was killed may have lost what it acknowledged: see the module of projections.
        let mut reconnects = self.store.link.reconnects();
        loop {
            if until.is_some_and(|until| self.written >= until) {
                return Ok(());
            }
            match reconnects.unless_reconnected("project a view", self.step(until)).await? {
                None => {}
                Some(Chunk { events, unreadable, pending }) => {
                    self.pending = pending;
                    events.iter().for_each(|recorded| self.apply(recorded));
                    if let Some(unreadable) = unreadable {
                        // The view stops at this event, not before it.
                        self.write_all().await?;
                        return Err(unreadable.into());
                    }
                }
            }
            if self.write_due(until).is_some_and(|due| due <= Instant::now()) {
                self.begin_to_write();
            }
        }
    }

    /// Waits for the next events, for the time to write, or for the end of a write, which is taken over here.
    async fn step(&mut self, until: Option<u64>) -> Result<Option<Chunk>, Unavailable> {
        let due = self.write_due(until);
        let written = tokio::select! {
            chunk = self.decoding.next() => return chunk.map(Some),
            () = sleep_until(due) => return Ok(None),
            written = end_of(&mut self.writing) => written?,
        };
        self.finish_write(written);
        Ok(None)
    }

    /// When what was folded is to be written; none if there is nothing new, or a write is under way.
    fn write_due(&self, until: Option<u64>) -> Option<Instant> {
        if self.writing.is_some() || self.position == self.written {
            return None;
        }
        let is_end = until.is_some_and(|until| self.position >= until);
        let gather = match (is_end, self.pending) {
            (true, _) => Duration::ZERO,
            // More events are about to change the same rows.
            (false, 1..) => GATHER,
            (false, 0) if self.changed.is_empty() => POSITION_INTERVAL,
            (false, 0) => Duration::ZERO,
        };
        Some(self.last_write + gather)
    }

    fn apply(&mut self, recorded: &Recorded) {
        self.position = recorded.sequence;
        let Some(id) = V::key(recorded) else { return };
        let before = self.rows.remove(&id);
        let was_there = before.is_some();
        // Nobody else holds the row, so that nothing is copied. An event that changes nothing, because it was folded
        // before a crash, costs a write and no comparison of all others.
        let after = V::apply(before.map(Arc::unwrap_or_clone), recorded);
        if was_there || after.is_some() {
            self.changed.insert(id);
        }
        if let Some(after) = after {
            self.rows.insert(id, Arc::new(after));
        }
    }

    /// Begins to write what has changed.
    fn begin_to_write(&mut self) {
        self.last_write = Instant::now();
        let rows: Vec<(Uuid, Option<Vec<u8>>, u64)> = self
            .changed
            .drain()
            .map(|id| {
                let row = self.rows.get(&id).map(|row| codec::encode(row.as_ref()));
                (id, row, self.revisions.get(&id).copied().unwrap_or(0))
            })
            // A row that came and went between two writes was never there.
            .filter(|(_, row, revision)| row.is_some() || *revision > 0)
            .collect();
        let (bucket, generation) = (self.bucket.clone(), self.generation);
        let reached = Reached { position: self.position, version: V::VERSION };
        let position_revision = self.position_revision;
        let write = async move {
            let (rows, position_revision) =
                bucket.write_rows(generation, rows, reached, position_revision).await?;
            Ok(Written { rows, position: reached.position, position_revision })
        };
        self.writing = Some(write.boxed());
    }

    fn finish_write(&mut self, written: Written) {
        self.revisions.extend(written.rows);
        (self.written, self.position_revision) = (written.position, written.position_revision);
        self.gauge.set(self.written, self.rows.len());
        self.writing = None;
    }

    async fn write_all(&mut self) -> Result<(), Unavailable> {
        while self.written < self.position {
            if self.writing.is_none() {
                self.begin_to_write();
            }
            let written = end_of(&mut self.writing).await?;
            self.finish_write(written);
        }
        Ok(())
    }
}

type Writing = BoxFuture<'static, Result<Written, Unavailable>>;

/// Waits for the end of a write, for ever if there is none.
async fn end_of(writing: &mut Option<Writing>) -> Result<Written, Unavailable> {
    match writing {
        Some(writing) => writing.await,
        None => std::future::pending().await,
    }
}

/// Waits for a moment, for ever if there is none.
async fn sleep_until(moment: Option<Instant>) {
    match moment {
        Some(moment) => tokio::time::sleep_until(moment).await,
        None => std::future::pending().await,
    }
}
