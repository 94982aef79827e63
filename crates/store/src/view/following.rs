//! The task behind a follower: reads the generation that is served, and goes over to the next one at once.
//!
//! A generation is read to its end beside the rows that are shown, and put in their place in one step; only rows that
//! differ are told as changes. The same happens after a broken watch.

use std::collections::HashMap;
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use futures_util::StreamExt;
use tokio::sync::oneshot;
use uuid::Uuid;
use views::View;

use super::Shared;
use super::kept::Kept;
use super::layout::{Change, LIVE_KEY, Live, ViewBucket, read_entry};
use crate::codec;
use crate::connection::Store;
use crate::error::{self, During, Unavailable};
use crate::link::Reconnects;

/// How long to wait before a broken watch is made anew.
const RETRY_DELAY: Duration = Duration::from_millis(200);

const OPERATION: &str = "follow a view";

type Loaded = oneshot::Sender<Result<(), Unavailable>>;

/// Holds the rows weakly, so that dropping the last follower ends the task.
pub(super) struct Following<V: View, K, F> {
    store: Store,
    bucket: ViewBucket,
    shared: Weak<Shared<V, K>>,
    on_change: F,
    loaded: Option<Loaded>,
    /// NATS has answered, and the caller of `follow` waits for a projector: a lost connection is waited out as well.
    waits: bool,
}

/// Why following a generation ended without an error.
enum Ended {
    /// Another generation is served.
    Switched,
    /// Nobody is left to follow for.
    Unwanted,
}

/// A generation that is being read.
struct Staged<V: View, K> {
    rows: HashMap<Uuid, K>,
    /// The rows that are not shown as they are here.
    changed: HashMap<Uuid, Arc<V::Row>>,
    position: Option<u64>,
}

impl<V: View, K: Kept<V::Row>, F: FnMut(Uuid, Option<&Arc<V::Row>>) + Send> Following<V, K, F> {
    pub(super) fn new(
        store: Store,
        bucket: ViewBucket,
        shared: &Arc<Shared<V, K>>,
        on_change: F,
        loaded: Loaded,
    ) -> Self {
        Following {
            store,
            bucket,
            shared: Arc::downgrade(shared),
            on_change,
            loaded: Some(loaded),
            waits: false,
        }
    }

    pub(super) async fn run(mut self, mut reconnects: Reconnects) {
        loop {
            let before = reconnects.clone();
            let error = match reconnects.unless_reconnected(OPERATION, self.follow_once()).await {
                Ok(Ended::Switched) => continue,
                Ok(Ended::Unwanted) => return,
                Err(error) => error,
            };
            // The caller of `follow` decides what to do, as long as it has not been told to wait. NATS that was away for
            // a moment is back already, and no reason for a process to end while it starts.
            if let Some(loaded) = self.loaded.take_if(|_| !self.waits && !before.is_reconnected()) {
                let _ = loaded.send(Err(error));
                return;
            }
            if !self.mark_broken() {
                return;
            }
            tracing::warn!(
                error = &error as &dyn std::error::Error,
                view = V::NAME,
                "following a view broke, trying again"
            );
            tokio::time::sleep(RETRY_DELAY).await;
        }
    }

    /// Follows one generation until another is served, the watch breaks or nobody is left to follow for.
    async fn follow_once(&mut self) -> Result<Ended, Unavailable> {
        let live = self.live().await?;
        let mut watch = self.bucket.watch(live.generation).await?;
        let mut staged = Some(Staged::<V, K>::default());
        loop {
            let entry = error::given(watch.next().await, OPERATION)?;
            let change = read_entry::<V>(&entry)?;
            if matches!(change, Change::Live(now) if now != live) {
                return Ok(Ended::Switched);
            }
            let Some(shared) = self.shared.upgrade() else { return Ok(Ended::Unwanted) };
            match &mut staged {
                Some(staged) => staged.take(&shared, change),
                None => self.show(&shared, change),
            }
            if entry.delta == 0
                && let Some(staged) = staged.take()
            {
                // A generation without a position was purged, and a server that was killed forgot what replaced it.
                let position = staged.position.ok_or("the generation is gone").during(OPERATION)?;
                self.swap(&shared, staged, position);
            }
        }
    }

    /// Waits until a generation is served whose rows this program can read. Before the first event there need be none.
    async fn live(&mut self) -> Result<Live, Unavailable> {
        let mut watch = self.bucket.bucket.watch_with_history(LIVE_KEY).await.during(OPERATION)?;
        if self.bucket.live().await?.is_none() && self.store.last_event().await? == 0 {
            let Some(shared) = self.shared.upgrade() else {
                return Err(Unavailable::new(OPERATION, "nobody follows any more"));
            };
            self.swap(&shared, Staged::default(), 0);
        }
        self.waits = true;
        loop {
            let entry = error::given(watch.next().await, OPERATION)?;
            let live: Live = codec::decode(&entry.value).during(OPERATION)?;
            if live.version == V::VERSION {
                return Ok(live);
            }
            tracing::warn!(
                view = V::NAME,
                served = live.version,
                known = V::VERSION,
                "the view is served in another form: waiting for a projector of this version"
            );
            self.mark_broken();
        }
    }

    /// Whether anybody follows.
    fn mark_broken(&self) -> bool {
        let Some(shared) = self.shared.upgrade() else { return false };
        shared.broken_since.write().get_or_insert_with(Instant::now);
        true
    }

    fn show(&mut self, shared: &Shared<V, K>, change: Change<V::Row>) {
        match change {
            Change::Live(_) => {}
            Change::Position(position) => drop(shared.position.send_replace(position)),
            Change::Row(id, row) => {
                let row = row.map(Arc::new);
                let kept = row.as_ref().map(K::of);
                let before = match &kept {
                    Some(kept) => shared.rows.write().insert(id, kept.clone()),
                    None => shared.rows.write().remove(&id),
                };
                // A row may be written again as it was.
                if before == kept {
                    return;
                }
                (self.on_change)(id, row.as_ref());
                shared.changes.send_modify(|changes| *changes += 1);
            }
        }
    }

    /// Puts what was read in place of what was shown.
    fn swap(&mut self, shared: &Shared<V, K>, staged: Staged<V, K>, position: u64) {
        let Staged { rows, changed, .. } = staged;
        let gone: Vec<_> = {
            let mut shown = shared.rows.write();
            let gone = shown.keys().filter(|id| !rows.contains_key(*id)).copied().collect();
            *shown = rows;
            gone
        };
        let mut changes = 0;
        for id in gone {
            (self.on_change)(id, None);
            changes += 1;
        }
        for (id, row) in changed {
            (self.on_change)(id, Some(&row));
            changes += 1;
        }
        if changes > 0 {
            shared.changes.send_modify(|counted| *counted += changes);
        }
        shared.position.send_replace(position);
        *shared.broken_since.write() = None;
        if let Some(loaded) = self.loaded.take() {
            let _ = loaded.send(Ok(()));
        }
    }
}

impl<V: View, K> Default for Staged<V, K> {
    fn default() -> Self {
        Staged { rows: HashMap::new(), changed: HashMap::new(), position: None }
    }
}

impl<V: View, K: Kept<V::Row>> Staged<V, K> {
    fn take(&mut self, shared: &Shared<V, K>, change: Change<V::Row>) {
        match change {
            Change::Live(_) => {}
            Change::Position(position) => self.position = Some(position),
            Change::Row(id, Some(row)) => {
                let row = Arc::new(row);
                let kept = K::of(&row);
                match shared.rows.read().get(&id) == Some(&kept) {
                    true => drop(self.changed.remove(&id)),
                    false => drop(self.changed.insert(id, row)),
                }
                self.rows.insert(id, kept);
            }
            Change::Row(id, None) => {
                self.rows.remove(&id);
                self.changed.remove(&id);
            }
        }
    }
}
