//! What every handler is given.

use std::sync::Arc;

use service::{CancellationToken, Readiness};
use store::Store;
use tokio::sync::{Mutex, Semaphore};

use crate::config::Config;
use crate::directory::Directory;
use crate::follow::Live;

/// The state of one api replica. Cheap to clone.
#[derive(Clone)]
pub(crate) struct App {
    pub(crate) config: Arc<Config>,
    pub(crate) store: Store,
    pub(crate) access_log: ::access_log::Client,
    pub(crate) directory: Arc<Directory>,
    /// Log rows as they come.
    pub(crate) live: Arc<Live>,
    pub(crate) readiness: Readiness,
    pub(crate) shutdown: CancellationToken,
    /// One permit for each event stream that may be open.
    pub(crate) tails: Arc<Semaphore>,
    /// One permit for each export that may be under way.
    pub(crate) downloads: Arc<Semaphore>,
    /// Held while events are imported.
    pub(crate) imports: Arc<Mutex<()>>,
    /// Held while a document is read, which takes memory.
    pub(crate) documents: Arc<Mutex<()>>,
}
