//! Who may depend on whom. `deny.toml` says the same of crates from elsewhere, through all their dependencies.

use cargo_metadata::{DependencyKind, Package};

use crate::tree::{metadata, none};

/// For each crate of ours, which others of ours it may use. A crate that is not listed is a mistake.
const OURS: [(&str, &[&str]); 16] = [
    ("domain", &[]),
    ("views", &["domain"]),
    ("mcp", &[]),
    ("openapi", &[]),
    ("store", &["domain", "views"]),
    ("access-log", &[]),
    ("clickhouse-embedded", &[]),
    ("service", &[]),
    ("api", &["access-log", "domain", "mcp", "openapi", "service", "store", "views"]),
    ("decider", &["domain", "service", "store", "views"]),
    ("projector", &["access-log", "domain", "service", "store", "views"]),
    ("worker", &["access-log", "domain", "mcp", "service", "store", "views"]),
    ("gateway", &["access-log", "domain", "mcp", "service", "store", "views"]),
    ("bridge", &["mcp", "openapi"]),
    (
        "mcpcan",
        &[
            "access-log",
            "api",
            "clickhouse-embedded",
            "decider",
            "domain",
            "gateway",
            "mcp",
            "openapi",
            "projector",
            "service",
            "store",
            "worker",
        ],
    ),
    ("system-tests", &["store"]),
];

/// The pure crates: everything that they may use at all.
const PURE: [(&str, &[&str]); 3] = [
    (
        "domain",
        &["base62", "base64", "crc32fast", "jiff", "schemars", "serde", "thiserror", "uuid", "zeroize"],
    ),
    ("openapi", &["base64", "crc32fast", "serde", "serde-saphyr", "serde_json", "thiserror", "url"]),
    ("views", &["domain", "jiff", "schemars", "serde", "uuid"]),
];

/// What has one place in what is shipped.
const EDGES: [(&str, &[&str]); 6] = [
    ("async-nats", &["store"]),
    ("axum", &["api"]),
    ("clickhouse", &["access-log"]),
    ("comfy-table", &["mcpcan"]),
    ("kube", &["worker"]),
    ("libloading", &["clickhouse-embedded"]),
];

/// Where a test looks past the fence on purpose: at the bus beneath a role, at the engine with its official client, at
/// NATS itself as what a benchmark is held against.
const TESTED_DIRECTLY: [(&str, &str); 3] =
    [("decider", "async-nats"), ("clickhouse-embedded", "clickhouse"), ("system-tests", "async-nats")];

const ROLES: [&str; 5] = ["api", "decider", "projector", "worker", "gateway"];

fn normal_dependencies(package: &Package) -> impl Iterator<Item = &str> {
    package
        .dependencies
        .iter()
        .filter(|dependency| dependency.kind == DependencyKind::Normal)
        .map(|dependency| dependency.name.as_str())
}

#[test]
fn our_crates_use_only_those_below_them() {
    let mut wrong = vec![];
    for package in &metadata().packages {
        let Some((_, allowed)) = OURS.iter().find(|(name, _)| *name == package.name.as_str()) else {
            wrong.push(format!("{} is not listed in tests/tidy/arrows.rs", package.name));
            continue;
        };
        for used in normal_dependencies(package) {
            if OURS.iter().any(|(name, _)| *name == used) && !allowed.contains(&used) {
                wrong.push(format!("{} uses {used}", package.name));
            }
        }
    }
    none(&wrong, "an arrow between our crates runs the wrong way");
}

#[test]
fn roles_do_not_know_each_other() {
    for (name, allowed) in OURS.iter().filter(|(name, _)| ROLES.contains(name)) {
        assert!(!allowed.iter().any(|used| ROLES.contains(used)), "{name} may use another role");
    }
}

#[test]
fn the_pure_crates_stay_pure() {
    let mut wrong = vec![];
    for package in &metadata().packages {
        let Some((_, allowed)) = PURE.iter().find(|(name, _)| *name == package.name.as_str()) else {
            continue;
        };
        let others = normal_dependencies(package).filter(|used| !allowed.contains(used));
        wrong.extend(others.map(|used| format!("{} uses {used}", package.name)));
    }
    none(&wrong, "a pure crate may use only what tests/tidy/arrows.rs lists");
}

#[test]
fn each_edge_has_one_crate() {
    let mut wrong = vec![];
    for package in &metadata().packages {
        for dependency in &package.dependencies {
            let edge = EDGES.iter().find(|(name, _)| *name == dependency.name);
            let is_test = dependency.kind == DependencyKind::Development
                && TESTED_DIRECTLY.contains(&(package.name.as_str(), dependency.name.as_str()));
            if edge.is_some_and(|(_, places)| !places.contains(&package.name.as_str())) && !is_test {
                wrong.push(format!("{} uses {}", package.name, dependency.name));
            }
        }
    }
    none(&wrong, "a crate that fences off an edge is gone around");
}

#[test]
fn every_package_states_the_licence() {
    let packages = metadata().packages;
    let others = packages.iter().filter(|package| package.license.as_deref() != Some("Apache-2.0"));
    none(
        &others.map(|package| package.name.to_string()).collect::<Vec<_>>(),
        "license.workspace = true is missing",
    );
}
