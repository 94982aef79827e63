//! What is declared in `nats/` has the same name in its file, in its file's name and in the code.

use std::collections::BTreeSet;
use std::path::Path;

use serde_json::Value;
use store::subject::{BUCKETS, CONSUMERS, STREAMS};

use crate::tree::{files, read, root};

/// The declarations of a folder: each file's stem, with the name at `pointer` inside.
fn declared(folder: &str, pointer: &str) -> Vec<(String, String)> {
    let declared = files(&root().join("nats").join(folder), "json");
    declared.iter().map(|file| (stem(file), name_in(file, pointer))).collect()
}

fn stem(file: &Path) -> String {
    file.file_stem().expect("a file has a name").to_string_lossy().into_owned()
}

fn name_in(file: &Path, pointer: &str) -> String {
    let document: Value = serde_json::from_str(&read(file)).expect("a declaration is JSON");
    document.pointer(pointer).and_then(Value::as_str).expect("a declaration has a name").to_owned()
}

fn assert_same(declared: &[(String, String)], known: &[&str]) {
    let declared: BTreeSet<_> = declared.iter().map(|(stem, _)| stem.as_str()).collect();
    assert_eq!(declared, known.iter().copied().collect(), "nats/ and crates/store/src/subject.rs differ");
}

#[test]
fn streams_are_declared_under_their_name() {
    let streams = declared("streams", "/name");
    assert!(streams.iter().all(|(stem, name)| stem == name), "{streams:?}");
    assert_same(&streams, &STREAMS);
}

#[test]
fn buckets_are_declared_under_their_name() {
    let buckets = declared("buckets", "/name");
    assert!(buckets.iter().all(|(stem, name)| *name == format!("KV_{stem}")), "{buckets:?}");
    assert_same(&buckets, BUCKETS);
}

#[test]
fn consumers_are_declared_under_their_name() {
    let consumers = declared("consumers", "/config/durable_name");
    assert!(consumers.iter().all(|(stem, name)| stem == name), "{consumers:?}");
    assert_same(&consumers, &CONSUMERS);
}
