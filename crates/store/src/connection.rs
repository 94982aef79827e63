//! The connection to NATS, and the one handle that everything else hangs on.

use std::collections::HashSet;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_nats::jetstream::{self, kv};
use parking_lot::Mutex;
use tokio::sync::{OnceCell, watch};
use uuid::Uuid;
use zeroize::Zeroizing;

use crate::answer::Answers;
use crate::commit::Committer;
use crate::error::{During, Unavailable};
use crate::journal::Memory;
use crate::link::{Link, Times};
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
    pub(crate) link: Link,
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
    documents: OnceCell<kv::Store>,
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
        let (times, mut ups_and_downs) = watch::channel(Times::default());
        let name = role.map_or("test", Role::name);
        let complaints = Complaints::new(name);
        let mut connect = async_nats::ConnectOptions::new()
            .event_callback(move |event| {
                match event {
                    async_nats::Event::Connected => times.send_modify(|times| times.connected += 1),
                    async_nats::Event::Disconnected => times.send_modify(|times| times.lost += 1),
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
        // The client tells of it a moment later: whoever counts connections must not take this one for another.
        let _ = ups_and_downs.wait_for(|times| times.connected > 0).await;
        let jetstream = jetstream::context::ContextBuilder::new()
            .timeout(REQUEST_TIMEOUT)
            .ack_timeout(REQUEST_TIMEOUT)
            .build(client.clone());
        let keys = Keys::new(jetstream.clone());
        let vault = master_key.map(|master_key| Vault::new(master_key, keys.clone()));
        let holder = format!("{name}-{}", Uuid::new_v4()).into();
        let (buckets, answers, memory) = Default::default();
        let link = Link::new(client.clone(), ups_and_downs);
        let commands = Committer::start(link.clone(), "publish a command");
        let events = Committer::start(link.clone(), "append events");
        let outcomes = Committer::start(link.clone(), "record an outcome");
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
            link,
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

    pub(crate) async fn documents_bucket(&self) -> Result<&kv::Store, Unavailable> {
        self.buckets.documents.get_or_try_init(|| self.bucket(subject::DOCUMENTS_BUCKET)).await
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
