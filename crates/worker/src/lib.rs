//! Role: makes what runs equal to what should run.
//!
//! The worker follows the view of instances, compares it with the replicas that it runs, and acts on the difference.
//! It holds no plan and keeps no state of its own: one that dies anywhere leaves nothing that the next does not
//! clean up and finish. What becomes of a replica is reported as commands, like any other wish.
//!
//! Reading order: `plan` says what has to be done, `reconcile` does it, `local` is the life of one replica as a
//! process on this machine; `probe` asks every instance how it is. `mcpcan` runs the role.
//!
//! It must not decide what is wanted, route calls, or tell anybody a server's secrets.

mod handshake;
mod hold;
mod local;
mod logs;
mod plan;
mod probe;
mod reconcile;
mod report;

use std::path::PathBuf;

use anyhow::Context as _;
use store::Store;
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
    /// Whether servers elsewhere may have private addresses: what the gateways refuse is not probed.
    pub private_upstreams: bool,
}

/// Runs the role until shutdown. When it returns, none of its replicas runs any more.
///
/// # Errors
/// There is no bridge, the data directory cannot be used, or the view cannot be followed.
pub async fn run(config: Config, store: Store, context: service::Context) -> anyhow::Result<()> {
    let ready = context.readiness.register(ROLE);
    // Servers are started in directories of their own: a relative path would be looked for there.
    let bridge = tokio::fs::canonicalize(&config.bridge)
        .await
        .with_context(|| format!("find the bridge {}", config.bridge.display()))?;
    let config = Config { bridge, ..config };
    let private_upstreams = config.private_upstreams;
    let local = Local::open(config, store.clone(), context.shutdown.clone())
        .await
        .context("open the data directory")?;
    // Before anything is started: what is found now is of an earlier life.
    local.sweep().await;
    let view = store.follow::<Instances>(|_, _| {}).await.context("follow the view of instances")?;
    let probing = context.readiness.register("worker: probes");
    let probes = async {
        let (store, view, shutdown) = (store.clone(), view.clone(), context.shutdown.clone());
        if let Err(error) = probe::run(store, view, private_upstreams, &probing, shutdown).await {
            // What runs goes on, and so do those who look after it.
            tracing::error!(error = format!("{error:#}"), "probes have ended");
            probing.set(false);
        }
    };
    let reconciler =
        Reconciler::new(store.clone(), local, view.clone()).run(context.shutdown.clone(), &ready);
    tokio::join!(reconciler, probes).0
}
