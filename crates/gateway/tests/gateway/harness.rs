//! A gateway on a real NATS server, and the events that tell it what exists.

mod past;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use access_log::{TraceEvent, TraceRecord};
use domain::InstanceId;
use gateway::Config;
use service::{CancellationToken, Context, Readiness};
use store::testing::TestServer;
use store::{DataStream, Role, Sink, Store};
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

pub(crate) use past::{Issued, hosted};

use crate::client::Client;

/// How long a test waits for what must happen.
pub(crate) const DEADLINE: Duration = Duration::from_secs(30);
/// How often a condition is looked at that nothing announces.
const POLL: Duration = Duration::from_millis(5);

pub(crate) struct Harness {
    pub(crate) server: TestServer,
    pub(crate) store: Store,
    pub(crate) gateway: Gateway,
    pub(crate) directory: TempDir,
    projections: Vec<JoinHandle<()>>,
    sink: Sink,
}

/// A gateway that runs.
pub(crate) struct Gateway {
    pub(crate) address: SocketAddr,
    pub(crate) shutdown: CancellationToken,
    task: JoinHandle<anyhow::Result<()>>,
}

impl Drop for Harness {
    fn drop(&mut self) {
        for projection in &self.projections {
            projection.abort();
        }
    }
}

impl Harness {
    pub(crate) async fn start() -> Self {
        Self::start_with(|_| ()).await
    }

    /// Starts with a configuration that differs.
    pub(crate) async fn start_with(configure: impl FnOnce(&mut Config)) -> Self {
        let server = TestServer::start().await;
        let store = server.store().await;
        let directory = tempfile::tempdir().expect("make a temporary directory");
        let projections = vec![
            tokio::spawn(project::<views::Instances>(store.clone())),
            tokio::spawn(project::<views::Tokens>(store.clone())),
        ];
        let sink = store.sink(DataStream::Traces).await.expect("open the sink of traces");
        let mut config = Config::new("test".to_owned(), directory.path().join("spool"));
        configure(&mut config);
        let gateway = Gateway::start(config, server.store_as(Role::Gateway).await).await;
        Self { server, store, gateway, directory, projections, sink }
    }

    pub(crate) fn client(&self) -> Client {
        Client::new(self.gateway.address)
    }

    /// The trace events that are in the stream at this moment.
    pub(crate) async fn stored_traces(&self) -> Vec<TraceRecord> {
        let messages = self.server.rows(DataStream::Traces).await;
        messages
            .iter()
            .flat_map(|message| store::decode::<Vec<TraceRecord>>(message).expect("traces"))
            .collect()
    }

    pub(crate) fn spool_dir(&self) -> PathBuf {
        self.directory.path().join("spool")
    }

    /// Bytes of trace events on disk.
    pub(crate) fn spooled_bytes(&self) -> u64 {
        let entries = std::fs::read_dir(self.spool_dir()).expect("read the spool");
        entries.flatten().map(|entry| entry.metadata().map_or(0, |metadata| metadata.len())).sum()
    }

    /// Waits until the spool satisfies a condition.
    pub(crate) async fn spool_until(&self, holds: impl Fn(u64) -> bool) {
        until("the spool", || async { holds(self.spooled_bytes()).then_some(()) }).await;
    }

    /// The trace events of an instance, in the order of the bus, from the start until `enough` says so. Events of the
    /// probes in `token_until` are left out.
    pub(crate) async fn traces(&mut self, enough: impl Fn(&[TraceRecord]) -> bool) -> Vec<TraceRecord> {
        let mut records = Vec::new();
        let collecting = async {
            while !enough(&records) {
                let batch = self.sink.next().await.expect("read traces");
                for (_, message) in batch.messages {
                    let read: Vec<TraceRecord> = store::decode(&message).expect("decode traces");
                    records.extend(read.into_iter().filter(|record| record.http_method != "PUT"));
                }
            }
        };
        let collected = tokio::time::timeout(DEADLINE, collecting).await;
        assert!(collected.is_ok(), "these are all trace events there are: {records:#?}");
        records
    }
}

impl Gateway {
    pub(crate) async fn start(config: Config, store: Store) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("bind a port");
        let address = listener.local_addr().expect("the address");
        let context = Context { shutdown: CancellationToken::new(), readiness: Readiness::default() };
        let shutdown = context.shutdown.clone();
        let task = tokio::spawn(gateway::run(config, store, context, listener));
        Self { address, shutdown, task }
    }

    /// Shuts down and waits until the gateway has ended.
    pub(crate) async fn stop(&mut self) {
        self.shutdown.cancel();
        let ended = tokio::time::timeout(DEADLINE, &mut self.task).await.expect("the gateway ends");
        ended.expect("the gateway does not panic").expect("the gateway ends without an error");
    }
}

/// The address of an instance at the gateway.
pub(crate) fn path(instance: InstanceId) -> String {
    format!("/mcp-gateway/{instance}/mcp")
}

/// Waits until `look` finds what it looks for.
pub(crate) async fn until<T, F: Future<Output = Option<T>>>(what: &str, look: impl Fn() -> F) -> T {
    let looking = async {
        loop {
            if let Some(found) = look().await {
                return found;
            }
            tokio::time::sleep(POLL).await;
        }
    };
    tokio::time::timeout(DEADLINE, looking).await.unwrap_or_else(|_| panic!("waited in vain for {what}"))
}

/// Whether the records hold as many events of a kind.
pub(crate) fn count(records: &[TraceRecord], event: TraceEvent) -> usize {
    records.iter().filter(|record| record.event == event).count()
}

/// The projector's part, over restarts of the server.
async fn project<V: views::View>(store: Store) {
    loop {
        let Err(error) = store.project::<V>(|| ()).await else { return };
        assert!(matches!(error, store::ProjectError::Unavailable(_)), "{error}");
        tokio::time::sleep(POLL).await;
    }
}
