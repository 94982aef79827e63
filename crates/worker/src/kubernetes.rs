//! The Kubernetes runtime: an instance is a Deployment with what belongs to it, and each of its pods a replica.
//!
//! Reading order: `manifest` says what an instance is made of, `seen` what lies on the cluster, `plan` what has to be
//! done there, `condition` how a pod is, `steps` what has to be told of it; `reconcile` does it, again and again.
//! `watching` keeps current what is seen, `follow` carries what the pods write.
//!
//! Any number of workers may share a cluster: one of them acts at a time (`store::Task::Kubernetes`), and all that it
//! does can be done twice.

mod carry_out;
mod cluster;
mod condition;
mod config;
mod follow;
mod kind;
mod manifest;
mod naming;
mod plan;
mod reconcile;
mod seen;
mod setback;
mod shake;
mod steps;
mod trouble;
mod watching;

use std::time::Duration;

use service::{CancellationToken, ReadyFlag};
use store::{Follower, Store, Task};
use views::Instances;

use cluster::Cluster;
pub use config::{Config, Images, Pods};
use reconcile::Reconciler;

/// How long to wait before asking for the lease again after NATS was away.
const RETRY_DELAY: Duration = Duration::from_millis(500);
/// How long giving the lease back may take at the end. Others take over a moment later anyway.
const RELEASE_WAIT: Duration = Duration::from_secs(1);

/// Runs until shutdown. What runs on the cluster goes on: it needs no worker to serve.
///
/// # Errors
/// The cluster's address cannot be read, or the view cannot be followed.
pub(crate) async fn run(
    config: &Config,
    store: &Store,
    view: &Follower<Instances>,
    shutdown: &CancellationToken,
    ready: &ReadyFlag,
) -> anyhow::Result<()> {
    let cluster = Cluster::new(config).await?;
    loop {
        let lease = tokio::select! {
            () = shutdown.cancelled() => return Ok(()),
            lease = store.lease(Task::Kubernetes, || ready.set(true)) => lease,
        };
        let mut lease = match lease {
            Ok(lease) => lease,
            Err(error) => {
                tracing::warn!(error = &error as &dyn std::error::Error, "ask for the lease again");
                tokio::select! { () = shutdown.cancelled() => return Ok(()), () = tokio::time::sleep(RETRY_DELAY) => continue }
            }
        };
        let reconciler = Reconciler::new(store.clone(), cluster.clone(), view.clone());
        let ended = tokio::select! {
            () = shutdown.cancelled() => Some(Ok(())),
            ended = reconciler.run(ready) => Some(ended),
            lost = lease.keep() => {
                let error = &lost as &dyn std::error::Error;
                tracing::warn!(error, "the cluster is not this process's to act on any more");
                None
            }
        };
        if tokio::time::timeout(RELEASE_WAIT, lease.release()).await.is_err() {
            tracing::debug!("the lease is left to be taken over");
        }
        if let Some(ended) = ended {
            return ended;
        }
    }
}
