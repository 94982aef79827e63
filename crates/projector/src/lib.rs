//! Role: folds events into views, and carries trace events, container logs and samples of probes into ClickHouse.
//!
//! Tasks that share nothing: the views, the sinks, retention, the hash chain. One that cannot go on lowers its readiness flag and
//! leaves the others alone. Of all projectors, one does each task; the others stand by.

mod alone;
mod chain;
mod project;
mod retention;
mod sink;

use access_log::{ContainerLine, HealthSample, TraceRecord};
use service::Context;
use store::Store;
use tokio::task::JoinSet;
use views::{Instances, RetentionPlans, Templates, Tokens};

use alone::Work;
use project::Project;
use retention::Keep;
use sink::Carry;

/// The role's name.
pub const ROLE: &str = "projector";

/// Projects until shutdown.
///
/// # Errors
/// A task panicked.
pub async fn run(store: Store, access_log: access_log::Client, context: Context) -> anyhow::Result<()> {
    let mut tasks = Tasks { store, context, running: JoinSet::new() };
    tasks.start("projector: view instances", Project::<Instances>::default());
    tasks.start("projector: view tokens", Project::<Tokens>::default());
    tasks.start("projector: view templates", Project::<Templates>::default());
    tasks.start("projector: view retention_plans", Project::<RetentionPlans>::default());
    tasks.start("projector: access log", Carry::<TraceRecord>::new(access_log.clone()));
    tasks.start("projector: container log", Carry::<ContainerLine>::new(access_log.clone()));
    tasks.start("projector: health samples", Carry::<HealthSample>::new(access_log.clone()));
    tasks.start("projector: retention", Keep::new(access_log));
    tasks.start("projector: chain", chain::Link);
    while let Some(ended) = tasks.running.join_next().await {
        ended?;
    }
    Ok(())
}

struct Tasks {
    store: Store,
    context: Context,
    running: JoinSet<()>,
}

impl Tasks {
    /// `flag` tells in the readiness report how the task is.
    fn start(&mut self, flag: &'static str, work: impl Work) {
        let (ready, shutdown) = (self.context.readiness.register(flag), self.context.shutdown.clone());
        self.running.spawn(alone::run(work, self.store.clone(), ready, shutdown));
    }
}
