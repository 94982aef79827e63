//! Folds the log into a view's bucket.
//!
//! While it catches up, many events become one write per changed row; once it has caught up, every event is written
//! as it comes. A crash between rows and position folds the same events again, which changes nothing. The bucket is
//! not synced, so a server that was killed may have lost what it acknowledged: a lost connection ends the fold, and
//! the next one begins with what the bucket really holds.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use async_nats::jetstream::kv;
use futures_util::{StreamExt, TryStreamExt};
use uuid::Uuid;
use views::View;

use crate::connection::Store;
use crate::error::{During, Unavailable, Unreadable};
use crate::reader::Reader;
use crate::view::{POSITION_KEY, Rows, read_rows};
use crate::{codec, subject, tail};

/// How many events are folded before their rows are written while catching up.
const CATCH_UP_EVENTS_MAX: u64 = 1000;
/// What is done here, in errors. A conflict of revisions is one of them: another projector has written.
const WRITE: &str = "write a view";

/// How many rows are written at the same time.
const WRITES_IN_FLIGHT_MAX: usize = 64;

/// Why a view has stopped.
#[derive(Debug, thiserror::Error)]
pub enum ProjectError {
    #[error(transparent)]
    Unavailable(#[from] Unavailable),
    /// Skipping it would make the view a lie, so the view stops here until a program that can read it runs.
    #[error(transparent)]
    Unreadable(#[from] Unreadable),
}

impl Store {
    /// Folds the log into the bucket of a view, for ever. `on_caught_up` is called once, when the view holds every
    /// event that there was at the start.
    ///
    /// # Errors
    /// See [`ProjectError`]. After `Unavailable`, calling again goes on where this call ended.
    pub async fn project<V: View>(&self, on_caught_up: impl FnOnce()) -> Result<(), ProjectError> {
        let mut reconnects = self.reconnects();
        let mut fold = Fold::<V>::open(self.bucket(V::NAME).await?).await?;
        let last = self.last_event().await?;
        let mut reader =
            Reader::new(self.clone(), subject::EVENTS, subject::event("*", ">"), fold.position + 1);
        let mut on_caught_up = Some(on_caught_up);
        loop {
            if fold.position >= last
                && let Some(on_caught_up) = on_caught_up.take()
            {
                on_caught_up();
            }
            let next = async { Ok(reader.next().await) };
            let read = reconnects.unless_reconnected("project a view", next).await?;
            match tail::recorded(&read.message, read.sequence) {
                Ok(recorded) => fold.apply(&recorded),
                Err(unreadable) => {
                    // The view stops at this event, not before it.
                    fold.write().await?;
                    return Err(unreadable.into());
                }
            }
            if read.pending == 0 || fold.position - fold.written >= CATCH_UP_EVENTS_MAX {
                fold.write().await?;
            }
        }
    }
}

/// A view that is being folded.
struct Fold<V: View> {
    bucket: kv::Store,
    rows: HashMap<Uuid, Arc<V::Row>>,
    position: u64,
    /// The position that the bucket has.
    written: u64,
    /// The rows that the bucket does not have in this form.
    changed: HashSet<Uuid>,
    /// At which revisions the bucket's keys were read or written. Writing names them, so that of two projectors the
    /// slower one meets a conflict instead of putting an old row over a newer one.
    revisions: HashMap<Uuid, u64>,
    position_revision: Option<u64>,
}

impl<V: View> Fold<V> {
    async fn open(bucket: kv::Store) -> Result<Self, Unavailable> {
        let Rows { rows, position, revisions, position_revision } = read_rows::<V>(&bucket).await?;
        let changed = HashSet::new();
        Ok(Fold { bucket, rows, position, written: position, changed, revisions, position_revision })
    }

    fn apply(&mut self, recorded: &domain::Recorded) {
        self.position = recorded.sequence;
        let Some(id) = V::key(recorded) else { return };
        let before = self.rows.remove(&id);
        let after = V::apply(before.as_deref().cloned(), recorded);
        if before.as_deref() != after.as_ref() {
            self.changed.insert(id);
        }
        if let Some(after) = after {
            self.rows.insert(id, Arc::new(after));
        }
    }

    /// Rows first, then the position: see the module of [`crate::view`].
    async fn write(&mut self) -> Result<(), Unavailable> {
        let changed: Vec<Uuid> = self.changed.drain().collect();
        let (bucket, rows, revisions) = (&self.bucket, &self.rows, &self.revisions);
        let writes = changed.into_iter().map(|id| async move {
            let row = rows.get(&id).map(|row| codec::encode(row.as_ref()));
            write_row(bucket, id, row, revisions.get(&id).copied()).await.map(|revision| (id, revision))
        });
        let written: Vec<(Uuid, Option<u64>)> =
            futures_util::stream::iter(writes).buffer_unordered(WRITES_IN_FLIGHT_MAX).try_collect().await?;
        for (id, revision) in written {
            match revision {
                Some(revision) => drop(self.revisions.insert(id, revision)),
                None => drop(self.revisions.remove(&id)),
            }
        }
        let position = codec::encode(&self.position);
        self.position_revision =
            Some(put(&self.bucket, POSITION_KEY, position, self.position_revision).await?);
        self.written = self.position;
        Ok(())
    }
}

/// Writes or removes a row that has `revision` in the bucket, and gives its new one.
async fn write_row(
    bucket: &kv::Store,
    id: Uuid,
    row: Option<Vec<u8>>,
    revision: Option<u64>,
) -> Result<Option<u64>, Unavailable> {
    let key = id.to_string();
    match (row, revision) {
        (Some(bytes), revision) => put(bucket, &key, bytes, revision).await.map(Some),
        (None, Some(revision)) => {
            bucket.purge_expect_revision(key, Some(revision)).await.during(WRITE).map(|()| None)
        }
        // It came and went between two writes.
        (None, None) => Ok(None),
    }
}

async fn put(
    bucket: &kv::Store,
    key: &str,
    bytes: Vec<u8>,
    revision: Option<u64>,
) -> Result<u64, Unavailable> {
    match revision {
        Some(revision) => bucket.update(key, bytes.into(), revision).await.during(WRITE),
        None => bucket.create(key, bytes.into()).await.during(WRITE),
    }
}
