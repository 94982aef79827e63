//! The local runtime: each replica is a process on this machine, under a bridge.
//!
//! [`Local::live`] is the whole life of one replica: started, brought up, watched, ended, with every fact reported.
//! It returns only when nothing of the replica is left. `reconcile` decides which replicas live.

mod bridge;
mod bring_up;
mod cookie;
mod credential;
mod environment;
mod halt;
mod lines;
mod program;
mod workplace;

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use domain::InstanceId;
use domain::instance::{Fact, Hosted};
use service::CancellationToken;
use store::Store;
use tokio::sync::Semaphore;

use crate::Config;
use crate::logs::Log;
use crate::report::{Subject, report};
use bridge::Bridge;
pub(crate) use bridge::Message;
use cookie::{Owner, Whose};
pub(crate) use credential::{Credential, VARIABLE as CREDENTIAL_VARIABLE};
use halt::{Halt, last_fact};

/// How many replicas come up at the same time.
const STARTS_AT_ONCE: usize = 16;
/// How long the report of an end is tried once the worker is shutting down; the next start makes up for it.
const LAST_REPORT_MAX: Duration = Duration::from_secs(5);

/// The local runtime.
pub(crate) struct Local {
    store: Store,
    bridge: PathBuf,
    pass_environment: Vec<String>,
    private_upstreams: bool,
    /// The data directory, absolute and without links.
    data: PathBuf,
    /// Marks the processes of our replicas as ours.
    owner: Owner,
    starts: Semaphore,
    shutdown: CancellationToken,
}

/// A replica to be.
pub(crate) struct Replica {
    pub(crate) subject: Subject,
    pub(crate) hosted: Hosted,
    /// Whether no other is tried if this one never becomes ready.
    pub(crate) is_last: bool,
}

/// How a replica's life ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Ended {
    pub(crate) how: How,
    /// A view that has reached it knows of the end.
    pub(crate) sequence: u64,
}

/// Why a replica's life ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum How {
    /// It was told to.
    Told,
    /// The log did not want it.
    Unwanted,
    /// This runtime cannot run what is asked for.
    Unsupported,
    Failed {
        /// How long it had been ready, if it ever was.
        ready_for: Option<Duration>,
    },
}

impl Local {
    /// # Errors
    /// The data directory cannot be made or found.
    pub(crate) async fn open(
        config: Config,
        store: Store,
        shutdown: CancellationToken,
    ) -> std::io::Result<Local> {
        tokio::fs::create_dir_all(&config.data).await?;
        let data = tokio::fs::canonicalize(&config.data).await?;
        let owner = Owner::of(&data);
        let Config { bridge, pass_environment, private_upstreams, .. } = config;
        let starts = Semaphore::new(STARTS_AT_ONCE);
        Ok(Local { store, bridge, pass_environment, private_upstreams, data, owner, starts, shutdown })
    }

    /// Kills whatever an earlier life of this data directory has left running.
    pub(crate) async fn sweep(&self) {
        self.sweep_up(Whose::Everyone).await;
    }

    /// The instances that own a working directory.
    ///
    /// # Errors
    /// The data directory cannot be read.
    pub(crate) async fn directories(&self) -> std::io::Result<BTreeSet<InstanceId>> {
        workplace::list(self.data.clone()).await
    }

    /// Removes the working directory of an instance.
    ///
    /// # Errors
    /// Something in it cannot be removed.
    pub(crate) async fn remove_directory(&self, instance: InstanceId) -> std::io::Result<()> {
        workplace::remove(self.data.clone(), instance).await
    }

    /// The life of a replica, from its first report to its last.
    pub(crate) async fn live(&self, replica: &Replica, end: &CancellationToken) -> Ended {
        let Subject { instance, replica: id, .. } = replica.subject;
        let log = Log::open(&self.store, instance, id);
        let mut bridge = None;
        let halt = tokio::select! {
            biased;
            () = end.cancelled() => None,
            halt = self.serve(replica, &log, &mut bridge) => Some(halt),
        };
        if let Some(mut bridge) = bridge {
            bridge.end().await;
            self.sweep_up(Whose::Replica(id)).await;
            bridge.drain().await;
        }
        // Whoever sees the end of the replica finds its last words in the log.
        log.close().await;
        let (fact, how) = last_fact(halt, replica.is_last);
        Ended { how, sequence: self.report_end(replica.subject, fact).await }
    }

    /// Brings the replica up and watches it. Returns only when it cannot go on.
    async fn serve(&self, replica: &Replica, log: &Log, place: &mut Option<Bridge>) -> Halt {
        match self.bring_up(replica, log, place).await {
            Ok(bridge) => {
                let since = Instant::now();
                Halt::bridge_ended(bridge.exited().await, "while it was ready")
                    .after_ready_for(since.elapsed())
            }
            Err(halt) => halt,
        }
    }

    /// Gives the sequence at which the end is known; 0 if it could not be told.
    async fn report_end(&self, subject: Subject, fact: Fact) -> u64 {
        let last_chance = async {
            self.shutdown.cancelled().await;
            tokio::time::sleep(LAST_REPORT_MAX).await;
        };
        tokio::select! {
            reported = report(&self.store, subject, fact) => reported.unwrap_or_else(|reason| {
                // Most often the instance was deleted: then it has no replicas to tell about.
                tracing::info!(%reason, "the end of a replica is of no interest");
                0
            }),
            () = last_chance => {
                tracing::warn!("the end of a replica was not reported in time");
                0
            }
        }
    }

    async fn sweep_up(&self, whose: Whose) {
        let owner = self.owner.clone();
        match tokio::task::spawn_blocking(move || cookie::sweep(&owner, whose)).await {
            Ok(Ok(swept)) => {
                if swept.killed > 0 {
                    tracing::info!(killed = swept.killed, "processes left behind were killed");
                }
                if !swept.left.is_empty() {
                    tracing::error!(processes = ?swept.left, "processes left behind cannot be killed");
                }
            }
            Ok(Err(error)) => tracing::error!(%error, "look for processes left behind"),
            Err(error) => tracing::error!(%error, "look for processes left behind"),
        }
    }
}
