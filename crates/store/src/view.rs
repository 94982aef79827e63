//! Views in buckets, followed in memory.
//!
//! A bucket holds one key per row and the key `position`: the sequence up to which the rows hold every event. Rows
//! are written before the position, and a bucket gives its keys back in the order of writing, so whoever has seen a
//! position has seen the rows that belong to it.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use async_nats::jetstream::kv::{self, Operation};
use futures_util::StreamExt;
use parking_lot::RwLock;
use tokio::sync::watch;
use uuid::Uuid;
use views::View;

use crate::codec;
use crate::connection::{Reconnects, Store};
use crate::error::{self, During, Unavailable};

/// The key of the position among the rows.
pub(crate) const POSITION_KEY: &str = "position";

/// How long to wait before a broken watch is made anew.
const RETRY_DELAY: Duration = Duration::from_millis(200);

/// How long a watch may be broken before its follower does not count as current: a restart of NATS takes less.
const BROKEN_MAX: Duration = Duration::from_secs(5);

/// The rows of a view and how far they reach.
pub(crate) struct Rows<V: View> {
    pub(crate) rows: HashMap<Uuid, Arc<V::Row>>,
    pub(crate) position: u64,
    /// At which revision of the bucket each row was written.
    pub(crate) revisions: HashMap<Uuid, u64>,
    pub(crate) position_revision: Option<u64>,
}

impl<V: View> Default for Rows<V> {
    fn default() -> Self {
        Rows { rows: HashMap::new(), position: 0, revisions: HashMap::new(), position_revision: None }
    }
}

/// What one entry of a bucket tells.
enum Change<R> {
    Row(Uuid, Option<R>),
    Position(u64),
}

fn read_entry<V: View>(entry: &kv::Entry) -> Result<Change<V::Row>, Unavailable> {
    const OPERATION: &str = "read a view's row";
    if entry.key == POSITION_KEY {
        return codec::decode(&entry.value).during(OPERATION).map(Change::Position);
    }
    let id = entry.key.parse::<Uuid>().during(OPERATION)?;
    match entry.operation {
        Operation::Put => Ok(Change::Row(id, Some(codec::decode(&entry.value).during(OPERATION)?))),
        Operation::Delete | Operation::Purge => Ok(Change::Row(id, None)),
    }
}

/// A watch of a whole bucket that begins with what is there.
async fn watch_bucket(bucket: &kv::Store) -> Result<(kv::Watch, bool), Unavailable> {
    const OPERATION: &str = "watch a view";
    let empty = bucket.status().await.during(OPERATION)?.values() == 0;
    Ok((bucket.watch_with_history(">").await.during(OPERATION)?, empty))
}

/// Reads what a bucket holds now.
pub(crate) async fn read_rows<V: View>(bucket: &kv::Store) -> Result<Rows<V>, Unavailable> {
    let mut rows = Rows::default();
    let (mut watch, empty) = watch_bucket(bucket).await?;
    if empty {
        return Ok(rows);
    }
    loop {
        let entry = error::given(watch.next().await, "read a view")?;
        match read_entry::<V>(&entry)? {
            Change::Row(id, Some(row)) => {
                rows.rows.insert(id, Arc::new(row));
                rows.revisions.insert(id, entry.revision);
            }
            Change::Row(id, None) => {
                rows.rows.remove(&id);
                rows.revisions.remove(&id);
            }
            Change::Position(position) => {
                rows.position = position;
                rows.position_revision = Some(entry.revision);
            }
        }
        if entry.delta == 0 {
            return Ok(rows);
        }
    }
}

/// The view did not reach the sequence in time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("view {view} has reached {position}, {wanted} was awaited")]
pub struct NotReached {
    pub view: &'static str,
    pub position: u64,
    pub wanted: u64,
}

/// A view in memory, kept current. Cheap to clone.
pub struct Follower<V: View> {
    shared: Arc<Shared<V>>,
}

struct Shared<V: View> {
    rows: RwLock<HashMap<Uuid, Arc<V::Row>>>,
    position: watch::Sender<u64>,
    changes: watch::Sender<u64>,
    /// Since when the watch has been broken; none while it is not.
    broken_since: RwLock<Option<Instant>>,
    task: RwLock<Option<tokio::task::AbortHandle>>,
}

impl<V: View> Clone for Follower<V> {
    fn clone(&self) -> Self {
        Follower { shared: self.shared.clone() }
    }
}

impl<V: View> Drop for Shared<V> {
    fn drop(&mut self) {
        if let Some(task) = self.task.get_mut().take() {
            task.abort();
        }
    }
}

impl Store {
    /// Follows a view: returns when what is there has been read, and keeps it current from then on.
    ///
    /// `on_change` is called for each row that appears, changes or goes (`None`), in order, before readers see a
    /// position that includes it; it must be quick.
    ///
    /// # Errors
    /// The bucket does not exist, or NATS did not answer.
    pub async fn follow<V: View>(
        &self,
        on_change: impl FnMut(Uuid, Option<&Arc<V::Row>>) + Send + 'static,
    ) -> Result<Follower<V>, Unavailable> {
        let bucket = self.bucket(V::NAME).await?;
        let shared = Arc::new(Shared {
            rows: RwLock::default(),
            position: watch::Sender::new(0),
            changes: watch::Sender::new(0),
            broken_since: RwLock::default(),
            task: RwLock::default(),
        });
        let follower = Follower { shared: shared.clone() };
        let (loaded, is_loaded) = tokio::sync::oneshot::channel();
        let mut following =
            Following { bucket, shared: Arc::downgrade(&shared), on_change, loaded: Some(loaded) };
        let task = tokio::spawn({
            let reconnects = self.reconnects();
            async move { following.run(reconnects).await }
        });
        *shared.task.write() = Some(task.abort_handle());
        is_loaded.await.during("follow a view")??;
        Ok(follower)
    }
}

impl<V: View> Follower<V> {
    pub fn get(&self, id: Uuid) -> Option<Arc<V::Row>> {
        self.shared.rows.read().get(&id).cloned()
    }

    /// All rows, in no order.
    pub fn rows(&self) -> Vec<Arc<V::Row>> {
        self.shared.rows.read().values().cloned().collect()
    }

    /// The sequence up to which the rows hold every event.
    pub fn position(&self) -> u64 {
        *self.shared.position.borrow()
    }

    /// Whether the rows follow the view: not so when the watch has been broken, or has met a row that this program
    /// cannot read, for longer than a moment. Who decides on these rows is not ready then.
    pub fn is_current(&self) -> bool {
        self.shared.broken_since.read().is_none_or(|since| since.elapsed() < BROKEN_MAX)
    }

    /// Counts changes of rows: mark it seen, read the rows, await the next.
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.shared.changes.subscribe()
    }

    /// Waits until the rows hold every event up to `sequence`, `wait` at most.
    ///
    /// # Errors
    /// They did not get there in time.
    pub async fn reached(&self, sequence: u64, wait: Duration) -> Result<(), NotReached> {
        let mut position = self.shared.position.subscribe();
        let reached = tokio::time::timeout(wait, position.wait_for(|position| *position >= sequence)).await;
        match reached {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(_)) | Err(_) => {
                Err(NotReached { view: V::NAME, position: self.position(), wanted: sequence })
            }
        }
    }
}

/// What a new watch reads first: the bucket as it is.
struct FirstReading {
    /// The rows that were known before and have not been read again.
    unseen: HashSet<Uuid>,
    position: u64,
}

type Loaded = tokio::sync::oneshot::Sender<Result<(), Unavailable>>;

/// The task behind a follower. It holds the rows weakly, so that dropping the last follower ends it.
struct Following<V: View, F> {
    bucket: kv::Store,
    shared: std::sync::Weak<Shared<V>>,
    on_change: F,
    loaded: Option<Loaded>,
}

impl<V: View, F: FnMut(Uuid, Option<&Arc<V::Row>>) + Send> Following<V, F> {
    async fn run(&mut self, mut reconnects: Reconnects) {
        loop {
            let following = reconnects.unless_reconnected("follow a view", self.follow_once()).await;
            let Err(error) = following else { return };
            match self.loaded.take() {
                // The caller of `follow` still waits: it decides what to do.
                Some(loaded) => {
                    let _ = loaded.send(Err(error));
                    return;
                }
                None => {
                    let Some(shared) = self.shared.upgrade() else { return };
                    shared.broken_since.write().get_or_insert_with(Instant::now);
                    let error = &error as &dyn std::error::Error;
                    tracing::warn!(error, view = V::NAME, "following a view broke, trying again");
                }
            }
            tokio::time::sleep(RETRY_DELAY).await;
        }
    }

    /// Follows until the watch breaks (an error) or nobody is left to follow for.
    async fn follow_once(&mut self) -> Result<(), Unavailable> {
        let (mut watch, empty) = watch_bucket(&self.bucket).await?;
        let mut first = self.shared.upgrade().map(|shared| {
            let unseen = shared.rows.read().keys().copied().collect();
            FirstReading { unseen, position: 0 }
        });
        if empty {
            self.finish_loading(&mut first);
        }
        loop {
            let entry = error::given(watch.next().await, "follow a view")?;
            let change = read_entry::<V>(&entry)?;
            let Some(shared) = self.shared.upgrade() else { return Ok(()) };
            match change {
                Change::Row(id, row) => {
                    if let Some(first) = &mut first {
                        first.unseen.remove(&id);
                    }
                    self.set(&shared, id, row);
                }
                Change::Position(position) => {
                    if let Some(first) = &mut first {
                        first.position = position;
                    }
                    shared.position.send_replace(position);
                }
            }
            if entry.delta == 0 {
                self.finish_loading(&mut first);
            }
        }
    }

    /// What was not among the rows read first has gone while nobody watched, and a bucket without a position holds
    /// nothing yet, whatever it held before.
    fn finish_loading(&mut self, first: &mut Option<FirstReading>) {
        if let (Some(first), Some(shared)) = (first.take(), self.shared.upgrade()) {
            for id in first.unseen {
                self.set(&shared, id, None);
            }
            shared.position.send_replace(first.position);
            *shared.broken_since.write() = None;
        }
        if let Some(loaded) = self.loaded.take() {
            let _ = loaded.send(Ok(()));
        }
    }

    fn set(&mut self, shared: &Shared<V>, id: Uuid, row: Option<V::Row>) {
        let row = row.map(Arc::new);
        match &row {
            Some(row) => drop(shared.rows.write().insert(id, row.clone())),
            None => drop(shared.rows.write().remove(&id)),
        }
        (self.on_change)(id, row.as_ref());
        shared.changes.send_modify(|changes| *changes += 1);
    }
}
