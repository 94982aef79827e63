//! The kinds of objects that an instance is made of.

use k8s_openapi::Resource;
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::{Secret, Service};
use k8s_openapi::api::networking::v1::NetworkPolicy;
use kube::core::ApiResource;

/// A kind of object that we make.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Kind {
    Secret,
    Service,
    NetworkPolicy,
    Deployment,
}

impl Kind {
    /// All of them, in the order in which they are made.
    pub(crate) const ALL: [Kind; 4] = [Kind::Secret, Kind::Service, Kind::NetworkPolicy, Kind::Deployment];

    /// What applying one is called.
    pub(crate) fn apply_name(self) -> &'static str {
        match self {
            Kind::Secret => "apply secret",
            Kind::Service => "apply service",
            Kind::NetworkPolicy => "apply network policy",
            Kind::Deployment => "apply deployment",
        }
    }

    pub(crate) fn resource(self) -> ApiResource {
        fn of<K: Resource>(plural: &str) -> ApiResource {
            ApiResource {
                group: K::GROUP.to_owned(),
                version: K::VERSION.to_owned(),
                api_version: K::API_VERSION.to_owned(),
                kind: K::KIND.to_owned(),
                plural: plural.to_owned(),
            }
        }
        match self {
            Kind::Secret => of::<Secret>("secrets"),
            Kind::Service => of::<Service>("services"),
            Kind::NetworkPolicy => of::<NetworkPolicy>("networkpolicies"),
            Kind::Deployment => of::<Deployment>("deployments"),
        }
    }
}
