//! The cluster that a test runs on.
//!
//! A real one is named by `MCPCAN_TEST_KUBECONFIG`, and never used but in a fresh namespace that the test makes and
//! removes. Images are not pulled there: `MCPCAN_TEST_BRIDGE_IMAGE` has the static bridge, `MCPCAN_TEST_SERVER_IMAGE` a
//! Python in which `MCPCAN_TEST_SERVER` is the path of `tests/worker/server.py`. Pods are reached at their own
//! addresses, so such a run stands where those can be reached.

use std::path::{Path, PathBuf};

use domain::instance::{Access, Command, CommandLine, Hosted, Source};
use domain::{InstanceId, Sealed};
use std::collections::BTreeMap;
use uuid::Uuid;
use worker::kubernetes::{Config, Images, Pods};

use super::fake::FakeCluster;
use crate::harness::{Platform, bridge, server_args};

const NAMESPACE: &str = "mcpcan-test";

/// A cluster with a platform on it.
pub(super) struct Target {
    pub(super) platform: Platform,
    /// None where the cluster is a real one.
    pub(super) fake: Option<FakeCluster>,
    pub(super) config: Config,
    image: String,
    server: Vec<String>,
    namespace: Option<Namespace>,
}

/// A namespace of a real cluster, which goes with the test.
struct Namespace {
    client: kube::Client,
    name: String,
}

impl Target {
    /// The cluster that the environment names, or else the fake.
    pub(super) async fn start() -> Target {
        match std::env::var_os("MCPCAN_TEST_KUBECONFIG") {
            Some(path) => Self::real(PathBuf::from(path)).await,
            None => Self::fake().await,
        }
    }

    /// The fake, for what a real cluster cannot be made to do.
    pub(super) async fn fake() -> Target {
        let platform = Platform::start().await;
        let fake = FakeCluster::start(&bridge()).await;
        let kubeconfig = fake.kubeconfig(platform.data.path());
        let config = config(kubeconfig, NAMESPACE.to_owned(), Images::default());
        let image = "localhost/python:1".to_owned();
        Target { platform, fake: Some(fake), config, image, server: server_args(&[]), namespace: None }
    }

    async fn real(kubeconfig: PathBuf) -> Target {
        let variable =
            |name: &str| std::env::var(name).unwrap_or_else(|_| panic!("{name} names what the test runs"));
        let name = format!("mcpcan-test-{}", Uuid::now_v7().simple());
        let client = client(&kubeconfig).await;
        let namespaces: kube::Api<k8s_openapi::api::core::v1::Namespace> = kube::Api::all(client.clone());
        let metadata = kube::core::ObjectMeta { name: Some(name.clone()), ..Default::default() };
        let namespace = k8s_openapi::api::core::v1::Namespace { metadata, ..Default::default() };
        namespaces.create(&kube::api::PostParams::default(), &namespace).await.unwrap();
        let images = Images { bridge: variable("MCPCAN_TEST_BRIDGE_IMAGE"), ..Images::default() };
        let mut config = config(kubeconfig, name.clone(), images);
        // A test that runs outside of the cluster is no pod of ours; where policies are enforced, it says so.
        config.pods.allow_from = vec!["0.0.0.0/0".to_owned()];
        let (image, server) = (variable("MCPCAN_TEST_SERVER_IMAGE"), vec![variable("MCPCAN_TEST_SERVER")]);
        let namespace = Some(Namespace { client, name });
        Target { platform: Platform::start().await, fake: None, config, image, server, namespace }
    }

    pub(super) async fn worker(&self) -> crate::harness::Worker {
        self.platform.worker_on(Some(self.config.clone())).await
    }

    pub(super) async fn client(&self) -> kube::Client {
        client(self.config.kubeconfig.as_deref().unwrap()).await
    }

    /// What lies in the namespace.
    pub(super) async fn api<K>(&self) -> kube::Api<K>
    where
        K: kube::Resource<Scope = k8s_openapi::NamespaceResourceScope>,
        K::DynamicType: Default,
    {
        kube::Api::namespaced(self.client().await, &self.config.namespace)
    }

    /// A server of our own with these arguments.
    pub(super) fn hosted(&self, args: &[&str]) -> Hosted {
        let args = self.server.iter().cloned().chain(args.iter().map(|arg| (*arg).to_owned())).collect();
        self.hosted_command("python3", args)
    }

    pub(super) fn hosted_command(&self, program: &str, args: Vec<String>) -> Hosted {
        let command = CommandLine { program: program.to_owned(), args };
        Hosted::new(Source::Image { image: self.image.clone(), command: Some(command) }, BTreeMap::new())
    }

    pub(super) async fn create(&self, hosted: Hosted) -> InstanceId {
        let id = InstanceId(Uuid::now_v7());
        self.create_as(id, hosted).await;
        id
    }

    pub(super) async fn create_as(&self, id: InstanceId, hosted: Hosted) {
        let name = format!("test-{}", id.0.simple()).parse().unwrap();
        self.platform.tell(id, Command::create(name, Access::Hosted(hosted))).await;
    }

    pub(super) async fn sealed(&self, id: InstanceId, value: &str) -> Sealed {
        self.platform.store.vault().seal(id.0, value.as_bytes()).await.unwrap()
    }

    /// Removes what the test has made. One that fails leaves its namespace to whoever looks for the reason.
    pub(super) async fn end(self) {
        if let Some(namespace) = &self.namespace {
            let namespaces: kube::Api<k8s_openapi::api::core::v1::Namespace> =
                kube::Api::all(namespace.client.clone());
            namespaces.delete(&namespace.name, &kube::api::DeleteParams::default()).await.unwrap();
        }
    }
}

fn config(kubeconfig: PathBuf, namespace: String, images: Images) -> Config {
    let pods = Pods { images, pull_policy: Some("IfNotPresent".to_owned()), ..Pods::default() };
    Config { kubeconfig: Some(kubeconfig), context: None, namespace, pods }
}

async fn client(kubeconfig: &Path) -> kube::Client {
    let kubeconfig = kube::config::Kubeconfig::read_from(kubeconfig).unwrap();
    let config = kube::Config::from_custom_kubeconfig(kubeconfig, &Default::default()).await.unwrap();
    kube::Client::try_from(config).unwrap()
}
