//! How the processes of the platform are, as they say themselves every few seconds.
//!
//! The bucket `roles` has a key for each thing that is said: `<role>.<process>.ready`, the readiness of a process;
//! `gateway.<id>.log`, what only a gateway knows of the rows that it hands on; `projector.<stream>.sink`, how far the
//! projector that feeds a table has come. Whoever has gone says nothing any more, and its key goes after a minute by
//! itself (`nats/buckets/roles.json`).

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::time::Duration;

use futures_util::TryStreamExt as _;
use jiff::Timestamp;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::bucket;
use crate::codec;
use crate::connection::Store;
use crate::data_stream::DataStream;
use crate::error::{During, Unavailable};
use crate::reader;
use crate::role::Role;

/// How often something is said.
pub const SAY_INTERVAL: Duration = Duration::from_secs(2);
/// How old may be what somebody said before nobody is taken to be there.
const SILENCE_MAX: Duration = Duration::from_secs(10);

/// How long the name of a process is that has none, in hexadecimal digits.
const MADE_UP_DIGITS: usize = 8;

const READ: &str = "read how the roles are";

/// The readiness of a process.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProcessReport {
    /// Each role in it, and whether it can do its work.
    pub roles: BTreeMap<String, bool>,
    pub at: Timestamp,
}

/// What a gateway says of its rows of the access log. Counts are since its start.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GatewayReport {
    /// Rows that the stream has acknowledged.
    pub rows: u64,
    pub batches: u64,
    /// Rows that wait on disk, in bytes.
    pub spool_bytes: u64,
    /// Rows that a bound made it drop, by instance; the nil id stands for requests to no instance.
    pub dropped: BTreeMap<Uuid, u64>,
    pub at: Timestamp,
}

/// What a projector says of a stream of log rows that it carries into its table. Counts are since it has the lease.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SinkReport {
    pub rows: u64,
    pub batches: u64,
    /// Of the last batch.
    pub batch_rows: u64,
    /// Messages that went to the dead letters.
    pub dead_letters: u64,
    /// Messages in the stream that are not in the table.
    pub lag_messages: u64,
    /// For how long the oldest of them has waited, at most.
    pub lag_seconds: f64,
    pub at: Timestamp,
}

/// Everything that was said lately, by who said it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RolesStatus {
    /// By `<role>.<process>`.
    pub processes: BTreeMap<String, Said<ProcessReport>>,
    /// By the gateway's id.
    pub gateways: BTreeMap<String, Said<GatewayReport>>,
    /// By the stream's name.
    pub sinks: BTreeMap<String, Said<SinkReport>>,
}

/// What somebody said, and whether it was long ago.
#[derive(Clone, Debug, PartialEq)]
pub struct Said<T> {
    pub report: T,
    pub is_silent: bool,
}

impl<T> Said<T> {
    fn new(report: T, at: Timestamp) -> Self {
        let is_silent = Timestamp::now().duration_since(at).unsigned_abs() > SILENCE_MAX;
        Self { report, is_silent }
    }
}

impl Store {
    /// Says how this process is, for as long as it is polled. `process` is one token of a subject, and no other's; one is
    /// made up where there is none.
    pub async fn keep_saying_readiness(
        &self,
        role: Role,
        process: Option<&str>,
        roles: impl Fn() -> BTreeMap<String, bool>,
    ) -> Infallible {
        let made_up = Uuid::new_v4().simple().to_string();
        let key = format!("{role}.{}.ready", process.unwrap_or(&made_up[..MADE_UP_DIGITS]));
        let mut moments = tokio::time::interval(SAY_INTERVAL);
        loop {
            moments.tick().await;
            let report = ProcessReport { roles: roles(), at: Timestamp::now() };
            self.say_quietly(&key, &report).await;
        }
    }

    /// Says what a gateway knows of its rows. What does not arrive is said again a moment later.
    pub async fn say_gateway(&self, id: &str, report: &GatewayReport) {
        self.say_quietly(&format!("{}.{id}.log", Role::Gateway), report).await;
    }

    /// Says how far a sink is.
    pub async fn say_sink(&self, stream: DataStream, report: &SinkReport) {
        self.say_quietly(&format!("{}.{}.sink", Role::Projector, stream.name()), report).await;
    }

    async fn say_quietly(&self, key: &str, report: &impl Serialize) {
        let saying = async {
            let bucket = self.roles_bucket().await?;
            bucket.put(key, codec::encode(report).into()).await.during("say how a role is").map(drop)
        };
        match tokio::time::timeout(SAY_INTERVAL, saying).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::debug!(error = &error as &dyn std::error::Error, key, "say again"),
            Err(_) => tracing::debug!(key, "nobody hears how the role is"),
        }
    }

    /// What the processes have said lately.
    ///
    /// # Errors
    /// NATS did not answer, or what lies there cannot be read.
    pub async fn roles_status(&self) -> Result<RolesStatus, Unavailable> {
        let bucket = self.roles_bucket().await?;
        let keys: Vec<String> = bucket.keys().await.during(READ)?.try_collect().await.during(READ)?;
        let mut status = RolesStatus::default();
        for key in keys {
            let Some((of, what)) = key.rsplit_once('.') else { continue };
            let name = of.split_once('.').map_or(of, |(_, name)| name).to_owned();
            match what {
                "ready" => {
                    if let Some(report) = self.said::<ProcessReport>(&key).await? {
                        let at = report.at;
                        status.processes.insert(of.to_owned(), Said::new(report, at));
                    }
                }
                "log" => {
                    if let Some(report) = self.said::<GatewayReport>(&key).await? {
                        let at = report.at;
                        status.gateways.insert(name, Said::new(report, at));
                    }
                }
                "sink" => {
                    if let Some(report) = self.said::<SinkReport>(&key).await? {
                        let at = report.at;
                        status.sinks.insert(name, Said::new(report, at));
                    }
                }
                // What a newer version says.
                _ => {}
            }
        }
        Ok(status)
    }

    async fn said<T: DeserializeOwned>(&self, key: &str) -> Result<Option<T>, Unavailable> {
        Ok(bucket::read_key(self.roles_bucket().await?, key, READ).await?.map(|(report, _)| report))
    }

    /// The sequence of the last message of a stream of log rows.
    ///
    /// # Errors
    /// NATS did not answer.
    pub async fn last_message(&self, stream: DataStream) -> Result<u64, Unavailable> {
        Ok(reader::bounds(self, stream.name()).await?.last_sequence)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::TestServer;

    #[tokio::test]
    async fn what_roles_say_is_found_by_who_said_it() {
        let server = TestServer::start().await;
        let (gateway, projector) =
            (server.store_as(Role::Gateway).await, server.store_as(Role::Projector).await);
        let at = Timestamp::now();
        let dropped = BTreeMap::from([(Uuid::nil(), 3)]);
        let of_gateway = GatewayReport { rows: 7, batches: 2, spool_bytes: 11, dropped, at };
        gateway.say_gateway("one", &of_gateway).await;
        let (rows, batches, batch_rows, dead_letters) = (9, 3, 4, 1);
        let of_sink =
            SinkReport { rows, batches, batch_rows, dead_letters, lag_messages: 2, lag_seconds: 0.5, at };
        projector.say_sink(DataStream::Traces, &of_sink).await;
        let old = GatewayReport { at: at - Duration::from_secs(60), ..of_gateway.clone() };
        gateway.say_gateway("two", &old).await;
        let roles = || BTreeMap::from([("gateway".to_owned(), true)]);
        let saying = gateway.keep_saying_readiness(Role::Gateway, Some("one"), roles);
        let api = server.store_as(Role::Api).await;
        let looking = async {
            loop {
                let status = api.roles_status().await.expect("the api may read it");
                if !status.processes.is_empty() {
                    return status;
                }
            }
        };
        let status = tokio::select! {
            never = saying => match never {},
            status = looking => status,
        };
        assert_eq!(status.gateways["one"], Said { report: of_gateway, is_silent: false });
        assert!(status.gateways["two"].is_silent);
        assert_eq!(status.sinks["TRACES"], Said { report: of_sink, is_silent: false });
        assert_eq!(status.processes["gateway.one"].report.roles, roles());
    }
}
