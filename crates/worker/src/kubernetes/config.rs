//! What a worker is told about the cluster that its instances run on.

use std::collections::BTreeMap;
use std::path::PathBuf;

/// Settings of the Kubernetes runtime.
#[derive(Clone, Debug)]
pub struct Config {
    /// How the cluster is reached; what every pod is given where there is none.
    pub kubeconfig: Option<PathBuf>,
    /// The context of the kubeconfig; its current one where none is named.
    pub context: Option<String>,
    /// Where everything of the instances lies.
    pub namespace: String,
    /// What the pods are made of.
    pub pods: Pods,
}

/// What all pods have in common.
#[derive(Clone, Debug)]
pub struct Pods {
    /// Tells apart the installations that share a namespace: the value of a label.
    pub platform: String,
    pub images: Images,
    /// `Always`, `IfNotPresent` or `Never`; what Kubernetes does by itself where nothing is said.
    pub pull_policy: Option<String>,
    /// The names of the secrets with which images are pulled.
    pub pull_secrets: Vec<String>,
    /// The labels that a node must have.
    pub node_selector: BTreeMap<String, String>,
    /// The namespace in which gateways and workers run; that of the instances where none is named.
    pub platform_namespace: Option<String>,
    /// The address ranges from which gateways and workers outside of the cluster come.
    pub allow_from: Vec<String>,
}

/// The images that the platform itself names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Images {
    /// Holds the static `mcpcan-bridge` as its entry point.
    pub bridge: String,
    /// What commands of Node run in.
    pub node: String,
    /// What commands of Python run in.
    pub python: String,
}

impl Default for Images {
    fn default() -> Images {
        Images {
            bridge: concat!("mcpcan-bridge:", env!("CARGO_PKG_VERSION")).to_owned(),
            node: "docker.io/library/node:24-slim".to_owned(),
            python: "ghcr.io/astral-sh/uv:python3.13-bookworm-slim".to_owned(),
        }
    }
}

impl Default for Pods {
    fn default() -> Pods {
        Pods {
            platform: "mcpcan".to_owned(),
            images: Images::default(),
            pull_policy: None,
            pull_secrets: vec![],
            node_selector: BTreeMap::new(),
            platform_namespace: None,
            allow_from: vec![],
        }
    }
}
