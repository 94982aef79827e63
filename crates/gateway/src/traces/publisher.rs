//! The task that brings trace events to NATS: collects them into batches, keeps several batches in flight, and lets
//! what NATS does not take wait in the spool.
//!
//! Each turn takes one batch from the queue, and none while as many are in flight as may be: what comes faster than
//! NATS takes it waits in the queue, which has bounds and counts what they drop. Records are made on a blocking thread,
//! one batch after the other.
//!
//! After a failure, batches go to the spool right away until NATS has taken something again; only those that a call
//! waits for are tried all the same. The spool is replayed segment by segment, beside what is new: rows have their time,
//! and nobody depends on the order in which they arrive. `run` ends when it is told to finish and everything is with
//! NATS or on disk.

mod figures;
mod replay;

use std::collections::HashMap;
use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use futures_util::stream::FuturesUnordered;
use futures_util::{FutureExt, StreamExt};
use service::CancellationToken;
use store::{DataStream, SAY_INTERVAL, Store, Unavailable};
use tokio::sync::Notify;
use tokio::task::JoinHandle;
use tokio::time::Instant;
use uuid::Uuid;

use super::batch::{self, Batch};
use super::spool::Spool;
use super::{Acknowledge, Entries, Entry, Losses, Recorder};
use replay::Replay;

/// How long a trace event waits for others to travel with.
const BATCH_WAIT: Duration = Duration::from_millis(50);
/// How many batches may be on their way at a time. What comes when NATS is slower than that waits in the queue.
const IN_FLIGHT_MAX: usize = 16;
/// How often losses are put into the log.
const REPORT_INTERVAL: Duration = Duration::from_secs(10);
/// How long batches in flight are waited for at the end before they go to the spool.
const FINISH_WAIT_MAX: Duration = Duration::from_secs(2);

/// The task's state.
pub(crate) struct Publisher {
    store: Store,
    gateway_id: Arc<str>,
    recorder: Arc<Recorder>,
    entries: Entries,
    losses: Arc<Losses>,
    spool: Spool,
    /// Whether NATS has failed the last time that it was asked.
    is_away: bool,
    /// Whether the spool has not taken the last batch: why is logged once, not for every batch.
    refused: bool,
    /// The records that are being made.
    making: Option<JoinHandle<Vec<Batch>>>,
    in_flight: HashMap<Uuid, Batch>,
    publishing: FuturesUnordered<Publishing>,
    replay: Replay,
    /// Of what the stream has acknowledged.
    rows: u64,
    batches: u64,
}

type Publishing = BoxFuture<'static, (Uuid, Result<(), Unavailable>)>;

/// When the next batch is taken from the queue.
enum Next {
    /// When something comes.
    Idle,
    /// When this event has waited for others to travel with. The queue is left alone meanwhile, so that handing in an
    /// event does not wake the task for each of them.
    At(Instant, Box<Entry>),
    /// At once: the last batch was full, so that more may lie there.
    Now,
}

impl Publisher {
    pub(crate) fn new(
        store: Store,
        recorder: Recorder,
        entries: Entries,
        losses: Arc<Losses>,
        spool: Spool,
    ) -> Self {
        Self {
            store,
            gateway_id: recorder.gateway_id.as_str().into(),
            recorder: Arc::new(recorder),
            entries,
            losses,
            spool,
            is_away: false,
            refused: false,
            making: None,
            in_flight: HashMap::new(),
            publishing: FuturesUnordered::new(),
            replay: Replay::now(),
            rows: 0,
            batches: 0,
        }
    }

    /// Publishes until `finish`, then brings everything that is left to NATS or to the disk.
    pub(crate) async fn run(mut self, finish: CancellationToken) {
        let mut report = tokio::time::interval(REPORT_INTERVAL);
        let mut say = tokio::time::interval(SAY_INTERVAL);
        let mut next = Next::Idle;
        let hurry = self.entries.hurry.clone();
        loop {
            let is_free = self.making.is_none() && (self.in_flight.len() < IN_FLIGHT_MAX || self.spools());
            tokio::select! {
                biased;
                () = finish.cancelled() => break,
                Some((id, result)) = self.publishing.next(), if !self.publishing.is_empty() => {
                    self.settle(id, result).await;
                }
                batches = made(&mut self.making) => {
                    for batch in batches {
                        self.dispatch(batch).await;
                    }
                }
                step = self.replay.step(), if !self.spool.is_empty() => self.replayed(step).await,
                () = due(&next, &hurry), if is_free => next = self.collect(next),
                entry = self.entries.next(), if is_free && matches!(next, Next::Idle) => match entry {
                    Some(entry) if entry.acknowledge.is_some() => {
                        next = self.collect(Next::At(Instant::now(), entry.into()));
                    }
                    Some(entry) => next = Next::At(Instant::now() + BATCH_WAIT, entry.into()),
                    None => break,
                },
                _ = report.tick() => self.report(),
                _ = say.tick() => self.say(),
            }
        }
        self.finish(next).await;
    }

    /// Has the records of the next batch made, if there are any; says when the one after it is due.
    fn collect(&mut self, next: Next) -> Next {
        let first = match next {
            Next::At(_, entry) => Some(*entry),
            Next::Idle | Next::Now => None,
        };
        let count_max = usize::from(batch::RECORDS_MAX);
        let entries = self.entries.take(first, count_max);
        let after = if entries.len() == count_max { Next::Now } else { Next::Idle };
        if !entries.is_empty() {
            let recorder = self.recorder.clone();
            self.making = Some(tokio::task::spawn_blocking(move || batch::batches(&recorder, entries)));
        }
        after
    }

    /// Whether batches go to the spool right away.
    fn spools(&self) -> bool {
        // An empty spool is not replayed, so that only another batch can find out whether NATS is back.
        self.is_away && !self.spool.is_empty()
    }

    /// Sends a batch, or puts it aside while NATS is away: only what a call waits for is tried then, as far as there is
    /// room.
    async fn dispatch(&mut self, batch: Batch) {
        let is_tried = !batch.awaited.is_empty() && self.in_flight.len() < IN_FLIGHT_MAX;
        if self.spools() && !is_tried {
            return self.put_aside(batch).await;
        }
        let id = batch.id;
        let publish = publish(self.store.clone(), self.gateway_id.clone(), id, batch.records.clone());
        self.in_flight.insert(id, batch);
        self.publishing.push(publish.map(move |result| (id, result)).boxed());
    }

    async fn settle(&mut self, id: Uuid, result: Result<(), Unavailable>) {
        let Some(batch) = self.in_flight.remove(&id) else { return };
        self.is_away = result.is_err();
        match result {
            Ok(()) => {
                self.arrived(&batch);
                batch.awaited.into_iter().for_each(Acknowledge::acknowledge);
            }
            Err(error) => {
                tracing::warn!(error = &error as &dyn Error, "publish trace events, spooling them");
                self.put_aside(batch).await;
            }
        }
    }

    async fn put_aside(&mut self, batch: Batch) {
        let appended = self.spool.append(batch.id, &batch.records).await;
        let refused_before = std::mem::replace(&mut self.refused, appended.is_err());
        let Err(error) = appended else { return };
        if !refused_before {
            tracing::error!(error = &error as &dyn Error, "spool trace events, dropping them");
        }
        for (instance, records) in batch.by_instance {
            self.losses.add(instance, records);
        }
    }

    /// Waits for the next batch in flight; says whether there was one in time.
    async fn settle_next(&mut self, deadline: Instant) -> bool {
        let Ok(Some((id, result))) = tokio::time::timeout_at(deadline, self.publishing.next()).await else {
            return false;
        };
        self.settle(id, result).await;
        true
    }

    /// Sends what is left and waits for it, and puts onto the disk what does not arrive.
    async fn finish(mut self, mut next: Next) {
        self.entries.close();
        let deadline = Instant::now() + FINISH_WAIT_MAX;
        loop {
            if self.making.is_none() {
                next = self.collect(next);
            }
            if self.making.is_none() {
                break;
            }
            for batch in made(&mut self.making).await {
                while self.in_flight.len() >= IN_FLIGHT_MAX && self.settle_next(deadline).await {}
                match self.in_flight.len() {
                    IN_FLIGHT_MAX.. => self.put_aside(batch).await,
                    _ => self.dispatch(batch).await,
                }
            }
        }
        while self.settle_next(deadline).await {}
        for batch in std::mem::take(&mut self.in_flight).into_values() {
            self.put_aside(batch).await;
        }
        if let Err(error) = self.spool.close().await {
            tracing::error!(%error, "close the spool");
        }
        self.report();
        let bytes = self.spool.bytes();
        if bytes > 0 {
            tracing::info!(bytes, "trace events wait in the spool for the next start");
        }
    }
}

/// Waits until the next batch is due, or somebody waits for an event of it.
async fn due(next: &Next, hurry: &Notify) {
    match next {
        Next::Idle => std::future::pending().await,
        Next::At(time, _) => tokio::select! {
            () = tokio::time::sleep_until(*time) => {}
            () = hurry.notified() => {}
        },
        Next::Now => {}
    }
}

/// Waits for the records that are being made.
async fn made(making: &mut Option<JoinHandle<Vec<Batch>>>) -> Vec<Batch> {
    let Some(running) = making else { return std::future::pending().await };
    let result = running.await;
    *making = None;
    // A defect that ends this task ends the gateway: no call goes without its rows.
    result.unwrap_or_else(|error| std::panic::resume_unwind(error.into_panic()))
}

async fn publish(
    store: Store,
    gateway_id: Arc<str>,
    id: Uuid,
    records: bytes::Bytes,
) -> Result<(), Unavailable> {
    store.publish(DataStream::Traces, &gateway_id, &id.simple().to_string(), records).await
}

#[cfg(test)]
mod tests;
