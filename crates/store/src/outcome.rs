//! What became of a command: recorded by the decider for a day, awaited by whoever sent it.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use async_nats::jetstream::kv;
use domain::{CommandId, Refusal};
use futures_util::StreamExt;
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use tokio::sync::oneshot;

use crate::codec;
use crate::connection::Reconnects;
use crate::error::{self, During, Unavailable};

/// How long to wait before a broken watch is made anew.
const RETRY_DELAY: Duration = Duration::from_millis(200);

/// What became of a command.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "outcome", rename_all = "snake_case")]
pub enum Outcome {
    /// It has taken effect, or was true already. A view that has reached `sequence` shows it.
    Done { sequence: u64 },
    /// It contradicts the state of things.
    Refused { refusal: Refusal },
    /// The log of the aggregate it is for cannot be read. A person has to look.
    Failed { reason: String },
}

pub(crate) async fn read(bucket: &kv::Store, id: CommandId) -> Result<Option<Outcome>, Unavailable> {
    const OPERATION: &str = "read an outcome";
    match bucket.get(id.to_string()).await.during(OPERATION)? {
        Some(bytes) => codec::decode(&bytes).during(OPERATION).map(Some),
        None => Ok(None),
    }
}

pub(crate) async fn write(bucket: &kv::Store, id: CommandId, outcome: &Outcome) -> Result<(), Unavailable> {
    bucket.put(id.to_string(), codec::encode(outcome).into()).await.during("record an outcome").map(drop)
}

type Waiting = HashMap<CommandId, Vec<oneshot::Sender<Outcome>>>;

/// Hands outcomes to those who wait for them. One watch serves all waiters of a process.
#[derive(Debug)]
pub(crate) struct OutcomeWatch {
    waiting: Arc<Mutex<Waiting>>,
    task: tokio::task::JoinHandle<()>,
}

impl OutcomeWatch {
    /// Watches from now on.
    pub(crate) async fn start(bucket: kv::Store, reconnects: Reconnects) -> Result<Self, Unavailable> {
        let waiting = Arc::<Mutex<Waiting>>::default();
        let watch = bucket.watch_all().await.during("watch outcomes")?;
        let task = tokio::spawn(run(bucket, watch, waiting.clone(), reconnects));
        Ok(OutcomeWatch { waiting, task })
    }

    /// Waits for an outcome that is recorded after this call.
    pub(crate) fn register(&self, id: CommandId) -> Waiter {
        let (sender, receiver) = oneshot::channel();
        self.waiting.lock().entry(id).or_default().push(sender);
        Waiter { id, receiver, waiting: self.waiting.clone() }
    }
}

/// Somebody who waits for an outcome. Dropping it leaves nothing behind.
#[derive(Debug)]
pub(crate) struct Waiter {
    id: CommandId,
    receiver: oneshot::Receiver<Outcome>,
    waiting: Arc<Mutex<Waiting>>,
}

impl Waiter {
    /// The outcome, if it is recorded within `wait`.
    pub(crate) async fn outcome(mut self, wait: Duration) -> Option<Outcome> {
        tokio::time::timeout(wait, &mut self.receiver).await.ok()?.ok()
    }
}

impl Drop for Waiter {
    fn drop(&mut self) {
        self.receiver.close();
        let mut waiting = self.waiting.lock();
        if let Some(senders) = waiting.get_mut(&self.id) {
            senders.retain(|sender| !sender.is_closed());
            if senders.is_empty() {
                waiting.remove(&self.id);
            }
        }
    }
}

impl Drop for OutcomeWatch {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn run(
    bucket: kv::Store,
    mut watch: kv::Watch,
    waiting: Arc<Mutex<Waiting>>,
    mut reconnects: Reconnects,
) {
    loop {
        let error = loop {
            match next(&mut watch, &mut reconnects).await {
                Ok(entry) => deliver(&waiting, &entry),
                Err(error) => break error,
            }
        };
        tracing::warn!(error = &error as &dyn std::error::Error, "watch of outcomes broke, watching again");
        watch = loop {
            tokio::time::sleep(RETRY_DELAY).await;
            if let Ok(watch) = bucket.watch_all().await {
                break watch;
            }
        };
        recheck(&bucket, &waiting).await;
    }
}

async fn next(watch: &mut kv::Watch, reconnects: &mut Reconnects) -> Result<kv::Entry, Unavailable> {
    const OPERATION: &str = "watch outcomes";
    let next = async { error::given(watch.next().await, OPERATION) };
    reconnects.unless_reconnected(OPERATION, next).await
}

fn deliver(waiting: &Mutex<Waiting>, entry: &kv::Entry) {
    let Ok(id) = entry.key.parse::<CommandId>() else { return };
    let Ok(outcome) = codec::decode(&entry.value) else { return };
    answer(waiting, id, &outcome);
}

/// Looks up what was recorded while nobody watched.
async fn recheck(bucket: &kv::Store, waiting: &Mutex<Waiting>) {
    let ids: Vec<CommandId> = waiting.lock().keys().copied().collect();
    for id in ids {
        if let Ok(Some(outcome)) = read(bucket, id).await {
            answer(waiting, id, &outcome);
        }
    }
}

fn answer(waiting: &Mutex<Waiting>, id: CommandId, outcome: &Outcome) {
    for sender in waiting.lock().remove(&id).into_iter().flatten() {
        // A waiter that has given up in the meantime is no loss: the record stays.
        let _ = sender.send(outcome.clone());
    }
}
