//! How a process of the platform reaches NATS and ClickHouse: the options that the roles and `provision` share.

use std::fs;
use std::path::{Path, PathBuf};

use access_log::Cluster;
use anyhow::{Context, ensure};
use clap::Args;
use store::{Credentials, MasterKey, Options, Role, Store};
use zeroize::Zeroizing;

/// Where NATS is.
#[derive(Debug, Args)]
pub(crate) struct NatsArguments {
    /// nats://HOST:PORT, or tls://…
    #[arg(long, env = "MCPCAN_NATS_URL", value_name = "URL")]
    nats_url: String,
    #[arg(long, env = "MCPCAN_NATS_USER", value_name = "USER", requires = "nats_password_file")]
    nats_user: Option<String>,
    /// A file that holds the user's password.
    #[arg(long, env = "MCPCAN_NATS_PASSWORD_FILE", value_name = "FILE", requires = "nats_user")]
    nats_password_file: Option<PathBuf>,
}

/// Where NATS is, and the key that secrets in it are sealed under.
#[derive(Debug, Args)]
pub(crate) struct SealedNatsArguments {
    #[command(flatten)]
    nats: NatsArguments,
    /// The platform's master key, the same for all roles that take it.
    #[arg(long, env = "MCPCAN_MASTER_KEY_FILE", value_name = "FILE")]
    master_key_file: PathBuf,
}

impl SealedNatsArguments {
    /// Connects as a role that needs the master key.
    pub(crate) async fn connect(&self, role: Role) -> anyhow::Result<Store> {
        let file = &self.master_key_file;
        // A key that is made by mistake would lock everybody else out of what it seals.
        ensure!(file.exists(), "there is no master key in {}: `mcpcan up` makes one", file.display());
        let master_key = MasterKey::load_or_create(file).context("read the master key")?;
        self.nats.connect_with(role, Some(master_key)).await
    }
}

impl NatsArguments {
    /// Connects as a role that needs no master key.
    pub(crate) async fn connect(&self, role: Role) -> anyhow::Result<Store> {
        self.connect_with(role, None).await
    }

    async fn connect_with(&self, role: Role, master_key: Option<MasterKey>) -> anyhow::Result<Store> {
        check_nats_url(&self.nats_url)?;
        let options = Options {
            url: self.nats_url.clone(),
            credentials: credentials(self.nats_user.as_deref(), self.nats_password_file.as_deref())?,
            role,
            master_key,
        };
        Ok(Store::connect(&options).await?)
    }
}

/// An address that holds a password would show it in the process list, and in what is said about the address.
pub(crate) fn check_nats_url(url: &str) -> anyhow::Result<()> {
    ensure!(
        !url.contains('@'),
        "--nats-url holds a user: name the user with --nats-user and the password's file with --nats-password-file"
    );
    Ok(())
}

/// A user with the password in a file.
pub(crate) fn credentials(user: Option<&str>, file: Option<&Path>) -> anyhow::Result<Option<Credentials>> {
    let (Some(user), Some(file)) = (user, file) else { return Ok(None) };
    Ok(Some(Credentials { user: user.to_owned(), password: read_secret(file)? }))
}

/// Where ClickHouse is.
#[derive(Clone, Debug, Args)]
pub(crate) struct ClickhouseArguments {
    /// ClickHouse's HTTP interface, as http://HOST:PORT.
    #[arg(long, env = "MCPCAN_CLICKHOUSE_URL", value_name = "URL")]
    pub(crate) clickhouse_url: Option<String>,
    #[arg(long, env = "MCPCAN_CLICKHOUSE_USER", value_name = "USER", default_value = "default")]
    pub(crate) clickhouse_user: String,
    /// A file that holds the user's password.
    #[arg(long, env = "MCPCAN_CLICKHOUSE_PASSWORD_FILE", value_name = "FILE")]
    pub(crate) clickhouse_password_file: Option<PathBuf>,
    /// The cluster that the server is one of, as `remote_servers` of its configuration names it.
    #[arg(long, env = "MCPCAN_CLICKHOUSE_CLUSTER", value_name = "NAME", value_parser = Cluster::new)]
    pub(crate) clickhouse_cluster: Option<Cluster>,
}

impl ClickhouseArguments {
    /// A client; nothing is sent yet.
    pub(crate) fn client(&self) -> anyhow::Result<access_log::Client> {
        let url =
            self.clickhouse_url.as_deref().context("--clickhouse-url is missing: where is ClickHouse?")?;
        self.client_of(url)
    }

    /// A client of the server at `url` with the user that was given.
    pub(crate) fn client_of(&self, url: &str) -> anyhow::Result<access_log::Client> {
        let password = match &self.clickhouse_password_file {
            Some(file) => read_secret(file)?,
            None => Zeroizing::default(),
        };
        let client = access_log::Client::connect(url, &self.clickhouse_user, &password)?;
        Ok(match &self.clickhouse_cluster {
            Some(cluster) => client.on_cluster(cluster.clone()),
            None => client,
        })
    }
}

/// A secret in a file, without the line feed that editors put at its end.
pub(crate) fn read_secret(file: &Path) -> anyhow::Result<Zeroizing<String>> {
    let text = fs::read_to_string(file).with_context(|| format!("read the secret in {}", file.display()))?;
    let secret = Zeroizing::new(Zeroizing::new(text).trim_end_matches(['\r', '\n']).to_owned());
    ensure!(!secret.is_empty(), "{} is empty", file.display());
    Ok(secret)
}
