//! The local runtime: each replica is a process on this machine, under a bridge.
//!
//! [`Local::live`] is the whole life of one replica: started, brought up, watched, ended, with every fact reported.
//! It returns only when nothing of the replica is left. `reconcile` decides which replicas live.

mod bridge;
mod cookie;
mod environment;
mod lines;
mod workplace;

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitStatus;
use std::time::{Duration, Instant};

use domain::InstanceId;
use domain::instance::{Fact, FailureReason, Hosted, ServerInfo};
use service::CancellationToken;
use store::Store;
use tokio::sync::{Semaphore, watch};

use crate::Config;
use crate::handshake::{self, HANDSHAKE_MAX, NoAnswer};
use crate::logs::Log;
use crate::report::{Subject, Unwanted, report};
use bridge::{Bridge, ChildExit, Launch, Said};
use cookie::Whose;
use environment::Environment;

/// How many replicas come up at the same time.
const STARTS_AT_ONCE: usize = 16;
/// How long a bridge may take to listen.
const LISTEN_MAX: Duration = Duration::from_secs(10);
/// How long a handshake may go on after a child has ended, because another child may be the one that answers.
const CHILD_EXIT_GRACE: Duration = Duration::from_secs(2);
/// How long to wait for the news that the child ended, when a handshake failed and that may be why.
const EXPLANATION_MAX: Duration = Duration::from_millis(500);
/// How long the report of an end is tried once the worker is shutting down; the next start makes up for it.
const LAST_REPORT_MAX: Duration = Duration::from_secs(5);

/// The local runtime.
pub(crate) struct Local {
    store: Store,
    bridge: PathBuf,
    pass_environment: Vec<String>,
    /// The data directory, absolute and without links: it names us in cookies.
    data: PathBuf,
    starts: Semaphore,
    shutdown: CancellationToken,
}

/// A replica to be.
pub(crate) struct Replica {
    pub(crate) subject: Subject,
    pub(crate) hosted: Hosted,
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
    Failed {
        /// How long it had been ready, if it ever was.
        ready_for: Option<Duration>,
    },
}

/// Why a replica cannot go on.
enum Halt {
    Unwanted(Unwanted),
    Failed { reason: FailureReason, detail: String, ready_for: Option<Duration> },
}

impl Halt {
    fn failed(reason: FailureReason, detail: impl Into<String>) -> Halt {
        Halt::Failed { reason, detail: detail.into(), ready_for: None }
    }
}

impl From<Unwanted> for Halt {
    fn from(unwanted: Unwanted) -> Self {
        Halt::Unwanted(unwanted)
    }
}

impl From<NoAnswer> for Halt {
    fn from(error: NoAnswer) -> Self {
        Halt::failed(error.reason, error.detail)
    }
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
        let Config { bridge, pass_environment, .. } = config;
        Ok(Local { store, bridge, pass_environment, data, starts: Semaphore::new(STARTS_AT_ONCE), shutdown })
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
        let (fact, how) = last_fact(halt);
        Ended { how, sequence: self.report_end(replica.subject, fact).await }
    }

    /// Brings the replica up and watches it. Returns only when it cannot go on.
    async fn serve(&self, replica: &Replica, log: &Log, place: &mut Option<Bridge>) -> Halt {
        let (bridge, since) = match self.bring_up(replica, log, place).await {
            Ok(up) => up,
            Err(halt) => return halt,
        };
        match bridge_ended(bridge.exited().await, "while it was ready") {
            Halt::Failed { reason, detail, .. } => {
                Halt::Failed { reason, detail, ready_for: Some(since.elapsed()) }
            }
            unwanted @ Halt::Unwanted(_) => unwanted,
        }
    }

    async fn bring_up<'a>(
        &self,
        replica: &Replica,
        log: &Log,
        place: &'a mut Option<Bridge>,
    ) -> Result<(&'a mut Bridge, Instant), Halt> {
        let _start = self.starts.acquire().await.expect("the semaphore is never closed");
        report(&self.store, replica.subject, Fact::Starting).await?;
        let bridge = place.insert(self.start(replica, log).await?);
        let said = bridge.said();
        let address = listening(bridge, said.clone()).await?;
        report(&self.store, replica.subject, Fact::Handshaking).await?;
        let endpoint = format!("http://{address}/mcp");
        let server = shake_hands(bridge, said, &endpoint).await?;
        tracing::info!(
            instance = %replica.subject.instance,
            replica = %replica.subject.replica,
            endpoint,
            "replica is ready"
        );
        report(&self.store, replica.subject, Fact::Ready { endpoint, server }).await?;
        Ok((bridge, Instant::now()))
    }

    /// Prepares the working directory and starts the bridge.
    async fn start(&self, replica: &Replica, log: &Log) -> Result<Bridge, Halt> {
        let Subject { instance, replica: id, .. } = replica.subject;
        let environment = self.environment(replica).await?;
        let directory = workplace::make(self.data.clone(), instance).await.map_err(|error| {
            Halt::failed(FailureReason::SpawnFailed, format!("the working directory cannot be made: {error}"))
        })?;
        let command = &replica.hosted.command;
        workplace::find_program(&command.program, environment.get("PATH"), &directory)
            .map_err(|detail| Halt::failed(FailureReason::ProgramNotFound, detail))?;
        let launch = Launch { bridge: &self.bridge, command, environment: &environment, directory };
        let bridge = Bridge::start(&launch, &log.sender()).map_err(|error| {
            let bridge = self.bridge.display();
            Halt::failed(
                FailureReason::SpawnFailed,
                format!("the bridge {bridge} cannot be started: {error}"),
            )
        })?;
        tracing::info!(%instance, replica = %id, "replica is started");
        Ok(bridge)
    }

    async fn environment(&self, replica: &Replica) -> Result<Environment, Halt> {
        let Subject { instance, replica: id, .. } = replica.subject;
        let mut opened = vec![];
        for (name, sealed) in &replica.hosted.env {
            let value = self.store.vault().open(instance.0, sealed).await.map_err(|error| {
                tracing::warn!(
                    %instance,
                    variable = name,
                    error = &error as &dyn std::error::Error,
                    "open the value of an environment variable"
                );
                let detail = format!("the environment variable {name} cannot be unsealed: {error}");
                Halt::failed(FailureReason::SpawnFailed, detail)
            })?;
            opened.push((name.clone(), std::os::unix::ffi::OsStringExt::from_vec(value.to_vec())));
        }
        let own = |name: &str| std::env::var_os(name);
        Ok(Environment::assemble(own, &self.pass_environment, opened, &self.data, id))
    }

    /// Gives the sequence at which the end is known; 0 if it could not be told.
    async fn report_end(&self, subject: Subject, fact: Fact) -> u64 {
        let Subject { instance, replica, .. } = subject;
        let last_chance = async {
            self.shutdown.cancelled().await;
            tokio::time::sleep(LAST_REPORT_MAX).await;
        };
        tokio::select! {
            reported = report(&self.store, subject, fact) => reported.unwrap_or_else(|reason| {
                // Most often the instance was deleted: then it has no replicas to tell about.
                tracing::info!(%instance, %replica, %reason, "the end of a replica is of no interest");
                0
            }),
            () = last_chance => {
                tracing::warn!(%instance, %replica, "the end of a replica was not reported in time");
                0
            }
        }
    }

    async fn sweep_up(&self, whose: Whose) {
        let owner = self.data.clone();
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

/// The last fact about a replica.
fn last_fact(halt: Option<Halt>) -> (Fact, How) {
    match halt {
        None => (Fact::Stopped, How::Told),
        Some(Halt::Unwanted(unwanted)) => {
            tracing::info!(reason = %unwanted, "replica is not wanted");
            (Fact::Stopped, How::Unwanted)
        }
        Some(Halt::Failed { reason, detail, ready_for }) => {
            tracing::warn!(reason = reason.as_str(), detail, "replica failed");
            (Fact::Failed { reason, detail }, How::Failed { ready_for })
        }
    }
}

/// Waits for the bridge to say where it listens.
async fn listening(bridge: &mut Bridge, mut said: watch::Receiver<Said>) -> Result<SocketAddr, Halt> {
    let address = async {
        let address =
            said.wait_for(|said| said.listening.is_some()).await.ok().and_then(|said| said.listening);
        match address {
            Some(address) => address,
            // The bridge has closed its output: how it ended tells why.
            None => std::future::pending().await,
        }
    };
    tokio::select! {
        address = address => Ok(address),
        ended = bridge.exited() => Err(bridge_ended(ended, "before it listened")),
        () = tokio::time::sleep(LISTEN_MAX) => {
            let detail = format!("the bridge did not listen within {} s", LISTEN_MAX.as_secs());
            Err(Halt::failed(FailureReason::SpawnFailed, detail))
        }
    }
}

/// Shakes hands with the server, and gives up as soon as there is nobody who could answer.
async fn shake_hands(
    bridge: &mut Bridge,
    said: watch::Receiver<Said>,
    endpoint: &str,
) -> Result<ServerInfo, Halt> {
    let answered = tokio::select! {
        answered = handshake::shake_hands(endpoint) => match answered {
            Ok(answered) => Ok(answered),
            Err(error) => Err(explained(error, said).await),
        },
        halt = child_exited(said.clone()) => Err(halt),
        ended = bridge.exited() => Err(bridge_ended(ended, "during the handshake")),
        () = tokio::time::sleep(HANDSHAKE_MAX) => {
            let detail = format!("no answer to the MCP handshake within {} s", HANDSHAKE_MAX.as_secs());
            Err(Halt::failed(FailureReason::HandshakeTimeout, detail))
        }
    };
    // Ending the session ends a child in good order: from here on that says nothing about the server.
    Ok(answered?.close().await)
}

/// Waits for a child to end, and then for as long as another one might still answer.
async fn child_exited(mut said: watch::Receiver<Said>) -> Halt {
    match wait_for_child_exit(&mut said).await {
        Some(exit) => {
            tokio::time::sleep(CHILD_EXIT_GRACE).await;
            server_ended(exit)
        }
        // The bridge has closed its output: how it ended tells why.
        None => std::future::pending().await,
    }
}

/// Why a handshake failed: because the server ended, if it did.
async fn explained(error: NoAnswer, mut said: watch::Receiver<Said>) -> Halt {
    match tokio::time::timeout(EXPLANATION_MAX, wait_for_child_exit(&mut said)).await {
        Ok(Some(exit)) => server_ended(exit),
        Ok(None) | Err(_) => error.into(),
    }
}

async fn wait_for_child_exit(said: &mut watch::Receiver<Said>) -> Option<ChildExit> {
    said.wait_for(|said| said.child_exit.is_some()).await.ok().and_then(|said| said.child_exit)
}

fn server_ended(exit: ChildExit) -> Halt {
    let detail = match (exit.code, exit.signal) {
        (Some(code), _) => format!("the server ended with exit code {code} before it answered the handshake"),
        (None, Some(signal)) => {
            format!("the server was ended by signal {signal} before it answered the handshake")
        }
        (None, None) => "the server ended before it answered the handshake".to_owned(),
    };
    Halt::failed(FailureReason::Exited, detail)
}

fn bridge_ended(ended: std::io::Result<ExitStatus>, when: &str) -> Halt {
    let detail = match ended {
        Ok(status) => format!("the bridge of the server ended {when}: {status}"),
        Err(error) => format!("the bridge of the server cannot be watched: {error}"),
    };
    Halt::failed(FailureReason::Exited, detail)
}
