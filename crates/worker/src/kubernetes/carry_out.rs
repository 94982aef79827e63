//! Does what was planned for one instance, one thing after the other.

use std::collections::BTreeMap;

use domain::InstanceId;
use domain::instance::{FailureReason, Hosted, InstanceDecider, State};
use store::{OpenError, Store};
use uuid::Uuid;

use super::cluster::{CallError, Cluster};
use super::kind::Kind;
use super::plan::{Action, removal};
use super::watching::Watching;
use super::{manifest, naming};
use crate::local::{CREDENTIAL_VARIABLE, Credential};

/// Why not everything was done.
#[derive(Debug)]
pub(crate) enum Undone {
    /// People have to hear of it: it will fail again as long as things are as they are.
    Failed(FailureReason, String),
    /// Something did not answer.
    Later(Box<dyn std::error::Error + Send + Sync>),
}

impl From<CallError> for Undone {
    fn from(error: CallError) -> Undone {
        match error {
            CallError::Refused(message) if message.contains("exceeded quota") => {
                Undone::Failed(FailureReason::QuotaExceeded, message)
            }
            CallError::Refused(message) => Undone::Failed(FailureReason::Rejected, message),
            CallError::Unavailable(_) => Undone::Later(Box::new(error)),
        }
    }
}

/// Does these actions of one instance; the first that fails ends it.
pub(crate) async fn carry_out(
    store: &Store,
    cluster: &Cluster,
    watching: &Watching,
    hosted: Option<&Hosted>,
    actions: Vec<Action>,
) -> Result<(), Undone> {
    for action in actions {
        tracing::info!(instance = %action.instance(), action = action.name(), "act on the cluster");
        match action {
            Action::MakeSecret { instance, generation } => {
                // Only what is hosted has secrets.
                let Some(hosted) = hosted else { continue };
                make_secret(store, cluster, watching, instance, generation, hosted).await?;
            }
            Action::Apply { object, .. } => watching.note(object.kind, &cluster.apply(&object).await?),
            Action::Delete { instance, kind, name, uid } => {
                cluster.delete(kind, &name, &uid).await?;
                watching.note_gone(instance, kind, &name);
            }
            Action::Bury { instance } => bury(store, cluster, watching, instance).await?,
        }
    }
    Ok(())
}

/// Opens what is sealed and puts it where the pods of this generation read it, with a credential for them.
async fn make_secret(
    store: &Store,
    cluster: &Cluster,
    watching: &Watching,
    instance: InstanceId,
    generation: u64,
    hosted: &Hosted,
) -> Result<(), Undone> {
    let mut values = BTreeMap::new();
    for (name, sealed) in &hosted.env {
        let value = store.vault().open(instance.0, sealed).await.map_err(|error| match error {
            OpenError::Unavailable(_) => Undone::Later(Box::new(error)),
            _ => {
                let detail = format!("the environment variable {name} cannot be unsealed: {error}");
                Undone::Failed(FailureReason::SpawnFailed, detail)
            }
        })?;
        values.insert(name.clone(), value.to_vec());
    }
    values.insert(CREDENTIAL_VARIABLE.to_owned(), Credential::random().as_bytes().to_vec());
    let secret = manifest::secret(&cluster.pods, instance, generation, values);
    // One that is there already is of somebody who got this far and no further.
    cluster.create_secret(&secret).await?;
    if let Some(made) = cluster.get(Kind::Secret, &naming::secret_name(instance, generation)).await? {
        watching.note(Kind::Secret, &made);
    }
    Ok(())
}

/// A view can lack a row for other reasons than that the instance was deleted: the log has the last word.
async fn bury(
    store: &Store,
    cluster: &Cluster,
    watching: &Watching,
    instance: InstanceId,
) -> Result<(), Undone> {
    let loaded = store.load::<InstanceDecider>(&instance, domain::CommandId(Uuid::nil())).await;
    if loaded.map_err(|error| Undone::Later(Box::new(error)))?.state != State::Deleted {
        tracing::debug!(%instance, "leave what is on the cluster: the instance is not deleted");
        return Ok(());
    }
    for action in removal(&watching.seen(), instance) {
        if let Action::Delete { kind, name, uid, .. } = action {
            cluster.delete(kind, &name, &uid).await?;
            watching.note_gone(instance, kind, &name);
        }
    }
    Ok(())
}
