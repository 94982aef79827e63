//! Role: makes what runs equal to what should run.
//!
//! The worker follows the view of instances, compares it with the replicas that it runs, and acts on the difference.
//! It holds no plan and keeps no state of its own: one that dies anywhere leaves nothing that the next does not
//! clean up and finish. What becomes of a replica is reported as commands, like any other wish.
//!
//! There are two runtimes. Of the local one, `plan` says what has to be done, `reconcile` does it, `local` is the life of
//! one replica as a process on this machine. `kubernetes` is the other one, on a cluster. Whichever it is, `probe` asks
//! every instance how it is. `mcpcan` runs the role.
//!
//! It must not decide what is wanted, route calls, or tell anybody a server's secrets.

mod handshake;
mod hold;
pub mod kubernetes;
mod local;
mod logs;
mod plan;
mod probe;
mod reconcile;
mod report;

use std::path::PathBuf;

use anyhow::Context as _;
use service::{CancellationToken, ReadyFlag};
use store::{Follower, Store};
use views::Instances;

use local::Local;
use reconcile::Reconciler;

/// The name of the role in readiness reports and in the log.
pub const ROLE: &str = "worker";

/// Settings of the role.
#[derive(Clone, Debug)]
pub struct Config {
    /// The data directory. Only one worker may run on it at a time; the caller holds the lock.
    pub data: PathBuf,
    /// The program `mcpcan-bridge`.
    pub bridge: PathBuf,
    /// Names of variables of the worker's own environment that hosted servers are given too, besides the few that
    /// every program needs.
    pub pass_environment: Vec<String>,
    /// Whether servers elsewhere, and APIs of OpenAPI documents, may have private addresses: what the gateways refuse is
    /// not probed.
    pub private_upstreams: bool,
    /// The cluster on which instances run, instead of this machine.
    pub kubernetes: Option<kubernetes::Config>,
}

/// Runs the role until shutdown. When it returns, none of its replicas runs on this machine any more.
///
/// # Errors
/// There is no bridge, the data directory cannot be used, or the view cannot be followed.
pub async fn run(config: Config, store: Store, context: service::Context) -> anyhow::Result<()> {
    let ready = context.readiness.register(ROLE);
    let view = store.follow::<Instances>(|_, _| {}).await.context("follow the view of instances")?;
    let probing = context.readiness.register("worker: probes");
    let (private_upstreams, shutdown) = (config.private_upstreams, context.shutdown);
    let probes = async {
        let (store, view, shutdown) = (store.clone(), view.clone(), shutdown.clone());
        if let Err(error) = probe::run(store, view, private_upstreams, &probing, shutdown).await {
            // What runs goes on, and so do those who look after it.
            tracing::error!(error = format!("{error:#}"), "probes have ended");
            probing.set(false);
        }
    };
    let runtime = async {
        match config.kubernetes.clone() {
            Some(cluster) => kubernetes::run(&cluster, &store, &view, &shutdown, &ready).await,
            None => run_here(config, store.clone(), view.clone(), shutdown.clone(), &ready).await,
        }
    };
    tokio::join!(runtime, probes).0
}

/// Runs the replicas as processes of this machine.
async fn run_here(
    config: Config,
    store: Store,
    view: Follower<Instances>,
    shutdown: CancellationToken,
    ready: &ReadyFlag,
) -> anyhow::Result<()> {
    // Servers are started in directories of their own: a relative path would be looked for there.
    let bridge = tokio::fs::canonicalize(&config.bridge)
        .await
        .with_context(|| format!("find the bridge {}", config.bridge.display()))?;
    let config = Config { bridge, ..config };
    let local =
        Local::open(config, store.clone(), shutdown.clone()).await.context("open the data directory")?;
    // Before anything is started: what is found now is of an earlier life.
    local.sweep().await;
    Reconciler::new(store, local, view).run(shutdown, ready).await
}
