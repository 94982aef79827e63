//! The peers: what NATS itself does, through its own client and nothing of ours.

use std::time::{Duration, Instant};

use async_nats::HeaderMap;
use async_nats::jetstream::{self, stream};
use bytes::Bytes;
use futures_util::StreamExt;
use store::testing::TestServer;
use uuid::Uuid;

/// What many at a time have done for a while.
pub(crate) struct Work {
    pub(crate) per_second: f64,
    /// In milliseconds.
    pub(crate) latencies: Vec<f64>,
}

impl Work {
    #[expect(clippy::cast_precision_loss, reason = "a count of operations")]
    pub(crate) fn new(latencies: Vec<f64>, took: Duration) -> Self {
        Work { per_second: latencies.len() as f64 / took.as_secs_f64(), latencies }
    }
}

pub(crate) fn milliseconds(since: Instant) -> f64 {
    since.elapsed().as_secs_f64() * 1000.0
}

/// The stream that is published to, a copy of EVENTS under another name.
const RAW: &str = "BENCH_RAW";

/// A connection without any layer of ours.
pub(crate) struct Raw {
    jetstream: jetstream::Context,
    /// Where this round's subjects begin, so that each of them is new.
    round: u64,
}

impl Raw {
    pub(crate) async fn connect(server: &TestServer) -> Self {
        let jetstream = jetstream::new(server.nats().await);
        let mut config = events_config(&jetstream).await;
        (config.name, config.subjects) = (RAW.to_owned(), vec!["raw.>".to_owned()]);
        config.deny_delete = false;
        config.deny_purge = false;
        jetstream.create_stream(config).await.expect("make a stream");
        Raw { jetstream, round: 0 }
    }

    /// Publishes with acknowledgement, expected sequence and message id, each writer to a subject of its own.
    pub(crate) async fn publish(&mut self, in_flight: usize, payload: usize, took: Duration) -> Work {
        self.round += 1;
        let started = Instant::now();
        let writers = (0..in_flight).map(|writer| {
            let (jetstream, subject) = (self.jetstream.clone(), format!("raw.{}.{writer}", self.round));
            tokio::spawn(publish_until(jetstream, subject, payload, started + took))
        });
        let latencies = futures_util::future::join_all(writers).await;
        let latencies =
            latencies.into_iter().flat_map(|latencies| latencies.expect("a writer ends")).collect();
        Work::new(latencies, started.elapsed())
    }

    /// Reads all of EVENTS with an ordered consumer, and does nothing with it. Gives messages per second.
    #[expect(clippy::cast_precision_loss, reason = "a count of messages")]
    pub(crate) async fn consume_events(&self, subject: &str) -> f64 {
        let events = self.jetstream.get_stream("EVENTS").await.expect("open EVENTS");
        let started = Instant::now();
        let config = jetstream::consumer::pull::OrderedConfig {
            filter_subject: subject.to_owned(),
            ..Default::default()
        };
        let consumer = events.create_consumer(config).await.expect("make a consumer");
        let mut messages = consumer.messages().await.expect("read from the consumer");
        let mut count: u64 = 0;
        while let Some(message) = messages.next().await {
            count += 1;
            if message.expect("a message").info().expect("its place").pending == 0 {
                break;
            }
        }
        count as f64 / started.elapsed().as_secs_f64()
    }
}

async fn events_config(jetstream: &jetstream::Context) -> stream::Config {
    let events = jetstream.get_stream("EVENTS").await.expect("open EVENTS");
    events.cached_info().config.clone()
}

async fn publish_until(
    jetstream: jetstream::Context,
    subject: String,
    payload: usize,
    until: Instant,
) -> Vec<f64> {
    let payload = Bytes::from(vec![7; payload]);
    let (mut latencies, mut last) = (vec![], 0);
    while Instant::now() < until {
        let started = Instant::now();
        let mut headers = HeaderMap::new();
        headers.insert("Nats-Msg-Id", Uuid::new_v4().to_string());
        headers.insert("Nats-Expected-Last-Subject-Sequence", last.to_string());
        let published = jetstream.publish_with_headers(subject.clone(), headers, payload.clone()).await;
        last = published.expect("publish").await.expect("an acknowledgement").sequence;
        latencies.push(milliseconds(started));
    }
    latencies
}
