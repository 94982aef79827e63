//! The task that brings trace events to NATS: collects them into batches, keeps several batches in flight, and lets
//! what NATS does not take wait in the spool.
//!
//! While something lies in the spool, everything new goes behind it, so that events keep their order, and the spool
//! is replayed segment by segment. `run` ends when it is told to finish and everything is with NATS or on disk.

use std::collections::HashMap;
use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use futures_util::stream::FuturesUnordered;
use futures_util::{FutureExt, StreamExt, TryStreamExt, stream};
use jiff::Timestamp;
use metrics::{counter, gauge, histogram};
use service::CancellationToken;
use store::{DataStream, GatewayReport, SAY_INTERVAL, Store, Unavailable};
use tokio::time::Instant;
use uuid::Uuid;

use super::batch::{Batch, Gathering};
use super::spool::{Frame, Spool};
use super::{Acknowledge, Entries, Entry, Losses, Recorder};

/// How long a trace event waits for others to travel with.
const BATCH_WAIT: Duration = Duration::from_millis(50);
/// How many batches may be on their way at a time. What comes when NATS is slower than that goes to the spool.
const IN_FLIGHT_MAX: usize = 16;
/// How long after a failure the spool is tried again; doubled with each further one.
const RETRY_DELAY_FIRST: Duration = Duration::from_millis(100);
const RETRY_DELAY_MAX: Duration = Duration::from_secs(5);
/// How often losses are put into the log.
const REPORT_INTERVAL: Duration = Duration::from_secs(10);
/// How long batches in flight are waited for at the end before they go to the spool.
const FINISH_WAIT_MAX: Duration = Duration::from_secs(2);

/// The task's state.
pub(crate) struct Publisher {
    store: Store,
    gateway_id: Arc<str>,
    recorder: Recorder,
    entries: Entries,
    losses: Arc<Losses>,
    spool: Spool,
    /// Whether the spool has not taken the last batch: why is logged once, not for every batch.
    refused: bool,
    in_flight: HashMap<Uuid, Batch>,
    publishing: FuturesUnordered<Publishing>,
    replay: Replay,
    /// Of what the stream has acknowledged.
    rows: u64,
    batches: u64,
}

type Publishing = BoxFuture<'static, (Uuid, Result<(), Unavailable>)>;

/// What happens with the oldest segment of the spool.
enum Replay {
    /// Nothing yet: it will be tried at this time.
    At(Instant, Duration),
    Running(BoxFuture<'static, Result<(), Unavailable>>, Duration),
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
            recorder,
            entries,
            losses,
            spool,
            refused: false,
            in_flight: HashMap::new(),
            publishing: FuturesUnordered::new(),
            replay: Replay::At(Instant::now(), RETRY_DELAY_FIRST),
            rows: 0,
            batches: 0,
        }
    }

    /// Publishes until `finish`, then brings everything that is left to NATS or to the disk.
    pub(crate) async fn run(mut self, finish: CancellationToken) {
        let mut report = tokio::time::interval(REPORT_INTERVAL);
        let mut say = tokio::time::interval(SAY_INTERVAL);
        // Set while events wait for others to travel with. The queue is left alone meanwhile, so that handing in an
        // event does not wake this task for each of them.
        let mut batch_due: Option<(Instant, Entry)> = None;
        let hurry = self.entries.hurry.clone();
        loop {
            let due = batch_due.as_ref().map(|(due, _)| *due);
            tokio::select! {
                biased;
                () = finish.cancelled() => break,
                Some((id, result)) = self.publishing.next(), if !self.publishing.is_empty() => {
                    self.settle(id, result).await;
                }
                result = step(&mut self.replay), if !self.spool.is_empty() => self.replayed(result).await,
                () = tokio::time::sleep_until(due.unwrap_or_else(Instant::now)), if due.is_some() => {
                    self.collect(batch_due.take().map(|(_, entry)| entry)).await;
                }
                () = hurry.notified(), if due.is_some() => {
                    self.collect(batch_due.take().map(|(_, entry)| entry)).await;
                }
                entry = self.entries.next(), if due.is_none() => match entry {
                    Some(entry) if entry.acknowledge.is_some() => self.collect(Some(entry)).await,
                    Some(entry) => batch_due = Some((Instant::now() + BATCH_WAIT, entry)),
                    None => break,
                },
                _ = report.tick() => self.report(),
                _ = say.tick() => self.say(),
            }
        }
        self.entries.close();
        self.collect(batch_due.take().map(|(_, entry)| entry)).await;
        self.finish().await;
    }

    /// Sends everything that lies in the queue, behind `first`.
    async fn collect(&mut self, first: Option<Entry>) {
        let mut gathering = Gathering::default();
        let mut next = first;
        while let Some(entry) = next.take().or_else(|| self.entries.try_next()) {
            let (record, awaited) = self.recorder.record(entry);
            gathering.add(&record, awaited);
            if gathering.is_full() {
                self.dispatch(std::mem::take(&mut gathering).into_batch()).await;
                // Making records takes a processor, which requests wait for too.
                tokio::task::yield_now().await;
            }
        }
        if !gathering.is_empty() {
            self.dispatch(gathering.into_batch()).await;
        }
    }

    async fn dispatch(&mut self, batch: Batch) {
        if !self.spool.is_empty() || self.in_flight.len() >= IN_FLIGHT_MAX {
            return self.put_aside(batch).await;
        }
        let id = batch.id;
        let publish = publish(self.store.clone(), self.gateway_id.clone(), id, batch.records.clone());
        self.in_flight.insert(id, batch);
        self.publishing.push(publish.map(move |result| (id, result)).boxed());
    }

    async fn settle(&mut self, id: Uuid, result: Result<(), Unavailable>) {
        let Some(batch) = self.in_flight.remove(&id) else { return };
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

    /// Goes on with the spool after a step of its replay.
    async fn replayed(&mut self, step: Step) {
        let delay = match step {
            Step::Due(delay) => return self.start_replay(delay).await,
            Step::Published => match self.spool.remove_oldest().await {
                Ok(()) => {
                    self.replay = Replay::At(Instant::now(), RETRY_DELAY_FIRST);
                    return;
                }
                Err(error) => {
                    tracing::error!(%error, "remove a segment of the spool");
                    RETRY_DELAY_MAX
                }
            },
            Step::Failed(error, delay) => {
                let bytes = self.spool.bytes();
                tracing::warn!(error = &error as &dyn Error, bytes, "replay the spool, trying again");
                delay
            }
        };
        self.replay = Replay::At(Instant::now() + delay, (delay * 2).min(RETRY_DELAY_MAX));
    }

    async fn start_replay(&mut self, delay: Duration) {
        self.replay = match self.spool.oldest().await {
            Ok(frames) => {
                Replay::Running(replay(self.store.clone(), self.gateway_id.clone(), frames).boxed(), delay)
            }
            Err(error) => {
                tracing::error!(%error, "read a segment of the spool, trying again");
                Replay::At(Instant::now() + RETRY_DELAY_MAX, RETRY_DELAY_MAX)
            }
        };
    }

    fn arrived(&mut self, batch: &Batch) {
        let rows = batch.by_instance.values().sum();
        self.rows += rows;
        self.batches += 1;
        counter!("mcpcan_trace_rows_total").increment(rows);
        counter!("mcpcan_trace_batches_total").increment(1);
        histogram!("mcpcan_trace_batch_rows").record(rows as f64);
    }

    /// Tells whoever asks for the platform's status what only this gateway knows. Nothing waits for it.
    fn say(&self) {
        let (spool_bytes, dropped) = (self.spool.bytes(), self.losses.by_instance());
        gauge!("mcpcan_trace_spool_bytes").set(spool_bytes as f64);
        for (instance, rows) in &dropped {
            counter!("mcpcan_trace_dropped_total", "instance" => instance.to_string()).absolute(*rows);
        }
        let at = Timestamp::now();
        let report = GatewayReport { rows: self.rows, batches: self.batches, spool_bytes, dropped, at };
        let (store, id) = (self.store.clone(), self.gateway_id.clone());
        tokio::spawn(async move { store.say_gateway(&id, &report).await });
    }

    fn report(&self) {
        for (instance, records) in self.losses.take_unreported() {
            tracing::error!(%instance, records, "trace events were dropped: neither memory nor spool took them");
        }
    }

    /// Waits for what is in flight, and puts onto the disk what does not arrive.
    async fn finish(mut self) {
        let deadline = Instant::now() + FINISH_WAIT_MAX;
        while let Ok(Some((id, result))) = tokio::time::timeout_at(deadline, self.publishing.next()).await {
            self.settle(id, result).await;
        }
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

enum Step {
    /// It is time to try; with the delay after a failure.
    Due(Duration),
    Published,
    Failed(Unavailable, Duration),
}

/// Waits for the next step of a replay.
async fn step(replay: &mut Replay) -> Step {
    match replay {
        Replay::At(time, delay) => {
            tokio::time::sleep_until(*time).await;
            Step::Due(*delay)
        }
        Replay::Running(running, delay) => match running.await {
            Ok(()) => Step::Published,
            Err(error) => Step::Failed(error, *delay),
        },
    }
}

/// Publishes the batches of a segment. After a failure the whole segment is sent again: JetStream recognises the
/// ids of those that arrived within its window of duplicates. Those that arrived before that come twice.
async fn replay(store: Store, gateway_id: Arc<str>, frames: Vec<Frame>) -> Result<(), Unavailable> {
    // What is published without a connection piles up in the client's memory: wait until there is one.
    store.flush().await?;
    stream::iter(frames)
        .map(|Frame { id, records }| publish(store.clone(), gateway_id.clone(), id, records))
        .buffered(IN_FLIGHT_MAX)
        .try_collect()
        .await
}

async fn publish(
    store: Store,
    gateway_id: Arc<str>,
    id: Uuid,
    records: bytes::Bytes,
) -> Result<(), Unavailable> {
    store.publish(DataStream::Traces, &gateway_id, &id.simple().to_string(), records).await
}
