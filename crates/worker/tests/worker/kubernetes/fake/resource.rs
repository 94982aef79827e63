//! The resources that the fake knows, and the paths they lie under.

/// A kind of object.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Resource {
    pub(crate) plural: &'static str,
    pub(crate) kind: &'static str,
    pub(crate) group: &'static str,
    pub(crate) version: &'static str,
}

const fn resource(
    plural: &'static str,
    kind: &'static str,
    group: &'static str,
    version: &'static str,
) -> Resource {
    Resource { plural, kind, group, version }
}

pub(crate) const PODS: Resource = resource("pods", "Pod", "", "v1");
pub(crate) const SERVICES: Resource = resource("services", "Service", "", "v1");
pub(crate) const SECRETS: Resource = resource("secrets", "Secret", "", "v1");
pub(crate) const CONFIG_MAPS: Resource = resource("configmaps", "ConfigMap", "", "v1");
pub(crate) const DEPLOYMENTS: Resource = resource("deployments", "Deployment", "apps", "v1");
pub(crate) const SLICES: Resource = resource("endpointslices", "EndpointSlice", "discovery.k8s.io", "v1");
pub(crate) const POLICIES: Resource = resource("networkpolicies", "NetworkPolicy", "networking.k8s.io", "v1");

const ALL: [Resource; 7] = [PODS, SERVICES, SECRETS, CONFIG_MAPS, DEPLOYMENTS, SLICES, POLICIES];

impl Resource {
    pub(crate) fn api_version(self) -> String {
        if self.group.is_empty() {
            self.version.to_owned()
        } else {
            format!("{}/{}", self.group, self.version)
        }
    }

    /// As it stands in messages.
    pub(crate) fn qualified(self) -> String {
        if self.group.is_empty() { self.plural.to_owned() } else { format!("{}.{}", self.plural, self.group) }
    }

    pub(crate) fn qualified_kind(self) -> String {
        if self.group.is_empty() { self.kind.to_owned() } else { format!("{}.{}", self.kind, self.group) }
    }
}

/// What a path names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Target {
    pub(crate) resource: Resource,
    pub(crate) namespace: String,
    pub(crate) name: Option<String>,
    pub(crate) subresource: Option<String>,
}

/// Reads a path; none of what the fake does not know.
pub(crate) fn target(path: &str) -> Option<Target> {
    let parts: Vec<&str> = path.trim_matches('/').split('/').collect();
    let (group, version, rest) = match parts.as_slice() {
        ["api", version, rest @ ..] => ("", *version, rest),
        ["apis", group, version, rest @ ..] => (*group, *version, rest),
        _ => return None,
    };
    let ["namespaces", namespace, plural, rest @ ..] = rest else { return None };
    let resource = ALL
        .into_iter()
        .find(|known| known.plural == *plural && known.group == group && known.version == version)?;
    let (name, subresource) = match rest {
        [] => (None, None),
        [name] => (Some(*name), None),
        [name, subresource] => (Some(*name), Some(*subresource)),
        _ => return None,
    };
    let own = |text: Option<&str>| text.map(str::to_owned);
    Some(Target {
        resource,
        namespace: (*namespace).to_owned(),
        name: own(name),
        subresource: own(subresource),
    })
}
