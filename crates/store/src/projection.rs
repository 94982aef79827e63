//! Folds the log into a view's bucket.
//!
//! While it catches up, many events become one write per changed row; once it has caught up, every event is written
//! as it comes. A crash between rows and position folds the same events again, which changes nothing. The bucket is
//! not synced, so a server that was killed may have lost what it acknowledged: a lost connection ends the fold, and
//! the next one begins with what the bucket really holds.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use async_nats::jetstream::kv;
use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use uuid::Uuid;
use views::View;

use crate::connection::Store;
use crate::error::{During, Unavailable, Unreadable};
use crate::reader::{self, Reader};
use crate::view::{POSITION_KEY, Rows, read_rows};
use crate::{codec, subject, tail};

/// How many events are folded before their rows are written while catching up.
const CATCH_UP_EVENTS_MAX: u64 = 1000;
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
        let bucket = self.bucket(V::NAME).await?;
        let Rows { rows, position } = read_rows::<V>(&bucket).await?;
        let last = self.last_event().await?;
        let mut reader = Reader::new(self.clone(), subject::EVENTS, subject::event("*", ">"), position + 1);
        let mut fold = Fold::<V> { bucket, rows, position, written: position, changed: HashSet::new() };
        let mut on_caught_up = Some(on_caught_up);
        loop {
            if fold.position >= last
                && let Some(on_caught_up) = on_caught_up.take()
            {
                on_caught_up();
            }
            let next = async { Ok(reader.next().await) };
            let read = reconnects.unless_reconnected("project a view", next).await?;
            fold.apply(&tail::recorded(&read.message, read.sequence)?);
            if read.pending == 0 || fold.position - fold.written >= CATCH_UP_EVENTS_MAX {
                fold.write().await?;
            }
        }
    }

    /// How many events a view is behind the log.
    ///
    /// # Errors
    /// NATS did not answer.
    pub async fn events_after(&self, position: u64) -> Result<u64, Unavailable> {
        let (_, last) = reader::bounds(self, subject::EVENTS).await?;
        Ok(last.saturating_sub(position))
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
}

impl<V: View> Fold<V> {
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
        let mut changed = self.changed.drain();
        let mut writes: FuturesUnordered<_> = changed
            .by_ref()
            .take(WRITES_IN_FLIGHT_MAX)
            .map(|id| write_row(&self.bucket, id, self.rows.get(&id).map(|row| codec::encode(row.as_ref()))))
            .collect();
        while let Some(written) = writes.next().await {
            written?;
            if let Some(id) = changed.next() {
                let row = self.rows.get(&id).map(|row| codec::encode(row.as_ref()));
                writes.push(write_row(&self.bucket, id, row));
            }
        }
        let position = codec::encode(&self.position);
        self.bucket.put(POSITION_KEY, position.into()).await.during("write a view's position")?;
        self.written = self.position;
        Ok(())
    }
}

async fn write_row(bucket: &kv::Store, id: Uuid, row: Option<Vec<u8>>) -> Result<(), Unavailable> {
    const OPERATION: &str = "write a view's row";
    let key = id.to_string();
    match row {
        Some(bytes) => bucket.put(key, bytes.into()).await.during(OPERATION).map(drop),
        None => bucket.purge(key).await.during(OPERATION),
    }
}
