//! Log rows as they come: one reader of each stream for all followers of this api, while there are any.

use std::sync::Arc;

use ::access_log::{ContainerLine, TraceRecord};
use store::{Store, Unavailable};
use tokio::sync::{Mutex, broadcast};

use super::Row;
use super::piece::read;

/// How many messages wait for a follower; what it has not taken then, it reads from the stream by itself.
const MESSAGES_MAX: usize = 64;

/// What is shared by all followers.
pub(crate) struct Live {
    pub(super) traces: Hub<TraceRecord>,
    pub(super) lines: Hub<ContainerLine>,
}

impl Live {
    pub(crate) fn new(store: &Store) -> Self {
        Live { traces: Hub::new(store.clone()), lines: Hub::new(store.clone()) }
    }
}

/// A message of a stream, read once for all.
pub(super) struct Message<R> {
    pub(super) sequence: u64,
    pub(super) rows: Arc<[R]>,
}

/// Where the reader puts messages, while it runs.
type Sender<R> = Arc<Mutex<Option<broadcast::Sender<Arc<Message<R>>>>>>;

/// The reader of one stream.
pub(crate) struct Hub<R> {
    store: Store,
    messages: Sender<R>,
}

impl<R: Row> Hub<R> {
    fn new(store: Store) -> Self {
        Hub { store, messages: Arc::default() }
    }

    /// Everything that is published from now on.
    ///
    /// # Errors
    /// NATS does not answer.
    pub(super) async fn subscribe(&self) -> Result<broadcast::Receiver<Arc<Message<R>>>, Unavailable> {
        let mut messages = self.messages.lock().await;
        if let Some(messages) = messages.as_ref() {
            return Ok(messages.subscribe());
        }
        let from = self.store.data_extent(R::STREAM).await?.last_sequence + 1;
        let (sender, receiver) = broadcast::channel(MESSAGES_MAX);
        *messages = Some(sender);
        tokio::spawn(read_for_all(self.store.clone(), from, self.messages.clone()));
        Ok(receiver)
    }
}

/// Reads until nobody listens any more, which shows with the next message.
async fn read_for_all<R: Row>(store: Store, from: u64, messages: Sender<R>) {
    let mut reader = store.follow_data(R::STREAM, from);
    loop {
        let message = reader.next().await;
        let rows = read(&message).into();
        let mut messages = messages.lock().await;
        let message = Arc::new(Message { sequence: message.sequence, rows });
        // Nobody can subscribe between the two: whoever does so finds no reader and starts one.
        if messages.as_ref().is_none_or(|messages| messages.send(message).is_err()) {
            *messages = None;
            return;
        }
    }
}
