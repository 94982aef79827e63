//! What every probe saw, on its way to ClickHouse: in batches, bounded, and never waited for.

use std::time::Duration;

use access_log::{HealthSample, Place};
use bytes::Bytes;
use domain::InstanceId;
use domain::instance::Dimension;
use jiff::Timestamp;
use store::{DataStream, Store};
use tokio::sync::mpsc;
use tokio::time::{sleep, timeout};
use uuid::Uuid;

use super::ask::Asked;

/// How many samples wait at most while NATS is away: half a minute of ten thousand instances. Later ones are dropped and
/// counted, since a sample of then is worth less than memory.
const QUEUE_MAX: usize = 10_000;
/// The most samples in one message.
const BATCH_MAX: usize = 512;
/// How long the first sample of a batch waits for others.
const BATCH_DELAY: Duration = Duration::from_millis(500);
/// The pause after a batch could not be published.
const RETRY_PAUSE: Duration = Duration::from_secs(1);

/// Where samples go.
#[derive(Clone)]
pub(crate) struct Samples(mpsc::Sender<HealthSample>);

impl Samples {
    /// Opens the way; it is open as long as somebody holds this.
    pub(crate) fn open(store: Store) -> Samples {
        let (sender, receiver) = mpsc::channel(QUEUE_MAX);
        tokio::spawn(pump(store, receiver));
        Samples(sender)
    }

    pub(crate) fn push(&self, instance: InstanceId, asked: &Asked) {
        if self.0.try_send(sample(instance, asked)).is_err() {
            tracing::warn!(%instance, "a sample is dropped: NATS takes none");
        }
    }
}

fn sample(instance: InstanceId, asked: &Asked) -> HealthSample {
    let health = &asked.health;
    let problem = health.problem.as_ref();
    HealthSample {
        place: Place::default(),
        time: Timestamp::now(),
        instance_id: instance.0,
        status: health.status.as_str().to_owned(),
        container: word(health.container).to_owned(),
        service: word(health.service).to_owned(),
        mcp: word(health.mcp).to_owned(),
        problem: problem.map(|problem| problem.class.as_str()).unwrap_or_default().to_owned(),
        detail: problem.map(|problem| problem.detail.clone()).unwrap_or_default(),
        asked: u16::try_from(asked.asked).unwrap_or(u16::MAX),
        answered: u16::try_from(asked.answered).unwrap_or(u16::MAX),
        took_ns: u64::try_from(asked.took.as_nanos()).unwrap_or(u64::MAX),
    }
}

fn word(dimension: Dimension) -> &'static str {
    match dimension {
        Dimension::Ready => "ready",
        Dimension::NotReady => "not_ready",
        Dimension::Unknown => "unknown",
        Dimension::NotApplicable => "not_applicable",
    }
}

async fn pump(store: Store, mut samples: mpsc::Receiver<HealthSample>) {
    let source = Uuid::now_v7().simple().to_string();
    let (mut number, mut batch) = (0_u64, vec![]);
    while samples.recv_many(&mut batch, BATCH_MAX).await > 0 {
        // Running out of time is the ordinary way for a batch to become complete.
        let _ = timeout(BATCH_DELAY, async {
            while batch.len() < BATCH_MAX && samples.recv_many(&mut batch, BATCH_MAX).await > 0 {}
        })
        .await;
        let rows = Bytes::from(store::encode(&batch));
        let id = format!("{source}:{number}");
        while let Err(error) = store.publish(DataStream::Samples, &source, &id, rows.clone()).await {
            tracing::warn!(error = &error as &dyn std::error::Error, "publish samples; trying again");
            sleep(RETRY_PAUSE).await;
        }
        number += 1;
        batch.clear();
    }
}
