//! From a pod that listens to a replica that is ready: asked over MCP, with every step told.

use std::net::SocketAddr;

use anyhow::Context as _;
use domain::instance::{Fact, FailureReason, ServerInfo};
use store::Store;

use super::cluster::Cluster;
use super::naming;
use crate::handshake::{self, NoAnswer};
use crate::local::{CREDENTIAL_VARIABLE, Credential};
use crate::report::{Subject, Unwanted, report};

/// What came of asking.
pub(crate) enum Shaken {
    /// It is ready, and the view tells so from this sequence on.
    Ready { sequence: u64 },
    /// It did not answer as it should; that is told from this sequence on.
    Failed { reason: FailureReason, detail: String, sequence: u64 },
    /// The log does not want it.
    Unwanted,
    /// The platform could not ask.
    NotAsked(anyhow::Error),
}

/// Asks a replica, and tells the log.
pub(crate) async fn shake_hands(
    store: &Store,
    cluster: &Cluster,
    subject: Subject,
    address: SocketAddr,
    is_known: bool,
) -> Shaken {
    match try_shake_hands(store, cluster, subject, address, is_known).await {
        Ok(Ok(shaken)) => shaken,
        Ok(Err(unwanted)) => {
            tracing::info!(reason = %unwanted, replica = %subject.replica, "replica is not wanted");
            Shaken::Unwanted
        }
        Err(error) => Shaken::NotAsked(error),
    }
}

async fn try_shake_hands(
    store: &Store,
    cluster: &Cluster,
    subject: Subject,
    address: SocketAddr,
    is_known: bool,
) -> anyhow::Result<Result<Shaken, Unwanted>> {
    let Some(credential) = credential(cluster, subject).await? else {
        anyhow::bail!("the secret of the replica is not there");
    };
    let sealed = store.vault().seal(subject.instance.0, credential.as_bytes()).await;
    let sealed = sealed.context("seal the credential of the replica")?;
    let told = async {
        if !is_known {
            report(store, subject, Fact::Starting).await?;
        }
        report(store, subject, Fact::Handshaking).await?;
        let endpoint = format!("http://{address}/mcp");
        let server = match handshake::shake_hands(&endpoint, credential.headers()).await {
            Ok(answered) => answered.close().await,
            Err(NoAnswer { reason, detail }) => {
                let failed = Fact::Failed { reason, detail: detail.clone() };
                let sequence = report(store, subject, failed).await?;
                return Ok(Shaken::Failed { reason, detail, sequence });
            }
        };
        let server = ServerInfo { revisions: vec![server.protocol_version.clone()], ..server };
        tracing::info!(replica = %subject.replica, endpoint, "replica is ready");
        let ready = Fact::Ready { endpoint, credential: Some(sealed), server };
        Ok(Shaken::Ready { sequence: report(store, subject, ready).await? })
    };
    Ok(told.await)
}

/// What opens the replicas of a generation.
async fn credential(cluster: &Cluster, subject: Subject) -> anyhow::Result<Option<Credential>> {
    let name = naming::secret_name(subject.instance, subject.generation);
    let value =
        cluster.secret_value(&name, CREDENTIAL_VARIABLE).await.context("read the secret of the replica")?;
    value.map(|value| Credential::read(value).context("read the credential of the replica")).transpose()
}
