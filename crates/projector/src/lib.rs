//! Role: folds events into views, and carries trace events and container logs into ClickHouse.
//!
//! Tasks that share nothing: the views, the sinks, the hash chain. One that cannot go on lowers its readiness flag and
//! leaves the others alone. Of all projectors, one does each task; the others stand by.

mod alone;
mod chain;
mod project;
mod sink;

use access_log::{ContainerLine, TraceRecord};
use service::Context;
use store::Store;
use tokio::task::JoinSet;
use views::{Instances, RetentionPlans, Templates, Tokens};

use project::Project;
use sink::Carry;

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
    tasks.spawn(alone::run(
        Project::<Instances>::default(),
        store.clone(),
        flag("projector: view instances"),
        shutdown(),
    ));
    tasks.spawn(alone::run(
        Project::<Tokens>::default(),
        store.clone(),
        flag("projector: view tokens"),
        shutdown(),
    ));
    tasks.spawn(alone::run(
        Project::<Templates>::default(),
        store.clone(),
        flag("projector: view templates"),
        shutdown(),
    ));
    tasks.spawn(alone::run(
        Project::<RetentionPlans>::default(),
        store.clone(),
        flag("projector: view retention_plans"),
        shutdown(),
    ));
    let (traces, lines) =
        (Carry::<TraceRecord>::new(access_log.clone()), Carry::<ContainerLine>::new(access_log));
    tasks.spawn(alone::run(traces, store.clone(), flag("projector: access log"), shutdown()));
    tasks.spawn(alone::run(lines, store.clone(), flag("projector: container log"), shutdown()));
    tasks.spawn(alone::run(chain::Link, store, flag("projector: chain"), shutdown()));
    while let Some(ended) = tasks.join_next().await {
        ended?;
    }
    Ok(())
}
