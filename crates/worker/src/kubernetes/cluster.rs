//! The cluster as the runtime calls it. Every call has a bound; what the cluster answers is told from its silence.

use std::time::Duration;

use anyhow::Context as _;
use k8s_openapi::api::core::v1::{Pod, Secret};
use kube::api::{
    DeleteParams, DynamicObject, Patch, PatchParams, PostParams, Preconditions, PropagationPolicy,
};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Api, Client};

use super::config::{Config, Pods};
use super::kind::Kind;
use super::manifest::Object;
use super::naming::FIELD_MANAGER;

/// How long one call may take.
const CALL_MAX: Duration = Duration::from_secs(30);
const CONNECT_MAX: Duration = Duration::from_secs(10);

/// A cluster and the namespace in it.
#[derive(Clone)]
pub(crate) struct Cluster {
    pub(crate) client: Client,
    pub(crate) namespace: String,
    pub(crate) pods: Pods,
}

/// Why a call came to nothing.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CallError {
    /// The cluster understood it and will refuse it again.
    #[error("the cluster refused it: {0}")]
    Refused(String),
    /// It may be answered another time.
    #[error("the cluster did not do it")]
    Unavailable(#[source] Box<dyn std::error::Error + Send + Sync>),
}

impl Cluster {
    /// Reads how the cluster is reached; nothing is called yet.
    ///
    /// # Errors
    /// The kubeconfig cannot be read or has no such context, or this is no pod where none is named.
    pub(crate) async fn new(config: &Config) -> anyhow::Result<Cluster> {
        let mut client = match &config.kubeconfig {
            Some(path) => {
                let read = Kubeconfig::read_from(path);
                let kubeconfig = read.with_context(|| format!("read the kubeconfig {}", path.display()))?;
                let options = KubeConfigOptions { context: config.context.clone(), ..Default::default() };
                kube::Config::from_custom_kubeconfig(kubeconfig, &options)
                    .await
                    .with_context(|| format!("use the kubeconfig {}", path.display()))?
            }
            None => kube::Config::incluster().context(
                "find the cluster of this pod; outside of a cluster, a kubeconfig says how one is reached",
            )?,
        };
        client.connect_timeout = Some(CONNECT_MAX);
        client.default_namespace.clone_from(&config.namespace);
        let client = Client::try_from(client).context("make a client of the cluster")?;
        Ok(Cluster { client, namespace: config.namespace.clone(), pods: config.pods.clone() })
    }

    pub(crate) fn objects(&self, kind: Kind) -> Api<DynamicObject> {
        Api::namespaced_with(self.client.clone(), &self.namespace, &kind.resource())
    }

    pub(crate) fn pods(&self) -> Api<Pod> {
        Api::namespaced(self.client.clone(), &self.namespace)
    }

    /// Makes an object what it should be, whoever has changed it.
    pub(crate) async fn apply(&self, object: &Object) -> Result<DynamicObject, CallError> {
        let parameters = PatchParams::apply(FIELD_MANAGER).force();
        let objects = self.objects(object.kind);
        called(objects.patch(&object.name, &parameters, &Patch::Apply(&object.body))).await
    }

    /// Makes a secret; none if there is one of this name already.
    pub(crate) async fn create_secret(&self, secret: &Secret) -> Result<bool, CallError> {
        let secrets: Api<Secret> = Api::namespaced(self.client.clone(), &self.namespace);
        let parameters = PostParams { field_manager: Some(FIELD_MANAGER.to_owned()), ..Default::default() };
        let create = async {
            match secrets.create(&parameters, secret).await {
                Err(kube::Error::Api(status)) if status.is_already_exists() => Ok(false),
                created => created.map(|_| true),
            }
        };
        called(create).await
    }

    /// An object as it is now, if there is one.
    pub(crate) async fn get(&self, kind: Kind, name: &str) -> Result<Option<DynamicObject>, CallError> {
        called(self.objects(kind).get_opt(name)).await
    }

    /// What a secret holds under a key, if there is such a secret.
    pub(crate) async fn secret_value(&self, name: &str, key: &str) -> Result<Option<Vec<u8>>, CallError> {
        let secrets: Api<Secret> = Api::namespaced(self.client.clone(), &self.namespace);
        let secret = called(secrets.get_opt(name)).await?;
        Ok(secret.and_then(|secret| secret.data?.remove(key)).map(|value| value.0))
    }

    /// Removes exactly this object; that it is gone already is as good.
    pub(crate) async fn delete(&self, kind: Kind, name: &str, uid: &str) -> Result<(), CallError> {
        let parameters = DeleteParams {
            propagation_policy: Some(PropagationPolicy::Background),
            preconditions: Some(Preconditions { uid: Some(uid.to_owned()), resource_version: None }),
            ..Default::default()
        };
        let delete = async {
            match self.objects(kind).delete(name, &parameters).await {
                // Under this name lies nothing, or another object.
                Err(kube::Error::Api(status)) if status.code == 404 || status.code == 409 => Ok(()),
                deleted => deleted.map(drop),
            }
        };
        called(delete).await
    }
}

/// The answer within the bound.
async fn called<T>(call: impl Future<Output = kube::Result<T>>) -> Result<T, CallError> {
    match tokio::time::timeout(CALL_MAX, call).await {
        Ok(Ok(answer)) => Ok(answer),
        Ok(Err(error)) => Err(CallError::from(error)),
        Err(elapsed) => Err(CallError::Unavailable(Box::new(elapsed))),
    }
}

impl From<kube::Error> for CallError {
    fn from(error: kube::Error) -> CallError {
        match &error {
            // What is wrong with the object stays wrong. A missing right may be given, but not while one waits.
            kube::Error::Api(status) if matches!(status.code, 400 | 403 | 413 | 422) => {
                CallError::Refused(status.message.clone())
            }
            _ => CallError::Unavailable(Box::new(error)),
        }
    }
}
