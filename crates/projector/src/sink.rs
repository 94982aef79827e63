//! Carries the rows of one stream into ClickHouse, each exactly once.
//!
//! `store` hands out batches that are cut at the same sequences after a crash, ClickHouse drops an insert whose
//! deduplication token it knows: together they make "at least once" into "once". A message that cannot be read, or
//! that ClickHouse will never take, goes to the dead letters and holds up nothing.

mod progress;

use std::marker::PhantomData;
use std::time::Duration;

use access_log::{
    Client, ContainerLine, Error, HealthSample, MAX_ROWS_PER_INSERT, Placed, TraceRecord, placed,
};
use bytes::Bytes;
use serde::Serialize;
use serde::de::DeserializeOwned;
use service::ReadyFlag;
use store::{Batch, DataStream, Sink, SinkError, Store, Task, Unavailable};

use crate::alone::{Rest, Work};
use crate::retention::Retention;
use progress::Progress;

/// How long to wait before the first repetition; doubled each time.
const RETRY_DELAY_MIN: Duration = Duration::from_millis(200);
/// How long to wait between repetitions at most.
const RETRY_DELAY_MAX: Duration = Duration::from_secs(10);
/// How long a sink that has stopped is left to other projectors, which may be of the version that can read its record.
const STOPPED_DELAY: Duration = Duration::from_secs(30);

/// A row that a stream carries into a table.
pub(crate) trait Row: Placed + Serialize + DeserializeOwned + Send + Sync + 'static {
    const STREAM: DataStream;

    fn insert(
        client: &Client,
        token: &str,
        rows: &[Self],
        retention: &Retention,
    ) -> impl Future<Output = Result<(), Error>> + Send;
}

impl Row for TraceRecord {
    const STREAM: DataStream = DataStream::Traces;

    async fn insert(client: &Client, token: &str, rows: &[Self], retention: &Retention) -> Result<(), Error> {
        client.insert_traces(token, rows, |instance| retention.days(instance).access_log).await
    }
}

impl Row for ContainerLine {
    const STREAM: DataStream = DataStream::Logs;

    async fn insert(client: &Client, token: &str, rows: &[Self], retention: &Retention) -> Result<(), Error> {
        client.insert_lines(token, rows, |instance| retention.days(instance).container_log).await
    }
}

impl Row for HealthSample {
    const STREAM: DataStream = DataStream::Samples;

    async fn insert(client: &Client, token: &str, rows: &[Self], _: &Retention) -> Result<(), Error> {
        client.insert_samples(token, rows).await
    }
}

/// The rows that are carried, and where to. Ready while ClickHouse takes what comes.
pub(crate) struct Carry<R> {
    client: Client,
    row: PhantomData<R>,
}

impl<R: Row> Carry<R> {
    pub(crate) fn new(client: Client) -> Self {
        Carry { client, row: PhantomData }
    }
}

impl<R: Row> Work for Carry<R> {
    fn task(&self) -> Task {
        Task::Sink(R::STREAM)
    }

    async fn run(&self, store: &Store, ready: &ReadyFlag) -> Rest {
        let stream = R::STREAM.name();
        match carry::<R>(store, &self.client, ready).await {
            Ok(()) => Rest::Interrupted(RETRY_DELAY_MIN),
            Err(error @ SinkError::Unreadable { .. }) => {
                tracing::error!(error = &error as &dyn std::error::Error, stream, "sink stopped");
                Rest::Stopped(STOPPED_DELAY)
            }
            Err(error @ (SinkError::Unavailable(_) | SinkError::TakenOver)) => {
                let error = &error as &dyn std::error::Error;
                tracing::warn!(error, stream, "sink interrupted, trying again");
                Rest::Interrupted(RETRY_DELAY_MIN)
            }
        }
    }
}

async fn carry<R: Row>(store: &Store, client: &Client, ready: &ReadyFlag) -> Result<(), SinkError> {
    let retention = Retention::follow(store).await?;
    let mut sink = store.sink(R::STREAM).await?;
    while let Err(error) = client.ping().await {
        tracing::warn!(error = &error as &dyn std::error::Error, "ask ClickHouse again");
        tokio::time::sleep(RETRY_DELAY_MIN).await;
    }
    let progress = Progress::new(R::STREAM, sink.arrived());
    let target = Target { client, ready, retention, progress: &progress };
    tokio::select! {
        ended = carry_on::<R>(store, &mut sink, &target) => ended,
        never = progress.keep_saying(store) => match never {},
    }
}

/// Batch after batch, for ever.
async fn carry_on<R: Row>(store: &Store, sink: &mut Sink, target: &Target<'_>) -> Result<(), SinkError> {
    loop {
        target.ready.set(true);
        let batch = sink.next().await?;
        if batch.lost > 0 {
            tracing::error!(
                stream = R::STREAM.name(),
                messages = batch.lost,
                "the stream dropped messages before they were taken: it is too small for the outage"
            );
        }
        let inserting = async {
            insert_batch::<R>(store, target, &batch).await?;
            target.progress.arrived(&batch);
            Ok::<(), Unavailable>(())
        };
        let read_on = async {
            sink.read_on().await;
            Ok(())
        };
        tokio::try_join!(inserting, read_on)?;
    }
}

/// Where rows go, and what is known on the way.
struct Target<'a> {
    client: &'a Client,
    ready: &'a ReadyFlag,
    retention: Retention,
    progress: &'a Progress,
}

/// Inserts a batch; what ClickHouse will never take of it goes to the dead letters.
async fn insert_batch<R: Row>(store: &Store, target: &Target<'_>, batch: &Batch) -> Result<(), Unavailable> {
    let mut rows = Vec::new();
    for (sequence, message) in &batch.messages {
        match rows_of::<R>(*sequence, message) {
            Ok(decoded) => rows.extend(decoded),
            Err(error) => bury::<R>(store, target, message.clone(), &error).await?,
        }
    }
    for (part, rows) in rows.chunks(MAX_ROWS_PER_INSERT).enumerate() {
        let token = format!("{}#{part}", batch.deduplication_token);
        if let Err(error) = insert_rows(target, &token, rows).await {
            tracing::warn!(
                error = &error as &dyn std::error::Error,
                "rows refused, inserting message by message"
            );
            insert_apart(store, target, &token, rows).await?;
        }
    }
    Ok(())
}

/// Inserts the rows of each message for themselves, and buries those that are refused again.
async fn insert_apart<R: Row>(
    store: &Store,
    target: &Target<'_>,
    token: &str,
    rows: &[R],
) -> Result<(), Unavailable> {
    for rows in rows.chunk_by(|one, next| one.place().sequence == next.place().sequence) {
        let token = format!("{token}/{}", rows[0].place().sequence);
        if let Err(error) = insert_rows(target, &token, rows).await {
            bury::<R>(store, target, store::encode(&rows).into(), &error).await?;
        }
    }
    Ok(())
}

/// The rows of a message, each with its place.
fn rows_of<R: Row>(
    sequence: u64,
    message: &Bytes,
) -> Result<Vec<R>, impl std::error::Error + Send + Sync + 'static> {
    store::decode::<Vec<R>>(message).map(|rows| placed(sequence, rows))
}

/// Inserts rows, waiting out an absent ClickHouse. An error is final.
async fn insert_rows<R: Row>(target: &Target<'_>, token: &str, rows: &[R]) -> Result<(), Error> {
    let Target { client, ready, retention, progress } = target;
    let mut delay = RETRY_DELAY_MIN;
    while let Err(error) = R::insert(client, token, rows, retention).await {
        if !error.is_retryable() {
            return Err(error);
        }
        ready.set(false);
        tracing::warn!(error = &error as &dyn std::error::Error, "insert again");
        tokio::time::sleep(delay).await;
        delay = (delay * 2).min(RETRY_DELAY_MAX);
    }
    ready.set(true);
    progress.inserted(rows.len());
    Ok(())
}

async fn bury<R: Row>(
    store: &Store,
    target: &Target<'_>,
    message: Bytes,
    error: &(dyn std::error::Error + Send + Sync),
) -> Result<(), Unavailable> {
    let reason = error.to_string();
    tracing::error!(stream = R::STREAM.name(), reason, "message goes to the dead letters");
    store.bury_rows(R::STREAM, message, &reason).await?;
    target.progress.buried();
    Ok(())
}
