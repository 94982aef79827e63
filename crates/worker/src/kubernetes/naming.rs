//! What things of an instance are called on a cluster, and how they are found again.
//!
//! Names are made of the instance's id: legal and the same for ever, whatever people call the instance. Its own name
//! stands in an annotation.

use std::collections::BTreeMap;

use domain::InstanceId;

/// The field manager of everything that the worker applies.
pub(crate) const FIELD_MANAGER: &str = "mcpcan-worker";

pub(crate) const MANAGED_BY: &str = "app.kubernetes.io/managed-by";
/// The value of [`MANAGED_BY`].
pub(crate) const MANAGER: &str = "mcpcan";
/// Which installation it belongs to.
pub(crate) const PLATFORM: &str = "mcpcan.dev/platform";
pub(crate) const INSTANCE: &str = "mcpcan.dev/instance";
/// Of a pod and a secret.
pub(crate) const GENERATION: &str = "mcpcan.dev/generation";
/// The annotation with the instance's name.
pub(crate) const INSTANCE_NAME: &str = "mcpcan.dev/instance-name";

/// What everything of an instance is called, but its secrets.
pub(crate) fn object_name(instance: InstanceId) -> String {
    format!("mcpcan-{}", instance.0.simple())
}

/// The secret that the pods of one generation read.
pub(crate) fn secret_name(instance: InstanceId, generation: u64) -> String {
    format!("{}-{generation}", object_name(instance))
}

/// What everything of an instance is found by.
pub(crate) fn labels(platform: &str, instance: InstanceId) -> BTreeMap<String, String> {
    let labels = [(MANAGED_BY, MANAGER.to_owned()), (PLATFORM, platform.to_owned())];
    let instance = [(INSTANCE, instance.to_string())];
    labels.into_iter().chain(instance).map(|(key, value)| (key.to_owned(), value)).collect()
}

/// What everything of an installation is found by.
pub(crate) fn selector(platform: &str) -> String {
    format!("{MANAGED_BY}={MANAGER},{PLATFORM}={platform}")
}
