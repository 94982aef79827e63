//! From nothing to a server that has answered a handshake, with every step reported.

use std::ffi::OsString;
use std::net::SocketAddr;
use std::os::unix::ffi::OsStringExt as _;
use std::time::Duration;

use domain::Sealed;
use domain::instance::{CommandLine, Fact, FailureReason, Hosted, ServerInfo, Source};
use store::OpenError;
use tokio::sync::watch;
use tokio::time::{sleep, timeout};

use super::bridge::{Bridge, ChildExit, Eras, Launch, Said};
use super::credential::Credential;
use super::environment::Environment;
use super::halt::Halt;
use super::program::Program;
use super::{Local, Replica, cookie, workplace};
use crate::handshake::{self, HANDSHAKE_MAX, NoAnswer};
use crate::logs::Log;
use crate::report::report;

/// How long a bridge may take to listen.
const LISTEN_MAX: Duration = Duration::from_secs(10);
/// How long to wait for the news that the child ended, when a handshake failed and that may be why.
const EXPLANATION_MAX: Duration = Duration::from_millis(500);
/// The pause before the vault is asked again when NATS did not answer.
const SECRET_RETRY_PAUSE: Duration = Duration::from_secs(1);

impl Local {
    /// Starts the replica and shakes hands with it. The bridge is put into `place` as soon as it runs, so that it
    /// can be ended even if this is not waited for.
    pub(super) async fn bring_up<'a>(
        &self,
        replica: &Replica,
        log: &Log,
        place: &'a mut Option<Bridge>,
    ) -> Result<&'a mut Bridge, Halt> {
        let _start = self.starts.acquire().await.expect("the semaphore is never closed");
        report(&self.store, replica.subject, Fact::Starting).await?;
        let credential = Credential::random();
        let sealed = self.seal(replica, &credential).await?;
        let bridge = place.insert(self.start(replica, &credential, log).await?);
        let said = bridge.said();
        let address = listening(bridge, said.clone()).await?;
        report(&self.store, replica.subject, Fact::Handshaking).await?;
        let endpoint = format!("http://{address}/mcp");
        let mut server = shake_hands(bridge, said.clone(), &endpoint, &credential).await?;
        // No session is opened before the bridge knows this.
        if let Some(eras) = &said.borrow().eras {
            spoken(&mut server, eras);
        }
        tracing::info!(endpoint, "replica is ready");
        let ready = Fact::Ready { endpoint, credential: Some(sealed), server };
        report(&self.store, replica.subject, ready).await?;
        Ok(bridge)
    }

    /// Prepares the working directory and starts the bridge. Nothing is awaited once the bridge runs.
    async fn start(&self, replica: &Replica, credential: &Credential, log: &Log) -> Result<Bridge, Halt> {
        let values = self.open_environment(replica).await?;
        let own = |name: &str| std::env::var_os(name);
        let cookie = cookie::variables(&self.owner, replica.subject.replica);
        let platform = cookie.into_iter().chain([credential.variable()]);
        let environment = Environment::assemble(own, &self.pass_environment, values, platform);
        let directory =
            workplace::make(self.data.clone(), replica.subject.instance).await.map_err(|error| {
                let detail = format!("the working directory cannot be made: {error}");
                Halt::failed(FailureReason::SpawnFailed, detail)
            })?;
        let command = runnable(&replica.hosted)?;
        let found = self.program(&replica.hosted, command, &environment, &directory).await?;
        let Program { program, arguments, before_api, process } = &found;
        let (before_api, process, environment) = (*before_api, *process, &environment);
        let launch =
            Launch { bridge: &self.bridge, program, arguments, before_api, process, environment, directory };
        let bridge = Bridge::start(&launch, &log.sender()).map_err(|error| {
            let detail = format!("the bridge {} cannot be started: {error}", self.bridge.display());
            Halt::failed(FailureReason::SpawnFailed, detail)
        })?;
        tracing::info!("replica is started");
        Ok(bridge)
    }

    /// Opens the values of the instance's own variables.
    async fn open_environment(&self, replica: &Replica) -> Result<Vec<(String, OsString)>, Halt> {
        let owner = replica.subject.instance.0;
        let mut opened = vec![];
        for (name, sealed) in &replica.hosted.env {
            let value = answered(|| self.store.vault().open(owner, sealed)).await.map_err(|error| {
                let detail = format!("the environment variable {name} cannot be unsealed: {error}");
                Halt::failed(FailureReason::SpawnFailed, detail)
            })?;
            opened.push((name.clone(), OsString::from_vec(value.to_vec())));
        }
        Ok(opened)
    }

    /// The credential as the log may hold it.
    async fn seal(&self, replica: &Replica, credential: &Credential) -> Result<Sealed, Halt> {
        let owner = replica.subject.instance.0;
        answered(|| self.store.vault().seal(owner, credential.as_bytes())).await.map_err(|error| {
            let detail = format!("the credential of the replica cannot be sealed: {error}");
            Halt::failed(FailureReason::SpawnFailed, detail)
        })
    }
}

/// Adds which revisions the server itself speaks. Of one without sessions, the handshake was with the bridge.
fn spoken(server: &mut ServerInfo, eras: &Eras) {
    if !eras.sessions
        && let Some(stateless) = &eras.stateless
    {
        server.protocol_version.clone_from(stateless);
    }
    server.revisions = vec![server.protocol_version.clone()];
    server.revisions.extend(eras.stateless.clone().filter(|_| eras.sessions));
}

/// The command of a server that can run as a process of this machine.
fn runnable(hosted: &Hosted) -> Result<&CommandLine, Halt> {
    let unsupported = |what: &str| {
        let detail =
            format!("{what} a Kubernetes environment, and this worker runs processes of its own machine");
        Halt::failed(FailureReason::Unsupported, detail)
    };
    match &hosted.source {
        Source::Image { .. } => Err(unsupported("an image needs")),
        Source::Command(_) if !hosted.mounts.is_empty() => Err(unsupported("mounts need")),
        Source::Command(command) => Ok(command),
    }
}

/// Asks the vault until it answers: that NATS does not says nothing about a secret.
async fn answered<T, F: Future<Output = Result<T, OpenError>>>(ask: impl Fn() -> F) -> Result<T, OpenError> {
    loop {
        match ask().await {
            Err(OpenError::Unavailable(error)) => {
                tracing::warn!(error = &error as &dyn std::error::Error, "ask the vault; trying again");
                sleep(SECRET_RETRY_PAUSE).await;
            }
            answer => return answer,
        }
    }
}

/// Waits for the bridge to say where it listens.
async fn listening(bridge: &mut Bridge, mut said: watch::Receiver<Said>) -> Result<SocketAddr, Halt> {
    let address = async {
        let said = said.wait_for(|said| said.listening.is_some()).await.ok().and_then(|said| said.listening);
        match said {
            Some(address) => address,
            // The bridge has closed its output: how it ended tells why.
            None => std::future::pending().await,
        }
    };
    tokio::select! {
        address = address => Ok(address),
        ended = bridge.exited() => Err(Halt::bridge_ended(ended, "before it listened")),
        () = sleep(LISTEN_MAX) => {
            let detail = format!("the bridge did not listen within {} s", LISTEN_MAX.as_secs());
            Err(Halt::failed(FailureReason::SpawnFailed, detail))
        }
    }
}

/// Shakes hands with the server, and gives up as soon as there is nobody who could answer: when the child that was
/// asked ends, the bridge fails the request. That another child has ended, one that was started ahead, says nothing.
async fn shake_hands(
    bridge: &mut Bridge,
    said: watch::Receiver<Said>,
    endpoint: &str,
    credential: &Credential,
) -> Result<ServerInfo, Halt> {
    let answered = tokio::select! {
        answered = handshake::shake_hands(endpoint, credential.headers()) => match answered {
            Ok(answered) => Ok(answered),
            Err(error) => Err(explained(error, said).await),
        },
        ended = bridge.exited() => Err(Halt::bridge_ended(ended, "during the handshake")),
        () = sleep(HANDSHAKE_MAX) => {
            let detail = format!("no answer to the MCP handshake within {} s", HANDSHAKE_MAX.as_secs());
            Err(Halt::failed(FailureReason::HandshakeTimeout, detail))
        }
    };
    // Ending the session ends a child in good order: from here on that says nothing about the server.
    Ok(answered?.close().await)
}

/// Why a handshake failed: because the server ended, if it did.
async fn explained(error: NoAnswer, mut said: watch::Receiver<Said>) -> Halt {
    match timeout(EXPLANATION_MAX, child_exit(&mut said)).await {
        Ok(Some(exit)) => Halt::server_ended(exit),
        Ok(None) | Err(_) => error.into(),
    }
}

async fn child_exit(said: &mut watch::Receiver<Said>) -> Option<ChildExit> {
    said.wait_for(|said| said.child_exit.is_some()).await.ok().and_then(|said| said.child_exit)
}
