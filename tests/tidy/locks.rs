//! Lock files pin versions and contents, and name no host: whoever builds this uses the registry that is set up there.

use std::path::PathBuf;

use crate::tree::{none, read, root};

/// How Cargo names crates.io, whatever it is fetched from.
const CRATES_IO: &str = "registry+https://github.com/rust-lang/crates.io-index";

#[test]
fn cargo_locks_only_crates_from_crates_io() {
    let lock = read(&root().join("Cargo.lock"));
    let sources = lock.lines().filter_map(|line| line.strip_prefix("source = \"")?.strip_suffix('"'));
    let others = sources.filter(|source| *source != CRATES_IO).map(str::to_owned);
    none(&others.collect::<Vec<_>>(), "Cargo.lock names other sources than crates.io");
}

#[test]
fn node_packages_are_pinned_without_a_host() {
    let lock: serde_json::Value =
        serde_json::from_str(&read(&client_file("node/package-lock.json"))).expect("a lock file is JSON");
    let packages =
        lock.get("packages").and_then(serde_json::Value::as_object).expect("a lock file lists packages");
    let mut wrong = vec![];
    for (path, package) in packages.iter().filter(|(path, _)| !path.is_empty()) {
        if package.get("resolved").is_some() {
            wrong.push(format!("{path} names where it was fetched from"));
        }
        if package.get("integrity").is_none() {
            wrong.push(format!("{path} has no integrity hash"));
        }
    }
    none(&wrong, "tests/clients/node/package-lock.json");
}

#[test]
fn python_packages_are_pinned_without_a_host() {
    let requirements = read(&client_file("python/requirements.txt"));
    let hosts = requirements.lines().filter(|line| line.contains("://") || line.contains("-index"));
    none(&hosts.map(str::to_owned).collect::<Vec<_>>(), "tests/clients/python/requirements.txt names a host");
    let text = requirements.replace("\\\n", " ");
    let loose = text
        .lines()
        .filter(|line| !line.trim().is_empty())
        .filter(|line| !line.contains("==") || !line.contains("--hash=sha256:"));
    none(&loose.map(str::to_owned).collect::<Vec<_>>(), "each requirement has a version and a hash");
}

fn client_file(path: &str) -> PathBuf {
    root().join("tests/clients").join(path)
}
