//! The rules on how a hosted server is run: ports, mounts, resources, replicas.

use std::collections::BTreeSet;

use domain::instance::access::{MOUNTS_MAX, REPLICAS_MAX};
use domain::instance::{Mount, Resource, Resources};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::violation::Violations;

pub(in crate::settings) const PORTS_MAX: usize = 64;
pub(in crate::settings) const MOUNT_PATH_BYTES_MAX: usize = 1024;
/// The longest name of a Kubernetes object (RFC 1123 subdomain).
pub(in crate::settings) const MOUNT_NAME_BYTES_MAX: usize = 253;
/// 1,024 cores.
pub(in crate::settings) const CPU_MILLIS_MAX: u64 = 1_024_000;
/// Below a mebibyte no program starts: somebody meant another unit.
pub(in crate::settings) const MEMORY_BYTES_MIN: u64 = 1024 * 1024;
/// 16 TiB.
pub(in crate::settings) const MEMORY_BYTES_MAX: u64 = 16 << 40;

/// What is mounted at a path.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub(in crate::settings) enum MountForm {
    Claim {
        name: String,
        #[serde(default)]
        read_only: bool,
    },
    Config {
        name: String,
    },
    Empty {},
}

impl From<MountForm> for Mount {
    fn from(form: MountForm) -> Self {
        match form {
            MountForm::Claim { name, read_only } => Mount::Claim { name, read_only },
            MountForm::Config { name } => Mount::Config { name },
            MountForm::Empty {} => Mount::Empty,
        }
    }
}

/// What a replica asks for and may use at most.
#[derive(Clone, Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(in crate::settings) struct ResourcesForm {
    cpu_request_millis: Option<u64>,
    cpu_limit_millis: Option<u64>,
    memory_request_bytes: Option<u64>,
    memory_limit_bytes: Option<u64>,
}

impl ResourcesForm {
    fn each(&self) -> [(Resource, Option<u64>); 4] {
        [
            (Resource::CpuRequestMillis, self.cpu_request_millis),
            (Resource::CpuLimitMillis, self.cpu_limit_millis),
            (Resource::MemoryRequestBytes, self.memory_request_bytes),
            (Resource::MemoryLimitBytes, self.memory_limit_bytes),
        ]
    }
}

impl From<ResourcesForm> for Resources {
    fn from(form: ResourcesForm) -> Self {
        let mut resources = Resources::default();
        for (resource, value) in form.each() {
            resources.set(resource, value);
        }
        resources
    }
}

/// As it stands in requests.
fn key(resource: Resource) -> &'static str {
    match resource {
        Resource::CpuRequestMillis => "cpu_request_millis",
        Resource::CpuLimitMillis => "cpu_limit_millis",
        Resource::MemoryRequestBytes => "memory_request_bytes",
        Resource::MemoryLimitBytes => "memory_limit_bytes",
    }
}

pub(in crate::settings) fn check_resources(form: &ResourcesForm, violations: &mut Violations) {
    for (resource, value) in form.each() {
        if let Some(value) = value {
            check_resource(resource, value, violations);
        }
    }
}

pub(in crate::settings) fn check_resource(resource: Resource, value: u64, violations: &mut Violations) {
    let bounds = match resource {
        Resource::CpuRequestMillis | Resource::CpuLimitMillis => 1..=CPU_MILLIS_MAX,
        Resource::MemoryRequestBytes | Resource::MemoryLimitBytes => MEMORY_BYTES_MIN..=MEMORY_BYTES_MAX,
    };
    if !bounds.contains(&value) {
        let detail = format!("this is between {} and {}", bounds.start(), bounds.end());
        violations.add_at(&["resources", key(resource)], detail);
    }
}

pub(in crate::settings) fn check_replicas(replicas: u16, violations: &mut Violations) {
    if !(1..=REPLICAS_MAX).contains(&replicas) {
        violations
            .add_at(&["replicas"], format!("the platform runs 1 to {REPLICAS_MAX} replicas of an instance"));
    }
}

pub(in crate::settings) fn check_ports(ports: Vec<u32>, violations: &mut Violations) -> BTreeSet<u16> {
    if ports.len() > PORTS_MAX {
        violations.add_at(&["ports"], format!("there are at most {PORTS_MAX} ports"));
    }
    let mut checked = BTreeSet::new();
    for (index, port) in ports.into_iter().enumerate() {
        let place = index.to_string();
        match u16::try_from(port) {
            Ok(port) if port > 0 => {
                if !checked.insert(port) {
                    violations.add_at(&["ports", &place], "this port is given twice");
                }
            }
            Ok(_) | Err(_) => {
                violations.add_at(&["ports", &place], format!("a port is between 1 and {}", u16::MAX));
            }
        }
    }
    checked
}

pub(in crate::settings) fn check_mounts<'a>(
    mounts: impl ExactSizeIterator<Item = (&'a String, &'a MountForm)>,
    violations: &mut Violations,
) {
    if mounts.len() > MOUNTS_MAX {
        violations.add_at(&["mounts"], format!("there are at most {MOUNTS_MAX} mounts"));
    }
    for (path, mount) in mounts {
        check_mount_path(path, violations);
        match mount {
            MountForm::Claim { name, .. } | MountForm::Config { name } if !is_object_name(name) => {
                let detail = format!(
                    "a name has at most {MOUNT_NAME_BYTES_MAX} lower-case letters, digits, `-` and `.`, \
                     and a letter or digit at its ends"
                );
                violations.add_at(&["mounts", path, "name"], detail);
            }
            MountForm::Claim { .. } | MountForm::Config { .. } | MountForm::Empty {} => {}
        }
    }
}

/// One spelling for each path, so that two entries are two places. A colon separates paths in what runs containers.
pub(in crate::settings) fn check_mount_path(path: &str, violations: &mut Violations) {
    let is_segment = |segment: &str| {
        !matches!(segment, "" | "." | "..") && !segment.contains(|c: char| c == ':' || c.is_control())
    };
    let is_legal = path.strip_prefix('/').is_some_and(|path| path.split('/').all(is_segment));
    if !is_legal {
        let detail = "a mount's path is absolute and below `/`, without `.`, `..`, empty parts, `:` and a `/` at its end";
        violations.add_at(&["mounts", path], detail);
    }
    if path.len() > MOUNT_PATH_BYTES_MAX {
        let detail = format!("a mount's path has at most {MOUNT_PATH_BYTES_MAX} bytes");
        violations.add_beyond_form_at(&["mounts", path], detail);
    }
}

fn is_object_name(name: &str) -> bool {
    let edge =
        |byte: Option<&u8>| byte.is_some_and(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit());
    let inside = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'-' | b'.');
    let bytes = name.as_bytes();
    name.len() <= MOUNT_NAME_BYTES_MAX
        && bytes.iter().copied().all(inside)
        && edge(bytes.first())
        && edge(bytes.last())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_has_one_spelling() {
        for (path, legal) in [
            ("/data", true),
            ("/home/user/.cache", true),
            ("/a b", true),
            ("data", false),
            ("/", false),
            ("/a/", false),
            ("//a", false),
            ("/a/../b", false),
            ("/a:b", false),
        ] {
            let mut violations = Violations::default();
            check_mount_path(path, &mut violations);
            assert_eq!(violations.into_result().is_ok(), legal, "{path}");
        }
    }
}
