//! Role: folds events into views, and carries trace events and container logs into ClickHouse.
//!
//! Four tasks that share nothing: two views, two sinks. One that cannot go on lowers its readiness flag and leaves
//! the others alone.

mod project;
mod sink;

use access_log::{ContainerLine, TraceRecord};
use service::Context;
use store::Store;
use tokio::task::JoinSet;
use views::{Instances, Tokens};

/// The role's name.
pub const ROLE: &str = "projector";

/// Projects until shutdown.
///
/// # Errors
/// A task panicked.
pub async fn run(store: Store, access_log: access_log::Client, context: Context) -> anyhow::Result<()> {
    let mut tasks = JoinSet::new();
    let flag = |name| context.readiness.register(name);
    let shutdown = || context.shutdown.clone();
    tasks.spawn(project::run::<Instances>(store.clone(), flag("projector: view instances"), shutdown()));
    tasks.spawn(project::run::<Tokens>(store.clone(), flag("projector: view tokens"), shutdown()));
    let traces = sink::run::<TraceRecord>(
        store.clone(),
        access_log.clone(),
        flag("projector: access log"),
        shutdown(),
    );
    tasks.spawn(traces);
    tasks.spawn(sink::run::<ContainerLine>(store, access_log, flag("projector: container log"), shutdown()));
    while let Some(ended) = tasks.join_next().await {
        ended?;
    }
    Ok(())
}
