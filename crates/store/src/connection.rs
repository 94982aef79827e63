//! The connection to NATS, and the one handle that everything else hangs on.

use std::collections::HashSet;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_nats::connection::State;
use async_nats::jetstream::{self, kv};
use parking_lot::Mutex;
use tokio::sync::{OnceCell, watch};
use uuid::Uuid;
use zeroize::Zeroizing;

use crate::answer::Answers;
use crate::commit::Committer;
use crate::error::{During, Unavailable};
use crate::journal::Memory;
use crate::role::Role;
use crate::subject;
use crate::vault::{Keys, MasterKey, Vault};

/// How long one request to NATS may take.
pub(crate) const REQUEST_TIMEOUT: Duration = Duration::from_secs(5);
/// How long the first connection may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// How many different complaints of the server are logged: subjects hold ids, so there may be many of one kind.
const COMPLAINTS_MAX: usize = 32;

/// Where NATS is and how to get in.
#[derive(Clone, Debug)]
pub struct Options {
    /// `nats://host:port`, or `tls://…`.
    pub url: String,
    pub credentials: Option<Credentials>,
    /// Who connects. Names the connection in the server's monitoring, and the subjects at which answers come.
    pub role: Role,
    /// None for a role that needs none: see [`Role::needs_master_key`].
    pub master_key: Option<MasterKey>,
}

/// A NATS user.
#[derive(Clone)]
pub struct Credentials {
    pub user: String,
    pub password: Zeroizing<String>,
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials").field("user", &self.user).finish_non_exhaustive()
    }
}

/// NATS could not be reached.
#[derive(Debug, thiserror::Error)]
#[error("connect to NATS at {url}")]
pub struct ConnectError {
    pub url: String,
    #[source]
    source: async_nats::ConnectError,
}

/// The event store. Cheap to clone: all clones share one connection.
#[derive(Clone)]
pub struct Store {
    /// Who we are; none in a test that may do everything.
    pub(crate) role: Option<Role>,
    pub(crate) client: async_nats::Client,
    pub(crate) jetstream: jetstream::Context,
    keys: Keys,
    vault: Option<Vault>,
    buckets: Arc<Buckets>,
    pub(crate) answers: Arc<OnceCell<Answers>>,
    pub(crate) memory: Arc<Memory>,
    /// One for each stream that many write to at a time.
    pub(crate) commands: Committer,
    pub(crate) events: Committer,
    pub(crate) outcomes: Committer,
    connections: watch::Receiver<u64>,
    disconnections: watch::Receiver<u64>,
    holder: Arc<str>,
}

/// The buckets that are opened once, on first use.
#[derive(Default)]
struct Buckets {
    sinks: OnceCell<kv::Store>,
    snapshots: OnceCell<kv::Store>,
    leases: OnceCell<kv::Store>,
    views: OnceCell<kv::Store>,
    roles: OnceCell<kv::Store>,
}

impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Store").finish_non_exhaustive()
    }
}

impl Store {
    /// Connects once; a connection that is lost later is made again by itself, for ever.
    ///
    /// # Errors
    /// There is no NATS server at the address, or it does not let us in.
    pub async fn connect(options: &Options) -> Result<Store, ConnectError> {
        let Options { url, credentials, role, master_key } = options;
        Self::connect_as(Some(*role), url, credentials.as_ref(), master_key.as_ref()).await
    }

    /// Connects as a role, or as a test, which is none and may do everything.
    pub(crate) async fn connect_as(
        role: Option<Role>,
        url: &str,
        credentials: Option<&Credentials>,
        master_key: Option<&MasterKey>,
    ) -> Result<Store, ConnectError> {
        let (connected, connections) = watch::channel(0);
        let (disconnected, disconnections) = watch::channel(0);
        let name = role.map_or("test", Role::name);
        let complaints = Complaints::new(name);
        let mut connect = async_nats::ConnectOptions::new()
            .event_callback(move |event| {
                match event {
                    async_nats::Event::Connected => connected.send_modify(|connections| *connections += 1),
                    async_nats::Event::Disconnected => disconnected.send_modify(|times| *times += 1),
                    async_nats::Event::ServerError(error) => complaints.log(&error.to_string()),
                    _ => {}
                }
                async {}
            })
            .name(name)
            .custom_inbox_prefix(role.map_or("_INBOX".to_owned(), Role::inbox_prefix))
            .connection_timeout(CONNECT_TIMEOUT)
            .request_timeout(Some(REQUEST_TIMEOUT));
        if let Some(credentials) = credentials {
            connect = connect.user_and_password(credentials.user.clone(), credentials.password.to_string());
        }
        let client =
            connect.connect(url).await.map_err(|source| ConnectError { url: url.to_owned(), source })?;
        let jetstream = jetstream::context::ContextBuilder::new()
            .timeout(REQUEST_TIMEOUT)
            .ack_timeout(REQUEST_TIMEOUT)
            .build(client.clone());
        let keys = Keys::new(jetstream.clone());
        let vault = master_key.map(|master_key| Vault::new(master_key, keys.clone()));
        let holder = format!("{name}-{}", Uuid::new_v4()).into();
        let (buckets, answers, memory) = Default::default();
        let commands = Committer::start(client.clone(), "publish a command");
        let events = Committer::start(client.clone(), "append events");
        let outcomes = Committer::start(client.clone(), "record an outcome");
        Ok(Store {
            role,
            client,
            jetstream,
            keys,
            vault,
            buckets,
            answers,
            memory,
            commands,
            events,
            outcomes,
            connections,
            disconnections,
            holder,
        })
    }

    /// Names this connection among all that there ever were: who holds a lease.
    pub fn holder(&self) -> &str {
        &self.holder
    }

    /// Seals and opens secrets.
    ///
    /// # Panics
    /// The store was connected without the master key.
    pub fn vault(&self) -> &Vault {
        self.vault.as_ref().expect("only roles that need no master key are connected without")
    }

    /// Shreds secrets.
    pub fn keys(&self) -> &Keys {
        &self.keys
    }

    pub(crate) async fn bucket(&self, name: &str) -> Result<kv::Store, Unavailable> {
        self.jetstream.get_key_value(name).await.during("open bucket")
    }

    pub(crate) async fn sinks_bucket(&self) -> Result<&kv::Store, Unavailable> {
        self.buckets.sinks.get_or_try_init(|| self.bucket(subject::SINKS_BUCKET)).await
    }

    pub(crate) async fn snapshots_bucket(&self) -> Result<&kv::Store, Unavailable> {
        self.buckets.snapshots.get_or_try_init(|| self.bucket(subject::SNAPSHOTS_BUCKET)).await
    }

    pub(crate) async fn leases_bucket(&self) -> Result<&kv::Store, Unavailable> {
        self.buckets.leases.get_or_try_init(|| self.bucket(subject::LEASES_BUCKET)).await
    }

    pub(crate) async fn views_bucket(&self) -> Result<&kv::Store, Unavailable> {
        self.buckets.views.get_or_try_init(|| self.bucket(subject::VIEWS_BUCKET)).await
    }

    pub(crate) async fn roles_bucket(&self) -> Result<&kv::Store, Unavailable> {
        self.buckets.roles.get_or_try_init(|| self.bucket(subject::ROLES_BUCKET)).await
    }

    /// Tells when the connection was lost and made again.
    pub(crate) fn reconnects(&self) -> Reconnects {
        let mut connections = self.connections.clone();
        connections.mark_unchanged();
        Reconnects(connections)
    }

    /// What comes of something, unless the connection is lost meanwhile: what was sent may not have got there then, and
    /// an answer comes no more.
    ///
    /// # Errors
    /// Those of the work, or there is no connection.
    pub(crate) async fn while_connected<T>(
        &self,
        operation: &'static str,
        work: impl Future<Output = Result<T, Unavailable>>,
    ) -> Result<T, Unavailable> {
        let mut disconnections = self.disconnections.clone();
        disconnections.mark_unchanged();
        if self.client.connection_state() != State::Connected {
            return Err(Unavailable::new(operation, "there is no connection to NATS"));
        }
        tokio::select! {
            done = work => done,
            _ = disconnections.changed() => Err(Unavailable::new(operation, "the connection to NATS was lost")),
        }
    }

    /// Waits until everything that was handed to the connection has been written to it.
    ///
    /// # Errors
    /// The connection is closed.
    pub async fn flush(&self) -> Result<(), Unavailable> {
        self.client.flush().await.during("flush the connection")
    }
}

/// Logs what the server complains of. Whoever lacks a permission would only see a request that is not answered in time,
/// so this is the one place that says why; once for each complaint, because what is refused is tried again.
struct Complaints {
    role: &'static str,
    logged: Mutex<HashSet<String>>,
}

impl Complaints {
    fn new(role: &'static str) -> Self {
        Complaints { role, logged: Mutex::default() }
    }

    /// `complaint` is the server's: `Permissions Violation for Publish to "events.x"`.
    fn log(&self, complaint: &str) {
        let mut logged = self.logged.lock();
        if logged.len() < COMPLAINTS_MAX && logged.insert(complaint.to_owned()) {
            let role = self.role;
            tracing::error!(role, complaint, "NATS refuses the role something; see nats/permissions.conf");
        }
    }
}

/// Tells when the connection was lost and made again.
///
/// A consumer whose server was restarted notices by the absence of heartbeats, which takes up to ten seconds. That is
/// too long for a revoked token, so whoever reads opens a new consumer as soon as the connection is back.
#[derive(Clone, Debug)]
pub(crate) struct Reconnects(watch::Receiver<u64>);

impl Reconnects {
    /// Whether there was a new connection that nobody has waited for with this.
    pub(crate) fn is_reconnected(&self) -> bool {
        self.0.has_changed().unwrap_or(false)
    }

    /// Waits for `reading`, or for a new connection, which is an error: requests and consumers of the old one are
    /// gone, and what was being read has to be opened anew.
    pub(crate) async fn unless_reconnected<T>(
        &mut self,
        operation: &'static str,
        reading: impl Future<Output = Result<T, Unavailable>>,
    ) -> Result<T, Unavailable> {
        tokio::select! {
            biased;
            Ok(()) = self.0.changed() => Err(Unavailable::new(operation, "the connection was made anew")),
            read = reading => read,
        }
    }
}
