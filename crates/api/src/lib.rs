//! Role: the command and query API.
//!
//! Commands go to the bus and come back as outcomes; queries are answered from the followed views and from ClickHouse.
//! No rule about what a command may do lives here: this is only where requests are checked for their form, secrets
//! are sealed, and outcomes become answers. Start reading in `router.rs`.

mod access_log;
mod app;
mod authorize;
mod client_config;
mod command;
mod config;
mod container_log;
mod directory;
mod error;
mod events;
mod extract;
mod health;
mod instances;
mod moment;
mod paging;
mod problem;
mod request_log;
mod router;
mod server;
mod tokens;
mod violation;

use std::sync::Arc;

use anyhow::Context as _;
use store::Store;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;

pub use config::{AdminKey, COMMAND_WAIT, Config, VIEW_WAIT};

/// The role's name.
const ROLE: &str = "api";

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
    let app = app::App {
        config: Arc::new(config),
        directory: directory::Directory::follow(&store).await.context("follow the views")?,
        store,
        access_log,
        readiness: context.readiness.clone(),
        shutdown: context.shutdown.clone(),
        tails: Arc::new(Semaphore::new(events::TAILS_MAX)),
    };
    ready.set(true);
    server::serve(listener, router::router(app), context.shutdown).await;
    Ok(())
}
