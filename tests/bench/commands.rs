//! Commands over HTTP, until they are committed and until they are visible, beside raw acknowledged publishes.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use harness::{Deployment, Replicas};
use jiff::Timestamp;
use serde_json::json;
use store::{End, Filter, Start, Store, Tail};

use crate::figure::{Figures, Goal, median, quantile};
use crate::http::Connection;
use crate::peer::{Raw, Work, milliseconds};

const REPLICAS: Replicas = Replicas { apis: 1, deciders: 1, projectors: 1, gateways: 0 };
/// How often the sides take turns.
const ROUNDS: usize = 5;
/// How long one side works in one round.
const ROUND: Duration = Duration::from_secs(3);
const IN_FLIGHT: [usize; 2] = [1, 64];
/// How many instances each writer goes around, so that none of them grows long.
const INSTANCES_EACH: usize = 16;
/// The payload of a raw publish, in bytes. An event of these commands is smaller, its headers are more.
const RAW_PAYLOAD: usize = 256;
/// What of raw publishes has to be reached with many in flight. One at a time, a command has to be on disk twice, one
/// after the other, so that there can be no such goal.
const RATIO_MIN: f64 = 0.5;

pub(crate) async fn run(figures: &mut Figures) {
    let deployment = Deployment::start(REPLICAS).await;
    let store = deployment.server.store().await;
    let mut raw = Raw::connect(&deployment.server).await;
    let mut sides = vec![];
    for writers in IN_FLIGHT {
        sides.push((writers, Writers::prepare(&deployment, writers).await, vec![], vec![], vec![]));
    }
    for round in 0..ROUNDS {
        for (in_flight, writers, publishes, commands, committed) in &mut sides {
            publishes.push(raw.publish(*in_flight, RAW_PAYLOAD, ROUND).await);
            let from = store.last_event().await.expect("the log has an end") + 1;
            commands.push(writers.restart(round).await);
            committed.extend(committing_times(&store, from, &writers.sent).await);
        }
    }
    for (in_flight, _, publishes, commands, committed) in &sides {
        let name = |what: &str| format!("commands: {what}, {in_flight} in flight");
        let (raw, ours) = (median_rate(publishes), median_rate(commands));
        figures.add(&name("raw publishes"), raw, "/s", Goal::None);
        figures.add(&name("HTTP commands"), ours, "/s", Goal::None);
        let goal = if *in_flight == 1 { Goal::None } else { Goal::AtLeast(RATIO_MIN) };
        figures.add(&name("ratio"), ours / raw, "", goal);
        let raw_latencies = latencies(publishes);
        let visible = latencies(commands);
        for (share, label) in [(0.5, "p50"), (0.99, "p99")] {
            figures.add(&name(&format!("raw {label}")), quantile(&raw_latencies, share), "ms", Goal::None);
            figures.add(&name(&format!("committed {label}")), quantile(committed, share), "ms", Goal::None);
            figures.add(&name(&format!("visible {label}")), quantile(&visible, share), "ms", Goal::None);
        }
    }
}

fn median_rate(work: &[Work]) -> f64 {
    median(&work.iter().map(|work| work.per_second).collect::<Vec<_>>())
}

fn latencies(work: &[Work]) -> Vec<f64> {
    work.iter().flat_map(|work| work.latencies.iter().copied()).collect()
}

/// Clients with a connection and instances of their own.
struct Writers {
    writers: Vec<Writer>,
    /// When each command of the last round was sent.
    sent: HashMap<String, Timestamp>,
}

struct Writer {
    name: String,
    connection: Connection,
    instances: Vec<String>,
}

impl Writers {
    async fn prepare(deployment: &Deployment, count: usize) -> Self {
        let api = &deployment.apis()[0];
        let mut writers = vec![];
        for number in 0..count {
            let connection = Connection::open(api, deployment.admin_key()).await;
            writers.push(Writer { name: format!("{count}-{number}"), connection, instances: vec![] });
        }
        let prepared = writers.into_iter().map(|writer| tokio::spawn(writer.prepare()));
        let writers = futures_util::future::join_all(prepared).await;
        let writers = writers.into_iter().map(|writer| writer.expect("a writer is prepared")).collect();
        Writers { writers, sent: HashMap::new() }
    }

    /// Restarts instances for one round, each writer one after the other.
    async fn restart(&mut self, round: usize) -> Work {
        let started = Instant::now();
        let working =
            self.writers.drain(..).map(|writer| tokio::spawn(writer.restart(round, started + ROUND)));
        let worked = futures_util::future::join_all(working.collect::<Vec<_>>()).await;
        let took = started.elapsed();
        let mut latencies = vec![];
        self.sent.clear();
        for worked in worked {
            let (writer, sent, took) = worked.expect("a writer ends");
            self.writers.push(writer);
            self.sent.extend(sent);
            latencies.extend(took);
        }
        Work::new(latencies, took)
    }
}

impl Writer {
    async fn prepare(mut self) -> Self {
        for number in 0..INSTANCES_EACH {
            let name = format!("bench-{}-{number}", self.name);
            let body = json!({
                "name": name,
                "access": "proxy",
                "transport": "streamable-http",
                "url": "http://127.0.0.1:9/mcp",
            });
            let created = self.connection.post("/instances", &format!("create-{name}"), Some(&body)).await;
            self.instances.push(created["id"].as_str().expect("an instance has an id").to_owned());
        }
        self
    }

    async fn restart(mut self, round: usize, until: Instant) -> (Self, Vec<(String, Timestamp)>, Vec<f64>) {
        let (mut sent, mut latencies) = (vec![], vec![]);
        while Instant::now() < until {
            let path = format!("/instances/{}/restart", self.instances[sent.len() % INSTANCES_EACH]);
            let key = format!("{}-{round}-{}", self.name, sent.len());
            let (at, started) = (Timestamp::now(), Instant::now());
            self.connection.post(&path, &key, None).await;
            latencies.push(milliseconds(started));
            sent.push((format!("request:{key}"), at));
        }
        (self, sent, latencies)
    }
}

/// From sending each command to the moment at which the server stored its event, by one clock, in milliseconds.
async fn committing_times(store: &Store, from: u64, sent: &HashMap<String, Timestamp>) -> Vec<f64> {
    let last = store.last_event().await.expect("the log has an end");
    let tail =
        Tail { start: Start::Sequence(from), end: Some(End::Sequence(last)), filter: Filter::default() };
    let mut events = store.tail(&tail).await.expect("the log can be read");
    let mut times = vec![];
    while let Some(event) = events.next().await.expect("every event can be read") {
        let recorded = event.recorded().expect("every event can be read");
        if let Some(at) = sent.get(&recorded.metadata.causation_id) {
            times.push(event.stored_at.duration_since(*at).as_secs_f64() * 1000.0);
        }
    }
    times
}
