//! How a worker is told of the cluster that instances run on.

use std::path::PathBuf;

use clap::Args;
use worker::kubernetes::{Config, Images, Pods};

#[derive(Debug, Args)]
#[command(next_help_heading = "Kubernetes")]
pub(crate) struct KubernetesArguments {
    /// Run instances in this namespace of a Kubernetes cluster, and not on this machine.
    #[arg(long, value_name = "NAMESPACE")]
    kubernetes_namespace: Option<String>,
    /// How the cluster is reached; a process in a pod of it needs none.
    #[arg(long, value_name = "FILE", requires = "kubernetes_namespace")]
    kubeconfig: Option<PathBuf>,
    /// The context of the kubeconfig, when it is another than its current one.
    #[arg(long, value_name = "NAME", requires = "kubeconfig")]
    kubernetes_context: Option<String>,
    /// Tells apart the installations that share a namespace.
    #[arg(long, value_name = "NAME", requires = "kubernetes_namespace", default_value = "mcpcan", value_parser = label_value)]
    kubernetes_platform: String,
    /// The image that has the static mcpcan-bridge as its entry point.
    #[arg(long, value_name = "IMAGE", requires = "kubernetes_namespace")]
    bridge_image: Option<String>,
    /// The image that commands of Node run in.
    #[arg(long, value_name = "IMAGE", requires = "kubernetes_namespace")]
    node_image: Option<String>,
    /// The image that commands of Python run in.
    #[arg(long, value_name = "IMAGE", requires = "kubernetes_namespace")]
    python_image: Option<String>,
    /// When images are pulled; Kubernetes decides by itself otherwise.
    #[arg(long, value_name = "WHEN", requires = "kubernetes_namespace", value_parser = ["Always", "IfNotPresent", "Never"])]
    image_pull_policy: Option<String>,
    /// A secret of the namespace with which images are pulled; repeat for more.
    #[arg(long, value_name = "NAME", requires = "kubernetes_namespace")]
    image_pull_secret: Vec<String>,
    /// A label that nodes must have, as NAME=VALUE; repeat for more.
    #[arg(long, value_name = "NAME=VALUE", requires = "kubernetes_namespace", value_parser = label)]
    node_label: Vec<(String, String)>,
    /// The namespace in which gateways and workers run, when it is another.
    #[arg(long, value_name = "NAMESPACE", requires = "kubernetes_namespace")]
    platform_namespace: Option<String>,
    /// Addresses from which gateways and workers outside of the cluster come, as IP/BITS; repeat for more.
    #[arg(long, value_name = "CIDR", requires = "kubernetes_namespace")]
    allow_from: Vec<String>,
}

impl KubernetesArguments {
    /// The cluster, if instances are to run on one.
    pub(crate) fn config(&self) -> Option<Config> {
        let usual = Images::default();
        let image = |named: &Option<String>, usual: String| named.clone().unwrap_or(usual);
        let images = Images {
            bridge: image(&self.bridge_image, usual.bridge),
            node: image(&self.node_image, usual.node),
            python: image(&self.python_image, usual.python),
        };
        let pods = Pods {
            platform: self.kubernetes_platform.clone(),
            images,
            pull_policy: self.image_pull_policy.clone(),
            pull_secrets: self.image_pull_secret.clone(),
            node_selector: self.node_label.iter().cloned().collect(),
            platform_namespace: self.platform_namespace.clone(),
            allow_from: self.allow_from.clone(),
        };
        let (kubeconfig, context) = (self.kubeconfig.clone(), self.kubernetes_context.clone());
        self.kubernetes_namespace.clone().map(|namespace| Config { kubeconfig, context, namespace, pods })
    }
}

fn label(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or("a label is NAME=VALUE")?;
    Ok((name.to_owned(), value.to_owned()))
}

/// What Kubernetes takes as the value of a label.
fn label_value(text: &str) -> Result<String, String> {
    let inside = |char: char| char.is_ascii_alphanumeric() || matches!(char, '-' | '_' | '.');
    let outside = |char: Option<char>| char.is_some_and(|char| char.is_ascii_alphanumeric());
    let is_legal = text.len() <= 63
        && text.chars().all(inside)
        && outside(text.chars().next())
        && outside(text.chars().last());
    is_legal.then(|| text.to_owned()).ok_or_else(|| {
        "this is 1 to 63 letters, digits, -, _ and ., with a letter or digit at both ends".to_owned()
    })
}
