//! Listens, serves connections, and ends everything in order: no child outlives the bridge.

use std::convert::Infallible;
use std::error::Error;
use std::pin::pin;
use std::rc::{Rc, Weak};
use std::time::Duration;

use anyhow::Context as _;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use mcp::origin::Names;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::spawn_local;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::credential::Credential;
use crate::links::Links;
use crate::meter::Meter;
use crate::pool::Pool;
use crate::probe::{self, Eras};
use crate::report::Report;
use crate::session::Session;
use crate::sessions::{self, Sessions};
use crate::translate::{Listeners, Rounds};
use crate::wire::Ending;
use crate::{config, http, open_files, stop};

/// Connections at a time; more wait in the kernel's queue.
const CONNECTIONS_MAX: usize = 4096;
/// Time a connection has to send the head of a request, from the end of the one before. Longer than clients keep unused
/// connections (90 s are common), so that none is closed under a request that is just being sent.
const HEAD_TIMEOUT: Duration = Duration::from_secs(150);
/// Pause after an accept that failed, for example for want of file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// Time the children have to end when the bridge does: longer than each of them is given.
const CHILDREN_GRACE: Duration = Duration::from_secs(10);
/// Time connections have to send their last answers when the bridge ends.
const CONNECTIONS_GRACE: Duration = Duration::from_secs(2);
/// Time the last records have to be read from stdout.
const REPORT_GRACE: Duration = Duration::from_secs(1);

/// What all connections share.
pub(crate) struct Bridge {
    pub(crate) config: config::Stdio,
    /// What every request but those for its health must present, when there is one.
    pub(crate) credential: Option<Credential>,
    /// The children's limit of open files.
    pub(crate) open_files: rustix::process::Rlimit,
    /// What requests may call it.
    pub(crate) names: Names,
    pub(crate) report: Report,
    pub(crate) sessions: Sessions,
    pub(crate) pool: Pool,
    pub(crate) links: Links,
    /// Calls of newer clients that an older server holds.
    pub(crate) rounds: Rounds,
    /// Newer clients that listen to an older server.
    pub(crate) listeners: Listeners,
    /// Bodies of requests that are being received or worked on.
    pub(crate) received: Meter,
    /// What the server speaks, once it is known.
    pub(crate) probed: watch::Sender<Option<Eras>>,
    /// For tasks that outlive the call that starts them.
    pub(crate) myself: Weak<Bridge>,
    /// The tasks that see the children to their end.
    pub(crate) children: TaskTracker,
}

impl Bridge {
    pub(crate) fn end(&self, session: &Session, ending: Ending) {
        self.sessions.remove(session);
        self.pool.look_again();
        session.end(ending);
    }

    /// What the server speaks. Waits until that is known.
    pub(crate) async fn eras(&self) -> Eras {
        let mut probed = self.probed.subscribe();
        let eras = probed.wait_for(Option::is_some).await.ok().and_then(|eras| eras.clone());
        eras.expect("the bridge keeps the sender, and what was awaited is there")
    }
}

/// Serves until it is told to stop.
pub(crate) async fn run(config: config::Stdio) -> anyhow::Result<()> {
    config.check()?;
    let credential = Credential::from_environment()?;
    let open_files = open_files::raise(config.open_files)?;
    let stopped = stop::requested(config.lifeline)?;
    let listener =
        TcpListener::bind(config.listen).await.with_context(|| format!("listen on {}", config.listen))?;
    let address = listener.local_addr().context("read the address that was bound")?;
    let (report, writer) = Report::start();
    let bridge = Rc::new_cyclic(|myself| Bridge {
        config,
        credential,
        open_files,
        names: Names::new(address, []),
        report,
        sessions: Sessions::default(),
        pool: Pool::default(),
        links: Links::default(),
        rounds: Rounds::default(),
        listeners: Listeners::default(),
        received: Meter::default(),
        probed: watch::Sender::new(None),
        myself: myself.clone(),
        children: TaskTracker::new(),
    });
    let prober = spawn_local(probe::run(bridge.clone()));
    let sweeper = spawn_local(sessions::sweep(bridge.clone()));
    let (closing, connections) = (CancellationToken::new(), TaskTracker::new());
    let acceptor = spawn_local(accept(bridge.clone(), listener, closing.clone(), connections.clone()));
    bridge.report.listening(address).await;
    tracing::info!(%address, "listening");

    let reason = stopped.await;
    tracing::info!(reason, "ending");
    acceptor.abort();
    prober.abort();
    sweeper.abort();
    end(&bridge, &closing, &connections).await;
    drop((bridge, acceptor.await, prober.await, sweeper.await));
    if timeout(REPORT_GRACE, writer).await.is_err() {
        tracing::warn!("the last records were not read from stdout");
    }
    Ok(())
}

async fn end(bridge: &Bridge, closing: &CancellationToken, connections: &TaskTracker) {
    bridge.sessions.end(Ending::ShuttingDown);
    bridge.pool.end(Ending::ShuttingDown);
    bridge.links.end(Ending::ShuttingDown);
    closing.cancel();
    connections.close();
    bridge.children.close();
    if timeout(CHILDREN_GRACE, bridge.children.wait()).await.is_err() {
        tracing::error!(children = bridge.children.len(), "children are left that cannot be killed");
    }
    tracing::debug!("all children have ended");
    if timeout(CONNECTIONS_GRACE, connections.wait()).await.is_err() {
        tracing::info!(connections = connections.len(), "connections are cut that did not end");
    }
}

async fn accept(
    bridge: Rc<Bridge>,
    listener: TcpListener,
    closing: CancellationToken,
    connections: TaskTracker,
) {
    let places = Rc::new(tokio::sync::Semaphore::new(CONNECTIONS_MAX));
    loop {
        let place = places.acquire().await.expect("the semaphore is never closed");
        match listener.accept().await {
            Ok((stream, _)) => {
                place.forget();
                let (places, connection) = (places.clone(), serve(bridge.clone(), stream, closing.clone()));
                connections.spawn_local(async move {
                    connection.await;
                    places.add_permits(1);
                });
            }
            Err(error) => {
                tracing::warn!(%error, "cannot accept a connection");
                sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

async fn serve(bridge: Rc<Bridge>, stream: TcpStream, closing: CancellationToken) {
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "cannot set TCP_NODELAY");
    }
    let service = service_fn(move |request| {
        let bridge = bridge.clone();
        async move { Ok::<_, Infallible>(http::answer(bridge, request).await) }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT)
        .serve_connection(TokioIo::new(stream), service);
    let mut connection = pin!(connection);
    let served = tokio::select! {
        served = connection.as_mut() => served,
        () = closing.cancelled() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = served {
        // A client that went away; its calls go on.
        tracing::debug!(error = chain(&error), "connection ended");
    }
}

/// An error with its causes, on one line.
pub(crate) fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        next = cause.source();
    }
    text
}
