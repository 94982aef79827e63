//! Serves the embedded ClickHouse engine over ClickHouse's own HTTP interface on loopback.
//!
//! It exists so that a machine without a ClickHouse server runs the same client, the same migrations and the same
//! queries as one with a server: `access-log` does not know which of the two it speaks to. It must run in a process of
//! its own, since a crash of the engine is a crash of its process; `mcpcan clickhouse-embedded` is that process.
//!
//! It is not a server for others: one user, loopback only, no sessions, no compression, no native protocol. Whoever has
//! the password may do what the process may do, files included.

mod body;
mod chunks;
mod engine;
mod exception;
mod http;
mod lifeline;
mod pool;
mod request;
mod statement;

use std::fmt;
use std::io::Write;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::engine::Engine;
use crate::http::Interface;
use crate::pool::Pool;

/// Memory of the engine when nobody says, in bytes.
pub const DEFAULT_MEMORY_BYTES_MAX: u64 = 2 * 1024 * 1024 * 1024;

/// Client connections at once; further ones wait to be accepted.
const CONNECTIONS_MAX: usize = 256;

/// How long to wait when a client cannot be accepted.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// How long a client may take to send the head of a request.
const HEAD_TIME_MAX: Duration = Duration::from_secs(10);

/// The time any statement gets unless it asks for another, in seconds.
const STATEMENT_SECONDS_MAX: u64 = 300;

/// How long open requests may go on after the shutdown has begun.
const DRAIN_TIME_MAX: Duration = Duration::from_secs(5);

/// How long a statement that has been told to end may go on after that.
const STOP_TIME_MAX: Duration = Duration::from_secs(20);

/// What the process needs to know.
#[derive(Clone)]
pub struct Config {
    /// `libchdb.so`.
    pub library: PathBuf,
    /// Where the engine keeps its data; made if it is not there, and locked against a second engine.
    pub data: PathBuf,
    /// A loopback address; port 0 takes a free one.
    pub listen: SocketAddr,
    /// The password of the user `default`; empty asks for none.
    pub password: String,
    /// How much memory the engine may take for all statements together, in bytes.
    pub memory_bytes_max: u64,
    /// Whether the end of standard input ends the process too.
    pub lifeline: bool,
}

impl fmt::Debug for Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Config")
            .field("library", &self.library)
            .field("data", &self.data)
            .field("listen", &self.listen)
            .field("memory_bytes_max", &self.memory_bytes_max)
            .field("lifeline", &self.lifeline)
            .finish_non_exhaustive()
    }
}

/// Opens the engine, serves it, and closes it when `shutdown` is cancelled.
///
/// When requests are accepted it writes one line to standard output:
/// `{"type":"listening","address":"127.0.0.1:41234"}`.
///
/// # Errors
/// The library or the data path cannot be opened, the address cannot be bound or is not loopback, or a statement would
/// not end; after the last one the process has to be ended at once, which loses nothing that was acknowledged.
pub async fn run(config: Config, shutdown: CancellationToken) -> anyhow::Result<()> {
    ensure!(config.listen.ip().is_loopback(), "{} is not a loopback address: use 127.0.0.1", config.listen);
    if config.lifeline {
        lifeline::watch(shutdown.clone()).context("watch the parent process")?;
    }
    std::fs::create_dir_all(&config.data).with_context(|| format!("create {}", config.data.display()))?;
    let listener =
        TcpListener::bind(config.listen).await.with_context(|| format!("listen on {}", config.listen))?;
    let engine = open(&config).await?;
    let (version, timezone) = describe(&engine)?;
    let pool = Pool::start(&engine).context("start the statement threads")?;
    let interface = Arc::new(Interface { pool, password: config.password, version, timezone });

    announce(listener.local_addr()?)?;
    serve(&listener, &interface, &shutdown).await;
    drop(listener);
    close(interface, engine).await
}

/// Loading takes a moment and reads a large file, so it happens off the runtime.
async fn open(config: &Config) -> anyhow::Result<Arc<Engine>> {
    let options = [
        format!("max_server_memory_usage={}", config.memory_bytes_max),
        // Marks of the newest parts; the default of 5 GiB is for servers of their own.
        format!("mark_cache_size={}", config.memory_bytes_max / 16),
        format!("max_execution_time={STATEMENT_SECONDS_MAX}"),
        // The library's default is the one of `clickhouse local`, where `1 + 1` is a statement.
        "implicit_select=0".to_owned(),
    ];
    let (library, data) = (config.library.clone(), config.data.clone());
    let engine = tokio::task::spawn_blocking(move || Engine::open(&library, &data, &options)).await??;
    tracing::info!(data = %config.data.display(), "the ClickHouse engine is open");
    Ok(Arc::new(engine))
}

/// The engine's version and time zone.
fn describe(engine: &Engine) -> anyhow::Result<(String, String)> {
    let mut session = engine.session()?;
    let output = match session.execute("SELECT version(), timezone()", "TabSeparated", &[]) {
        Ok((output, _)) => String::from_utf8_lossy(&output).into_owned(),
        Err(exception) => bail!("ask the engine for its version: {exception}"),
    };
    match output.trim_end().split_once('\t') {
        Some((version, timezone)) => Ok((version.to_owned(), timezone.to_owned())),
        None => bail!("the engine answered {output:?} to a question for its version"),
    }
}

fn announce(address: SocketAddr) -> anyhow::Result<()> {
    let line = serde_json::json!({ "type": "listening", "address": address.to_string() });
    let mut stdout = std::io::stdout().lock();
    writeln!(stdout, "{line}")
        .and_then(|()| stdout.flush())
        .context("announce the address on standard output")
}

async fn serve(listener: &TcpListener, interface: &Arc<Interface>, shutdown: &CancellationToken) {
    let places = Arc::new(tokio::sync::Semaphore::new(CONNECTIONS_MAX));
    let open = GracefulShutdown::new();
    let mut server = hyper::server::conn::http1::Builder::new();
    server.timer(TokioTimer::new()).header_read_timeout(HEAD_TIME_MAX);
    let mut tasks = tokio::task::JoinSet::new();
    loop {
        let place = Arc::clone(&places).acquire_owned();
        let accepted = tokio::select! {
            () = shutdown.cancelled() => break,
            Some(_ended) = tasks.join_next() => continue,
            accepted = async { (place.await, listener.accept().await) } => accepted,
        };
        let (Ok(place), Ok((stream, _))) = accepted else {
            // Out of descriptors, or the client has left already: the next one may do better.
            tokio::time::sleep(ACCEPT_PAUSE).await;
            continue;
        };
        // Answers are small; waiting to fill a packet only delays them. A failure costs speed alone.
        let _slower = stream.set_nodelay(true);
        let interface = Arc::clone(interface);
        let service = service_fn(move |request| {
            let interface = Arc::clone(&interface);
            async move { Ok::<_, std::convert::Infallible>(interface.answer(request).await) }
        });
        let connection = open.watch(server.serve_connection(TokioIo::new(stream), service));
        tasks.spawn(async move {
            let _place = place;
            if let Err(error) = connection.await {
                tracing::debug!(%error, "a client connection broke");
            }
        });
    }
    if tokio::time::timeout(DRAIN_TIME_MAX, open.shutdown()).await.is_err() {
        tracing::warn!("some requests did not end in time and are cut");
    }
    // Clients that are cut cancel their statements, and their interface goes with them.
    tasks.shutdown().await;
}

/// Ends the threads, then the engine: exiting with a connection open would crash the process.
async fn close(interface: Arc<Interface>, engine: Arc<Engine>) -> anyhow::Result<()> {
    let interface = Arc::into_inner(interface).context("a request outlived its connection")?;
    let stopped = tokio::task::spawn_blocking(move || {
        if let Err(error) = end_statements(&engine) {
            tracing::warn!(error = format!("{error:#}"), "statements under way could not be told to end");
        }
        interface.pool.stop();
        Arc::into_inner(engine).map(Engine::close)
    });
    let closed =
        tokio::time::timeout(STOP_TIME_MAX, stopped).await.context("wait for the last statement")??;
    closed.context("a statement thread still holds the engine")?;
    tracing::info!("the ClickHouse engine is closed");
    Ok(())
}

/// Tells every statement to end whose client has been cut: one that gives no output would not notice for minutes.
fn end_statements(engine: &Engine) -> anyhow::Result<()> {
    let mut session = engine.session()?;
    match session.execute("KILL QUERY WHERE query NOT LIKE 'KILL QUERY%' ASYNC", "Null", &[]) {
        Ok(_) => Ok(()),
        Err(exception) => bail!("{exception}"),
    }
}
