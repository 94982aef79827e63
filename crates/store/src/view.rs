//! Views followed in memory. How they lie in their buckets is in [`layout`].

mod following;
mod kept;
pub(crate) mod layout;

use std::collections::HashMap;
use std::marker::PhantomData;
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::RwLock;
use tokio::sync::watch;
use uuid::Uuid;
use views::View;

use crate::connection::Store;
use crate::error::{During, Unavailable};
use kept::{Kept, Mark};

/// How long a watch may be broken before its follower does not count as current: a restart of NATS takes less.
const BROKEN_MAX: Duration = Duration::from_secs(5);

/// The view did not reach the sequence in time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("view {view} has reached {position}, {wanted} was awaited")]
pub struct NotReached {
    pub view: &'static str,
    pub position: u64,
    pub wanted: u64,
}

/// A view in memory, kept current. Cheap to clone.
pub struct Follower<V: View, K: Kept<V::Row> = Arc<<V as View>::Row>> {
    shared: Arc<Shared<V, K>>,
}

/// A view that is followed by its changes alone: it is for those who make something else of the rows, and does not hold
/// them a second time.
pub type Changes<V> = Follower<V, Mark>;

struct Shared<V: View, K> {
    rows: RwLock<HashMap<Uuid, K>>,
    position: watch::Sender<u64>,
    changes: watch::Sender<u64>,
    /// Since when the watch has been broken; none while it is not.
    broken_since: RwLock<Option<Instant>>,
    task: RwLock<Option<tokio::task::AbortHandle>>,
    view: PhantomData<V>,
}

impl<V: View, K: Kept<V::Row>> Clone for Follower<V, K> {
    fn clone(&self) -> Self {
        Follower { shared: self.shared.clone() }
    }
}

impl<V: View, K> Drop for Shared<V, K> {
    fn drop(&mut self) {
        if let Some(task) = self.task.get_mut().take() {
            task.abort();
        }
    }
}

impl Store {
    /// Follows a view: returns when what is there has been read, and keeps it current from then on. While there are
    /// events but nothing is served in the form that this program reads, it waits for a projector to serve it: rows
    /// that are only half there would be taken for all of them.
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
        self.follow_and_keep(on_change).await
    }

    /// The same for whoever needs the changes alone.
    ///
    /// # Errors
    /// As [`Store::follow`].
    pub async fn follow_changes<V: View>(
        &self,
        on_change: impl FnMut(Uuid, Option<&Arc<V::Row>>) + Send + 'static,
    ) -> Result<Changes<V>, Unavailable> {
        self.follow_and_keep(on_change).await
    }

    async fn follow_and_keep<V: View, K: Kept<V::Row>>(
        &self,
        on_change: impl FnMut(Uuid, Option<&Arc<V::Row>>) + Send + 'static,
    ) -> Result<Follower<V, K>, Unavailable> {
        let bucket = self.view_bucket(V::NAME).await?;
        let shared = Arc::new(Shared {
            rows: RwLock::default(),
            position: watch::Sender::new(0),
            changes: watch::Sender::new(0),
            broken_since: RwLock::default(),
            task: RwLock::default(),
            view: PhantomData,
        });
        let (follower, reconnects) = (Follower { shared: shared.clone() }, self.link.reconnects());
        let (loaded, is_loaded) = tokio::sync::oneshot::channel();
        let following = following::Following::new(self.clone(), bucket, &shared, on_change, loaded);
        let task = tokio::spawn(following.run(reconnects));
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
}

impl<V: View, K: Kept<V::Row>> Follower<V, K> {
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
