//! What snapshots hold: the states that events lead to, as they are written. A snapshot of a version is read by every
//! program of that version, so whoever changes the form of a state, or what an event makes of it, raises the version.
//!
//! `UPDATE_SCHEMAS=1` adds golden files that are missing. An existing one is never rewritten.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use domain::Event;
use domain::claim::{ClaimDecider, Credentials, InstanceNames, TemplateNames};
use domain::instance::InstanceDecider;
use domain::retention_plan::RetentionPlanDecider;
use domain::template::TemplateDecider;
use domain::token::TokenDecider;
use serde_json::Value;
use store::Stored;

use crate::schemas;

/// What the examples of one aggregate's events lead to.
struct Golden {
    aggregate: &'static str,
    version: u16,
    /// The first state, and one for each event, as they lie in snapshots.
    bytes: Vec<u8>,
    readable: String,
}

fn golden<D: Stored>(of: impl Fn(Event) -> Option<D::Event>) -> Golden
where
    D::State: Clone + std::fmt::Debug + PartialEq,
{
    let mut states = vec![D::State::default()];
    for event in schemas::events().into_iter().filter_map(of) {
        // From the latest state in which it can happen: an end is not the end of the examples.
        let next = states.iter().rev().find_map(|state| D::evolve(state.clone(), &event).ok());
        let name = D::event_name(&event);
        states.push(next.unwrap_or_else(|| panic!("{name} can happen after none of the examples before it")));
    }
    let bytes = store::encode(&states);
    let read: Vec<D::State> = store::decode(&bytes).expect("what is written is read");
    assert_eq!(read, states, "a state of {} is read as it was written", D::NAME);
    let readable = serde_json::to_string_pretty(&states).unwrap() + "\n";
    Golden { aggregate: D::NAME, version: D::SNAPSHOT_VERSION, bytes, readable }
}

macro_rules! golden_of {
    ($decider:ty, $variant:ident) => {
        golden::<$decider>(|event| match event {
            Event::$variant { event, .. } => Some(event),
            _ => None,
        })
    };
}

fn all() -> [Golden; 7] {
    [
        golden_of!(InstanceDecider, Instance),
        golden_of!(ClaimDecider<InstanceNames>, InstanceName),
        golden_of!(TokenDecider, Token),
        golden_of!(ClaimDecider<Credentials>, Credential),
        golden_of!(TemplateDecider, Template),
        golden_of!(ClaimDecider<TemplateNames>, TemplateName),
        golden_of!(RetentionPlanDecider, RetentionPlan),
    ]
}

/// `schemas/snapshots/instance.v2`, with another end.
fn path(golden: &Golden, extension: &str) -> PathBuf {
    let name = format!("{}.v{}.{extension}", golden.aggregate, golden.version);
    folder().join(name)
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../schemas/snapshots")
}

#[test]
fn schemas_of_snapshots_have_another_version_once_they_hold_something_else() {
    for golden in all() {
        let (bytes, readable) = (path(&golden, "golden.msgpack"), path(&golden, "golden.json"));
        if schemas::update() && !bytes.exists() {
            schemas::write(&bytes, &golden.bytes);
            schemas::write(&readable, golden.readable.as_bytes());
        }
        let Golden { aggregate, version, .. } = golden;
        let released = std::fs::read(&bytes).unwrap_or_else(|error| {
            panic!("{}: {error}: run the test with UPDATE_SCHEMAS=1", bytes.display())
        });
        if released != golden.bytes {
            let released: Value = store::decode(&released).unwrap();
            let now: Value = serde_json::from_str(&golden.readable).unwrap();
            panic!(
                "what a snapshot of `{aggregate}` holds has changed, and snapshots that were written would be read as \
                 something else: raise SNAPSHOT_VERSION (now {version}) in crates/store/src/upcast/, and run the test \
                 with UPDATE_SCHEMAS=1.\nreleased: {released:#}\nnow: {now:#}"
            );
        }
        assert_eq!(std::fs::read_to_string(&readable).unwrap(), golden.readable, "{}", readable.display());
    }
}

/// A version is used once: what was released under it may lie in a bucket. Files of old versions stay for that.
#[test]
fn schemas_of_snapshots_are_of_this_version_or_an_older_one() {
    let known: BTreeSet<_> = all()
        .iter()
        .flat_map(|golden| {
            (1..=golden.version).flat_map(|version| {
                ["json", "msgpack"].map(|end| format!("{}.v{version}.golden.{end}", golden.aggregate))
            })
        })
        .collect();
    for file in schemas::files_in(folder()) {
        let name = file.file_name().unwrap().to_str().unwrap();
        assert!(known.contains(name), "{name}: SNAPSHOT_VERSION was lowered, or there is no such aggregate");
    }
}
