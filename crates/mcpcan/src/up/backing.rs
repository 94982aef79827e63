//! What the roles work on: NATS and ClickHouse, ours or named ones, and the roles' connections to them.

use anyhow::Context as _;
use store::{Credentials, MasterKey, Options, Role, Store};

use super::part::Part;
use super::roles::Stores;
use super::{Arguments, clickhouse, nats};
use crate::backing;
use crate::data_directory::DataDirectory;
use crate::nats_users::Passwords;

/// On how many servers each stream is kept: the NATS beside us is one.
const NATS_REPLICAS: u8 = 1;

/// Where the roles find what they work on.
pub(super) struct Backing {
    pub(super) nats_url: String,
    nats_users: NatsUsers,
    pub(super) clickhouse_url: String,
    pub(super) access_log: access_log::Client,
}

/// How the roles get into NATS.
enum NatsUsers {
    /// Each as its own user.
    Each(Passwords),
    /// All as one, or all as nobody where the server is open.
    One(Option<Credentials>),
}

/// The parts that run beside the roles, as far as they are ours.
#[derive(Default)]
pub(super) struct Parts {
    nats: Option<Part>,
    clickhouse: Option<Part>,
}

/// Starts NATS and ClickHouse, unless others are named.
pub(super) async fn start(
    arguments: &Arguments,
    data: &DataDirectory,
    parts: &mut Parts,
) -> anyhow::Result<Backing> {
    let (nats_url, nats_users) = match &arguments.nats_url {
        Some(url) => (url.clone(), named_users(arguments, url)?),
        None => {
            let nats = nats::start(data, arguments.nats_port).await?;
            parts.nats = Some(nats.part);
            (nats.url, NatsUsers::Each(nats.passwords))
        }
    };
    let (clickhouse_url, access_log) = match &arguments.clickhouse.clickhouse_url {
        Some(url) => (url.clone(), arguments.clickhouse.client()?),
        None => {
            let clickhouse = clickhouse::start(data, arguments.clickhouse_port).await?;
            parts.clickhouse = Some(clickhouse.part);
            (clickhouse.url, clickhouse.client)
        }
    };
    Ok(Backing { nats_url, nats_users, clickhouse_url, access_log })
}

/// The users of a NATS server that others started.
fn named_users(arguments: &Arguments, url: &str) -> anyhow::Result<NatsUsers> {
    backing::check_nats_url(url)?;
    if let Some(directory) = &arguments.nats_users {
        return Ok(NatsUsers::Each(Passwords::read(directory)?));
    }
    let (user, file) = (arguments.nats_user.as_deref(), arguments.nats_password_file.as_deref());
    Ok(NatsUsers::One(backing::credentials(user, file)?))
}

/// Connects every role as itself; streams, buckets and tables are as they must be when the connections are handed out.
pub(super) async fn connect(backing: &Backing, data: &DataDirectory) -> anyhow::Result<Stores> {
    let master_key = MasterKey::load_or_create(&data.master_key_file()).context("take the master key")?;
    let connect = async |role: Role| {
        let credentials = match &backing.nats_users {
            NatsUsers::Each(passwords) => passwords.credentials(role),
            NatsUsers::One(credentials) => credentials.clone(),
        };
        let (url, master_key) =
            (backing.nats_url.clone(), role.needs_master_key().then(|| master_key.clone()));
        Store::connect(&Options { url, credentials, role, master_key }).await
    };
    let operator = connect(Role::Operator).await?;
    for change in operator.provision(NATS_REPLICAS).await.context("provision NATS")? {
        tracing::info!(%change, "provisioned");
    }
    let migrated = backing.access_log.migrate().await.context("migrate ClickHouse")?;
    tracing::info!(applied = ?migrated.applied, "migrated");
    Ok(Stores {
        api: connect(Role::Api).await?,
        decider: connect(Role::Decider).await?,
        projector: connect(Role::Projector).await?,
        worker: connect(Role::Worker).await?,
        gateway: connect(Role::Gateway).await?,
    })
}

impl Parts {
    /// Waits for a part to end, which none should while this is waited for.
    pub(super) async fn ended(&mut self) -> anyhow::Error {
        tokio::select! {
            error = ended(&mut self.nats) => error,
            error = ended(&mut self.clickhouse) => error,
        }
    }

    /// Ends ClickHouse, then NATS.
    pub(super) async fn stop(self) {
        for part in [self.clickhouse, self.nats].into_iter().flatten() {
            part.stop().await;
        }
    }
}

async fn ended(part: &mut Option<Part>) -> anyhow::Error {
    match part {
        Some(part) => part.ended().await,
        None => std::future::pending().await,
    }
}
