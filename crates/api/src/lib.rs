//! Role: the command and query API.
//!
//! Commands go to the bus and come back as outcomes; queries are answered from the followed views and from ClickHouse.
//! No rule about what a command may do lives here: this is only where requests are checked for their form, secrets
//! are sealed, and outcomes become answers. Start reading in `router.rs`.

mod access_log;
mod app;
mod authorization;
mod authorize;
mod client_config;
mod command;
mod commands;
mod config;
mod container_log;
mod contract;
mod directory;
mod documents;
mod download;
mod error;
mod events;
mod export;
mod extract;
mod follow;
mod frames;
mod health;
mod health_history;
mod instances;
mod moment;
mod openapi;
mod paging;
mod probe;
mod problem;
mod request_log;
mod retention;
mod router;
mod settings;
mod state;
mod statistics;
mod status;
mod templates;
mod timeline;
mod tokens;
mod views;
mod violation;

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use hyper_util::service::TowerToHyperService;
use service::ReadyFlag;
use service::connections::{self, Limits};
use store::Store;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio::time::{sleep, timeout};

use app::App;
use directory::Directory;
use follow::Live;

pub use config::{AdminKey, COMMAND_WAIT, Config, VIEW_WAIT};
pub use router::openapi_document;

/// The role's name.
pub const ROLE: &str = "api";

/// What bounds the listener: the idle timeout suits clients that keep a connection between commands.
const LIMITS: Limits = Limits {
    connections_max: 1024,
    head_read_timeout: Duration::from_secs(30),
    shutdown_wait: Duration::from_secs(20),
};

/// How long the connection to NATS may be away before the role does not count as ready.
const CONNECTION_WAIT: Duration = Duration::from_secs(5);

/// How often it is looked whether the views are still current.
const READY_INTERVAL: Duration = Duration::from_millis(500);

/// Serves the API on `listener` until shutdown.
///
/// # Errors
/// The configuration is wrong, or the views cannot be followed.
pub async fn run(
    config: Config,
    store: Store,
    access_log: ::access_log::Client,
    context: service::Context,
    listener: TcpListener,
) -> anyhow::Result<()> {
    let ready = context.readiness.register(ROLE);
    let gateway_url = &config.gateway_url;
    anyhow::ensure!(
        matches!(gateway_url.scheme(), "http" | "https"),
        "the gateway's url {gateway_url} does not begin with http:// or https://"
    );
    let app = App {
        config: Arc::new(config),
        directory: Arc::new(Directory::follow(&store).await.context("follow the views")?),
        live: Arc::new(Live::new(&store)),
        store,
        access_log,
        readiness: context.readiness.clone(),
        shutdown: context.shutdown.clone(),
        tails: Arc::new(Semaphore::new(frames::TAILS_MAX)),
        downloads: Arc::new(Semaphore::new(download::DOWNLOADS_MAX)),
        imports: Arc::default(),
        documents: Arc::default(),
    };
    ready.set(true);
    let tell_readiness = tell_readiness(ready, app.clone());
    let service = TowerToHyperService::new(router::router(app));
    tokio::select! {
        () = connections::serve(listener, service, LIMITS, &context.shutdown) => Ok(()),
        never = tell_readiness => match never {},
    }
}

/// Answers from views that are cut off from the log would be old ones. That a view's watch is broken shows only once
/// there is a connection again, so the connection is asked too.
async fn tell_readiness(ready: ReadyFlag, app: App) -> Infallible {
    loop {
        sleep(READY_INTERVAL).await;
        let connected = matches!(timeout(CONNECTION_WAIT, app.store.flush()).await, Ok(Ok(())));
        ready.set(connected && app.directory.is_current());
    }
}
