//! `up`: the whole platform on this machine. NATS and ClickHouse run beside it as processes, the roles in this one.
//!
//! Reading order: [`run`], then `roles` for how they start and end, `backing` for what they work on. A role or a
//! part that ends by itself ends `up` with the reason: what is left would only seem to work.

mod backing;
mod clickhouse;
mod nats;
mod part;
mod port;
mod roles;
mod summary;

use std::env;
use std::io::Write as _;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use clap::Args;
use service::CancellationToken;
use service::tracing_setup::LogFormat;
use tokio::net::TcpListener;
use url::Url;

use crate::backing::ClickhouseArguments;
use crate::data_directory::DataDirectory;
use crate::failure::Failure;
use crate::gateway_limits::{GatewayLimits, Masked, Proxies, UpstreamAddresses};
use crate::kubernetes::KubernetesArguments;
use crate::output::Output;
use crate::whereabouts::{DATA_DIRECTORY, RunFile};
use crate::{open_files, role};
use backing::{Backing, Parts};
use roles::Roles;

/// What is logged unless `MCPCAN_LOG` says otherwise: the terminal is the user's.
const LOG_FILTER: &str = "warn";

#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// Where to serve the API, as IP:PORT.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:7080")]
    api: SocketAddr,
    /// Where to meet MCP clients, as IP:PORT.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:7090")]
    gateway: SocketAddr,
    /// The address at which clients reach the gateway, when it is another than the one it listens on.
    #[arg(long, value_name = "URL")]
    gateway_url: Option<Url>,
    /// The loopback port for NATS; 0 is any free one.
    #[arg(long, value_name = "PORT", default_value_t = 7422)]
    nats_port: u16,
    #[command(flatten)]
    addresses: UpstreamAddresses,
    #[command(flatten)]
    limits: GatewayLimits,
    #[command(flatten)]
    masked: Masked,
    #[command(flatten)]
    proxies: Proxies,
    /// Use this NATS server instead of starting one.
    #[arg(long, value_name = "URL")]
    nats_url: Option<String>,
    /// The directory in which `mcpcan nats-config` has put the users' passwords: each role is a user of its own.
    #[arg(long, value_name = "DIR", requires = "nats_url")]
    nats_users: Option<PathBuf>,
    /// One user for all roles instead, who then has to have all their rights.
    #[arg(long, value_name = "USER", requires_all = ["nats_url", "nats_password_file"], conflicts_with = "nats_users")]
    nats_user: Option<String>,
    /// A file that holds that user's password.
    #[arg(long, value_name = "FILE", requires = "nats_user")]
    nats_password_file: Option<PathBuf>,
    /// The loopback port for ClickHouse; 0 is any free one.
    #[arg(long, value_name = "PORT", default_value_t = 7123)]
    clickhouse_port: u16,
    #[command(flatten)]
    clickhouse: ClickhouseArguments,
    /// The program mcpcan-bridge; the one beside this program otherwise.
    #[arg(long, value_name = "FILE")]
    bridge: Option<PathBuf>,
    /// A variable of this environment that hosted servers are given too; repeat for more.
    #[arg(long, value_name = "NAME")]
    pass_env: Vec<String>,
    #[command(flatten)]
    kubernetes: KubernetesArguments,
    /// How diagnostics are written to stderr.
    #[arg(long, value_enum, default_value_t)]
    log_format: LogFormat,
}

/// Everything that must be free or present is taken before anything is started.
struct Claims {
    api: TcpListener,
    gateway: TcpListener,
    bridge: PathBuf,
}

/// Runs until Ctrl-C, a signal, or the end of something that must not end.
pub(crate) fn run(arguments: Arguments, data: Option<PathBuf>, output: Output) -> Result<(), Failure> {
    service::tracing_setup::init(arguments.log_format, LOG_FILTER)?;
    open_files::raise_limit();
    let data = DataDirectory::take(&data.unwrap_or_else(|| PathBuf::from(DATA_DIRECTORY)))?;
    let runtime = tokio::runtime::Runtime::new().context("start the runtime")?;
    // The future runs on the main thread, which `Part::start` asks for.
    Ok(runtime.block_on(async {
        let shutdown = service::shutdown::on_signal().context("listen for signals")?;
        let mut parts = Parts::default();
        let ended = live(&arguments, &data, &mut parts, &shutdown, output).await;
        parts.stop().await;
        ended
    })?)
}

async fn live(
    arguments: &Arguments,
    data: &DataDirectory,
    parts: &mut Parts,
    shutdown: &CancellationToken,
    output: Output,
) -> anyhow::Result<()> {
    let claims = claim(arguments)?;
    let prepared = async {
        let backing = backing::start(arguments, data, parts).await?;
        let stores = backing::connect(&backing, data).await?;
        anyhow::Ok((backing, stores))
    };
    let (backing, stores) = tokio::select! {
        prepared = prepared => prepared?,
        () = shutdown.cancelled() => return Ok(()),
    };
    let run = run_file(arguments, data, &claims, &backing)?;
    let mut roles = Roles::start(arguments, data, claims, &backing, stores, &run)?;
    let ended = tokio::select! {
        ended = tell_when_ready(&mut roles, &run, data, output) => ended,
        error = parts.ended() => Err(error),
        () = shutdown.cancelled() => Ok(()),
    };
    announce(&ended)?;
    run.remove(data.path());
    roles.stop().await;
    ended
}

/// Says at once why everything is being stopped: stopping takes a while, and what the roles say meanwhile, when NATS
/// or ClickHouse is gone, would puzzle.
fn announce(ended: &anyhow::Result<()>) -> std::io::Result<()> {
    let mut err = std::io::stderr().lock();
    match ended {
        Ok(()) => writeln!(err, "stopping; Ctrl-C again ends at once"),
        Err(error) => writeln!(err, "stopping, because {error:#}"),
    }
}

fn claim(arguments: &Arguments) -> anyhow::Result<Claims> {
    let api = port::listen(arguments.api, "the api", "--api")?;
    let gateway = port::listen(arguments.gateway, "the gateway", "--gateway")?;
    if arguments.nats_url.is_none() {
        port::check_free(arguments.nats_port, "NATS", "--nats-port")?;
    }
    if arguments.clickhouse.clickhouse_url.is_none() {
        port::check_free(arguments.clickhouse_port, "ClickHouse", "--clickhouse-port")?;
    }
    let bridge = role::find_bridge(arguments.bridge.as_deref())?;
    Ok(Claims { api: TcpListener::from_std(api)?, gateway: TcpListener::from_std(gateway)?, bridge })
}

fn run_file(
    arguments: &Arguments,
    data: &DataDirectory,
    claims: &Claims,
    backing: &Backing,
) -> anyhow::Result<RunFile> {
    let gateway = match &arguments.gateway_url {
        Some(url) => url.clone(),
        None => reachable(claims.gateway.local_addr()?)?,
    };
    Ok(RunFile {
        pid: std::process::id(),
        api: reachable(claims.api.local_addr()?)?,
        gateway,
        nats: backing.nats_url.clone(),
        clickhouse: backing.clickhouse_url.clone(),
        admin_key_file: data.admin_key_file(),
    })
}

/// The address under which this machine reaches a listener, which may listen on all addresses.
fn reachable(mut address: SocketAddr) -> anyhow::Result<Url> {
    if address.ip().is_unspecified() {
        address.set_ip(match address {
            SocketAddr::V4(_) => Ipv4Addr::LOCALHOST.into(),
            SocketAddr::V6(_) => Ipv6Addr::LOCALHOST.into(),
        });
    }
    Ok(Url::parse(&format!("http://{address}"))?)
}

/// Says where everything is once all of it is ready, and returns only when a role ends by itself.
async fn tell_when_ready(
    roles: &mut Roles,
    run: &RunFile,
    data: &DataDirectory,
    output: Output,
) -> anyhow::Result<()> {
    roles.ready().await?;
    run.write(data.path()).context("write the run file")?;
    let document = serde_json::to_value(run).context("write the run file")?;
    output.one(&document, || summary::summary(run, data))?;
    Err(roles.ended().await)
}

/// A program on PATH.
fn on_path(program: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH")?;
    env::split_paths(&path).map(|folder| folder.join(program)).find(|file| is_executable(file))
}

fn is_executable(file: &Path) -> bool {
    const ANY_EXECUTE_BIT: u32 = 0o111;
    file.metadata().is_ok_and(|found| found.is_file() && found.permissions().mode() & ANY_EXECUTE_BIT != 0)
}

/// A server part that `make tools` fetched: this program lies in a build folder of the same tree.
fn tool(path: &str) -> Option<PathBuf> {
    let program = env::current_exe().ok()?;
    program.ancestors().map(|folder| folder.join(".tools").join(path)).find(|file| file.exists())
}
