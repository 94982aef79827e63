//! A gateway on a real NATS server, and the events that tell it what exists.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use access_log::{TraceEvent, TraceRecord};
use domain::instance::{self, Access, Hosted, InstanceDecider, Remote, RemoteTransport, Source};
use domain::token::{self, TokenDecider};
use domain::{Actor, CommandId, Digest, InstanceId, Metadata, ReplicaId, Sealed, TokenId};
use gateway::Config;
use service::{CancellationToken, Context, Readiness};
use store::testing::TestServer;
use store::{DataStream, Role, Sink, Store, Stored, Write};
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use uuid::Uuid;

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

/// A token and its credential.
pub(crate) struct Issued {
    pub(crate) id: TokenId,
    pub(crate) credential: String,
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

    /// A hosted instance with one ready replica at `url`, which asks for no credential.
    pub(crate) async fn hosted(&self, name: &str, url: &str) -> InstanceId {
        let id = self.create(name, hosted()).await;
        self.replica_ready(id, url, None).await;
        id
    }

    /// A hosted instance with one ready replica at `url`, which asks for this credential.
    pub(crate) async fn hosted_with(&self, name: &str, url: &str, credential: &str) -> InstanceId {
        let id = self.create(name, hosted()).await;
        let sealed = self.store.vault().seal(id.0, credential.as_bytes()).await.expect("seal a credential");
        self.replica_ready(id, url, Some(sealed)).await;
        id
    }

    /// One more replica of a hosted instance, ready at `url`.
    pub(crate) async fn replica(&self, id: InstanceId, url: &str) -> ReplicaId {
        self.replica_ready(id, url, None).await
    }

    /// A replica is gone, as its worker reports it.
    pub(crate) async fn replica_lost(&self, id: InstanceId, replica: ReplicaId) {
        let reason = instance::FailureReason::Exited;
        let failed = instance::ReplicaFailed { replica, reason, detail: String::new() };
        self.append::<InstanceDecider>(id, &[instance::Event::ReplicaFailed(failed)]).await;
    }

    async fn replica_ready(&self, id: InstanceId, url: &str, credential: Option<Sealed>) -> ReplicaId {
        let replica = ReplicaId(Uuid::now_v7());
        let server = instance::ServerInfo {
            name: "test".to_owned(),
            version: "1".to_owned(),
            protocol_version: "2025-11-25".to_owned(),
        };
        let ready = instance::ReplicaReady { replica, endpoint: url.to_owned(), credential, server };
        self.append::<InstanceDecider>(
            id,
            &[
                instance::Event::ReplicaStarting(instance::ReplicaStarting { replica, generation: 1 }),
                instance::Event::ReplicaHandshaking(instance::ReplicaHandshaking { replica }),
                instance::Event::ReplicaReady(ready),
            ],
        )
        .await;
        replica
    }

    /// A proxied instance with header fields for its upstream.
    pub(crate) async fn proxied(&self, name: &str, url: &str, headers: &[(&str, &str)]) -> InstanceId {
        let id = InstanceId(Uuid::now_v7());
        let mut sealed = BTreeMap::new();
        for (name, value) in headers {
            let value = self.store.vault().seal(id.0, value.as_bytes()).await.expect("seal a header value");
            sealed.insert((*name).to_owned(), value);
        }
        let transport = RemoteTransport::StreamableHttp;
        let access = Access::Proxy(Remote { transport, url: url.to_owned(), headers: sealed });
        self.create_as(id, name, access).await
    }

    pub(crate) async fn create(&self, name: &str, access: Access) -> InstanceId {
        self.create_as(InstanceId(Uuid::now_v7()), name, access).await
    }

    async fn create_as(&self, id: InstanceId, name: &str, access: Access) -> InstanceId {
        let created = instance::Created::new(name.parse().expect("a name"), access);
        self.append::<InstanceDecider>(id, &[instance::Event::Created(created)]).await;
        id
    }

    pub(crate) async fn stop(&self, id: InstanceId) {
        self.append::<InstanceDecider>(id, &[instance::Event::Stopped(instance::Stopped {})]).await;
    }

    pub(crate) async fn delete(&self, id: InstanceId) {
        self.append::<InstanceDecider>(id, &[instance::Event::Deleted(instance::Deleted {})]).await;
    }

    /// Issues a token and waits until the gateway takes it and would pass a request on.
    pub(crate) async fn token(&self, instance: InstanceId) -> Issued {
        self.token_until(instance, |status| status == 405).await
    }

    /// Issues a token and waits until the gateway takes it, whether or not the instance is ready.
    pub(crate) async fn token_for_any(&self, instance: InstanceId) -> Issued {
        self.token_until(instance, |status| status != 401).await
    }

    async fn token_until(&self, instance: InstanceId, holds: impl Fn(u16) -> bool) -> Issued {
        let issued = self.issue(instance).await;
        self.accepted_until(instance, &issued, holds).await;
        issued
    }

    /// Issues a token with header fields and a passthrough list, and waits until the gateway would pass a request on.
    pub(crate) async fn token_with(
        &self,
        instance: InstanceId,
        headers: &[(&str, &str)],
        passthrough: &[&str],
    ) -> Issued {
        let issued = self.issue(instance).await;
        self.edit_fields(issued.id, headers, passthrough).await;
        self.accepted_until(instance, &issued, |status| status == 405).await;
        issued
    }

    async fn accepted_until(&self, instance: InstanceId, issued: &Issued, holds: impl Fn(u16) -> bool) {
        let credential = &issued.credential;
        until("the token to be accepted", || async {
            // A method that is none of ours is refused last, and never passed on.
            let answer = self.client().send("PUT", &path(instance), credential, "").await;
            holds(answer.status).then_some(())
        })
        .await;
    }

    pub(crate) async fn issue(&self, instance: InstanceId) -> Issued {
        let id = TokenId(Uuid::now_v7());
        let credential = format!("mcp_{}", Uuid::new_v4().simple());
        let vault = self.store.vault();
        let issued = token::Issued {
            instance,
            kind: token::Kind::Bearer,
            label: "dev".to_owned(),
            digest: Digest(vault.digest(credential.as_bytes()).0),
            masked: "mcp_…".to_owned(),
            sealed: vault.seal(id.0, credential.as_bytes()).await.expect("seal a credential"),
            expiry: token::Expiry::Never,
            headers: BTreeMap::new(),
            passthrough: BTreeSet::new(),
        };
        self.append::<TokenDecider>(id, &[token::Event::Issued(issued)]).await;
        Issued { id, credential }
    }

    pub(crate) async fn revoke(&self, token: TokenId) {
        self.append::<TokenDecider>(token, &[token::Event::Revoked(token::Revoked {})]).await;
    }

    /// Gives a token another label.
    pub(crate) async fn edit(&self, token: TokenId, label: &str) {
        let edited = token::Edited { label: Some(label.to_owned()), ..token::Edited::default() };
        self.append::<TokenDecider>(token, &[token::Event::Edited(edited)]).await;
    }

    /// Gives a token header fields and a passthrough list.
    pub(crate) async fn edit_fields(&self, token: TokenId, headers: &[(&str, &str)], passthrough: &[&str]) {
        let mut sealed = BTreeMap::new();
        for (name, value) in headers {
            let value = self.store.vault().seal(token.0, value.as_bytes()).await.expect("seal a value");
            sealed.insert((*name).to_owned(), value);
        }
        let passthrough = passthrough.iter().map(|name| (*name).to_owned()).collect();
        let edited = token::Edited {
            headers: Some(sealed),
            passthrough: Some(passthrough),
            ..token::Edited::default()
        };
        self.append::<TokenDecider>(token, &[token::Event::Edited(edited)]).await;
    }

    /// Gives a token another end.
    pub(crate) async fn edit_expiry(&self, token: TokenId, expiry: token::Expiry) {
        let edited = token::Edited { expiry: Some(expiry), ..token::Edited::default() };
        self.append::<TokenDecider>(token, &[token::Event::Edited(edited)]).await;
    }

    /// Gives a token another credential.
    pub(crate) async fn rotate(&self, token: TokenId) -> String {
        let credential = format!("mcp_{}", Uuid::new_v4().simple());
        let vault = self.store.vault();
        let rotated = token::Rotated {
            digest: vault.digest(credential.as_bytes()),
            masked: "mcp_…".to_owned(),
            sealed: vault.seal(token.0, credential.as_bytes()).await.expect("seal a credential"),
        };
        self.append::<TokenDecider>(token, &[token::Event::Rotated(rotated)]).await;
        credential
    }

    async fn append<D: Stored>(&self, id: D::Id, events: &[D::Event]) {
        let command_id = CommandId(Uuid::now_v7());
        let aggregate = self.store.load::<D>(&id, command_id).await.expect("load an aggregate");
        let metadata = Metadata {
            at: jiff::Timestamp::now(),
            command_id,
            causation_id: "test".to_owned(),
            actor: Actor::Admin,
            traceparent: None,
        };
        let write = Write::new::<D>(&id, aggregate.last_sequence, events);
        self.store.append(&[write], &metadata).await.expect("append events");
    }

    /// The trace events of an instance, in the order of the bus, from the start until `enough` says so. Events of the
    /// probes in `token_until` are left out.
    pub(crate) async fn traces(&mut self, enough: impl Fn(&[TraceRecord]) -> bool) -> Vec<TraceRecord> {
        let mut records = Vec::new();
        let collecting = async {
            while !enough(&records) {
                let batch = self.sink.next().await.expect("read traces");
                for message in batch.messages {
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

pub(crate) fn hosted() -> Access {
    let command = instance::CommandLine { program: "server".to_owned(), args: vec![] };
    Access::Hosted(Hosted::new(Source::Command(command), BTreeMap::new()))
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
