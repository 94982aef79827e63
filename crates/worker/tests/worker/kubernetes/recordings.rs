//! The fake answers as a real cluster was recorded to.

use std::path::Path;

use serde_json::{Value, json};

use super::fake::FakeCluster;
use crate::harness::bridge;

/// Fields that say when and who, which nobody can compare.
const VARYING: [&str; 6] =
    ["uid", "resourceVersion", "creationTimestamp", "managedFields", "deletionTimestamp", "generation"];

fn recording(name: &str) -> Value {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/recordings").join(name);
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

fn comparable(mut body: Value) -> Value {
    if let Some(metadata) = body["metadata"].as_object_mut() {
        VARYING.iter().for_each(|field| {
            metadata.remove(*field);
        });
    }
    body
}

/// Asks the fake what was asked of the real one, and compares the answers.
async fn ask(fake: &FakeCluster, name: &str) {
    let recording = recording(name);
    let (request, expected) = (&recording["request"], &recording["response"]);
    let url = format!("http://{}{}", fake.address, request["path"].as_str().unwrap());
    let method = request["method"].as_str().unwrap().parse().unwrap();
    let mut call = reqwest::Client::new().request(method, url);
    if !request["body"].is_null() {
        call = call.header("content-type", request["contentType"].as_str().unwrap_or("application/json"));
        call = call.body(request["body"].to_string());
    }
    let answer = call.send().await.unwrap();
    assert_eq!(json!(answer.status().as_u16()), expected["status"], "{name}");
    let body: Value = answer.json().await.unwrap();
    assert_eq!(comparable(body), comparable(expected["body"].clone()), "{name}");
}

#[tokio::test]
async fn objects_are_made_changed_and_refused_as_recorded() {
    let fake = FakeCluster::start(&bridge()).await;
    for name in [
        "deployment-create-422-name.json",
        "deployment-create-422-selector.json",
        "service-create.json",
        "deployment-get-404.json",
        "ssa-create.json",
        "ssa-conflict-409.json",
        "ssa-force.json",
        "configmap-get.json",
        "update-stale-409.json",
        "log-nosuchpod.json",
    ] {
        ask(&fake, name).await;
    }
    let forbidden = ("list".to_owned(), "deployments".to_owned());
    fake.api.change(|state| state.forbidden.insert(forbidden));
    ask(&fake, "forbidden-403.json").await;
    fake.set_faults(super::fake::Faults { unauthorized: true, ..Default::default() });
    ask(&fake, "unauthorized-401.json").await;
}

#[tokio::test]
async fn a_watch_from_too_long_ago_ends_as_recorded() {
    let fake = FakeCluster::start(&bridge()).await;
    fake.api.change(super::fake::State::compact);
    fake.api.change(super::fake::State::compact);
    let path = "/api/v1/namespaces/rec/pods?watch=true&resourceVersion=1";
    let answer = reqwest::get(format!("http://{}{path}", fake.address)).await.unwrap();
    assert_eq!(answer.status().as_u16(), 200);
    let mut told: Value = serde_json::from_str(&answer.text().await.unwrap()).unwrap();
    let recorded = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/recordings/watch-410-expired.ndjson");
    let mut expected: Value = serde_json::from_slice(&std::fs::read(recorded).unwrap()).unwrap();
    for event in [&mut told, &mut expected] {
        let message = event["object"]["message"].take();
        assert!(message.as_str().unwrap().starts_with("too old resource version: 1 ("), "{message}");
    }
    assert_eq!(told, expected);
}

#[tokio::test]
async fn what_the_worker_does_not_call_is_not_there() {
    let fake = FakeCluster::start(&bridge()).await;
    let url = format!("http://{}/apis/batch/v1/namespaces/rec/jobs", fake.address);
    assert_eq!(reqwest::get(url).await.unwrap().status().as_u16(), 501);
}
