//! One role as a process of its own, for an installation that is spread over machines. `up` runs the same roles
//! together in one process.

use std::future::Future;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use clap::Args;
use service::tracing_setup::LogFormat;
use service::{Context, Readiness};
use store::{Role, Store};
use tokio::net::TcpListener;
use url::Url;

use crate::backing::{ClickhouseArguments, NatsArguments, SealedNatsArguments, read_secret};
use crate::data_directory::DataDirectory;
use crate::failure::Failure;
use crate::gateway_limits::{GatewayLimits, Masked, Proxies, UpstreamAddresses};
use crate::kubernetes::KubernetesArguments;
use crate::open_files;

/// What a role logs unless `MCPCAN_LOG` says otherwise.
pub(crate) const LOG_FILTER: &str = "info";

/// What every role process is told.
#[derive(Debug, Args)]
struct ProcessArguments {
    /// Where to answer /healthz, /readyz and /metrics, as IP:PORT.
    #[arg(long, value_name = "ADDRESS")]
    health: Option<SocketAddr>,
    /// How diagnostics are written to stderr.
    #[arg(long, value_enum, default_value_t)]
    log_format: LogFormat,
}

#[derive(Debug, Args)]
pub(crate) struct ApiArguments {
    /// Where to serve the API, as IP:PORT.
    #[arg(long, value_name = "ADDRESS")]
    listen: SocketAddr,
    /// A file that holds the admin key.
    #[arg(long, env = "MCPCAN_ADMIN_KEY_FILE", value_name = "FILE")]
    admin_key_file: PathBuf,
    /// The address at which clients reach the gateway.
    #[arg(long, value_name = "URL")]
    gateway_url: Url,
    #[command(flatten)]
    addresses: UpstreamAddresses,
    #[command(flatten)]
    nats: SealedNatsArguments,
    #[command(flatten)]
    clickhouse: ClickhouseArguments,
    #[command(flatten)]
    process: ProcessArguments,
}

#[derive(Debug, Args)]
pub(crate) struct DeciderArguments {
    #[command(flatten)]
    nats: NatsArguments,
    #[command(flatten)]
    process: ProcessArguments,
}

#[derive(Debug, Args)]
pub(crate) struct ProjectorArguments {
    #[command(flatten)]
    nats: SealedNatsArguments,
    #[command(flatten)]
    clickhouse: ClickhouseArguments,
    #[command(flatten)]
    process: ProcessArguments,
}

#[derive(Debug, Args)]
pub(crate) struct WorkerArguments {
    /// The program mcpcan-bridge; the one beside this program otherwise.
    #[arg(long, value_name = "FILE")]
    bridge: Option<PathBuf>,
    /// A variable of this environment that hosted servers are given too; repeat for more.
    #[arg(long, value_name = "NAME")]
    pass_env: Vec<String>,
    #[command(flatten)]
    addresses: UpstreamAddresses,
    #[command(flatten)]
    kubernetes: KubernetesArguments,
    #[command(flatten)]
    nats: SealedNatsArguments,
    #[command(flatten)]
    process: ProcessArguments,
}

#[derive(Debug, Args)]
pub(crate) struct GatewayArguments {
    /// Where to meet MCP clients, as IP:PORT.
    #[arg(long, value_name = "ADDRESS")]
    listen: SocketAddr,
    /// Names this replica in the access log: letters, digits, - and _, and nobody else's name.
    #[arg(long, value_name = "NAME")]
    id: String,
    /// The address at which clients reach the gateway: on a loopback address, requests to other names are refused.
    #[arg(long, value_name = "URL")]
    gateway_url: Option<Url>,
    #[command(flatten)]
    addresses: UpstreamAddresses,
    #[command(flatten)]
    limits: GatewayLimits,
    #[command(flatten)]
    masked: Masked,
    #[command(flatten)]
    proxies: Proxies,
    #[command(flatten)]
    nats: SealedNatsArguments,
    #[command(flatten)]
    process: ProcessArguments,
}

pub(crate) fn api(arguments: ApiArguments) -> Result<(), Failure> {
    run(&arguments.process, async |context| {
        let admin_key = api::AdminKey::new(&read_secret(&arguments.admin_key_file)?);
        let mut config = api::Config::new(admin_key, arguments.gateway_url.clone());
        config.private_upstreams = arguments.addresses.allow_private();
        let store = arguments.nats.connect(Role::Api).await?;
        say_readiness(&store, Role::Api, None, &context);
        let access_log = arguments.clickhouse.client()?;
        api::run(config, store, access_log, context, bind(arguments.listen).await?).await
    })
}

pub(crate) fn decider(arguments: DeciderArguments) -> Result<(), Failure> {
    run(&arguments.process, async |context| {
        let store = arguments.nats.connect(Role::Decider).await?;
        say_readiness(&store, Role::Decider, None, &context);
        decider::run(store, context).await
    })
}

pub(crate) fn projector(arguments: ProjectorArguments) -> Result<(), Failure> {
    run(&arguments.process, async |context| {
        let store = arguments.nats.connect(Role::Projector).await?;
        say_readiness(&store, Role::Projector, None, &context);
        let access_log = arguments.clickhouse.client()?;
        projector::run(store, access_log, context).await
    })
}

pub(crate) fn worker(arguments: WorkerArguments, data: Option<PathBuf>) -> Result<(), Failure> {
    let data = own_data(data)?;
    run(&arguments.process, async |context| {
        let config = worker::Config {
            data: data.path().to_owned(),
            bridge: find_bridge(arguments.bridge.as_deref())?,
            pass_environment: arguments.pass_env.clone(),
            private_upstreams: arguments.addresses.allow_private(),
            kubernetes: arguments.kubernetes.config(),
        };
        let store = arguments.nats.connect(Role::Worker).await?;
        say_readiness(&store, Role::Worker, None, &context);
        worker::run(config, store, context).await
    })
}

pub(crate) fn gateway(arguments: GatewayArguments, data: Option<PathBuf>) -> Result<(), Failure> {
    let data = own_data(data)?;
    run(&arguments.process, async |context| {
        let mut config = gateway::Config::new(arguments.id.clone(), data.directory("spool")?);
        config.public_url.clone_from(&arguments.gateway_url);
        config.limits = (&arguments.limits).into();
        config.masked_keys = arguments.masked.keys();
        config.trusted_proxies = arguments.proxies.trusted();
        config.private_upstreams = arguments.addresses.allow_private();
        let store = arguments.nats.connect(Role::Gateway).await?;
        say_readiness(&store, Role::Gateway, Some(arguments.id.clone()), &context);
        gateway::run(config, store, context, bind(arguments.listen).await?).await
    })
}

/// The program that stands next to hosted servers, as an absolute path.
pub(crate) fn find_bridge(named: Option<&Path>) -> anyhow::Result<PathBuf> {
    let bridge = match named {
        Some(named) => named.to_owned(),
        None => std::env::current_exe().context("find the mcpcan program")?.with_file_name("mcpcan-bridge"),
    };
    bridge.canonicalize().with_context(|| {
        format!("find the bridge {}: `make build` makes it, --bridge names another", bridge.display())
    })
}

/// Two processes on one data directory would clean up after each other.
fn own_data(data: Option<PathBuf>) -> Result<DataDirectory, Failure> {
    let data =
        data.ok_or_else(|| Failure::Usage("this role needs --data: a directory of its own".to_owned()))?;
    Ok(DataDirectory::take(&data)?)
}

/// Runs a role until a signal asks it to end.
fn run<F: Future<Output = anyhow::Result<()>>>(
    process: &ProcessArguments,
    role: impl FnOnce(Context) -> F,
) -> Result<(), Failure> {
    service::tracing_setup::init(process.log_format, LOG_FILTER)?;
    open_files::raise_limit();
    let runtime = tokio::runtime::Runtime::new().context("start the runtime")?;
    let ended = runtime.block_on(async {
        let shutdown = service::shutdown::on_signal().context("listen for signals")?;
        let context = Context { shutdown, readiness: Readiness::default() };
        let health = serve_health(process.health, &context).await?;
        let ended = role(context.clone()).await;
        context.shutdown.cancel();
        health.await.context("serve health")?;
        ended
    });
    Ok(ended?)
}

/// Has everybody who asks for the platform's status know how this process is.
pub(crate) fn say_readiness(store: &Store, role: Role, process: Option<String>, context: &Context) {
    let (store, readiness) = (store.clone(), context.readiness.clone());
    let roles = move || {
        let report = readiness.report();
        report.roles.into_iter().map(|(role, ready)| (role.to_owned(), ready)).collect()
    };
    tokio::spawn(async move { match store.keep_saying_readiness(role, process.as_deref(), roles).await {} });
}

async fn serve_health(
    address: Option<SocketAddr>,
    context: &Context,
) -> anyhow::Result<tokio::task::JoinHandle<()>> {
    let Some(address) = address else { return Ok(tokio::spawn(async {})) };
    let listener = bind(address).await?;
    service::metrics::install().context("record metrics")?;
    Ok(tokio::spawn(service::health::serve(listener, context.clone())))
}

async fn bind(address: SocketAddr) -> anyhow::Result<TcpListener> {
    TcpListener::bind(address).await.with_context(|| format!("listen on {address}"))
}
