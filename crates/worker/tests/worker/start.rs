//! Bringing a replica up, and saying why one does not come up.

use std::collections::BTreeMap;
use std::path::Path;

use domain::instance::{Event, FailureReason};
use domain::{InstanceId, Recorded};
use uuid::Uuid;
use views::Phase;

use crate::harness::{Platform, is_bridge};

const EVERYTHING: &str = "node_modules/@modelcontextprotocol/server-everything/dist/index.js";

fn names(events: &[Recorded]) -> Vec<&'static str> {
    events.iter().map(|recorded| recorded.event.name()).collect()
}

fn failure(events: &[Recorded]) -> (FailureReason, String) {
    match &events.last().unwrap().event {
        domain::Event::Instance { event: Event::ReplicaFailed(failed), .. } => {
            (failed.reason, failed.detail.clone())
        }
        other => panic!("{other:?} is no failure"),
    }
}

#[tokio::test]
async fn a_created_instance_comes_up_and_answers_at_its_endpoint() {
    let platform = Platform::start().await;
    let worker = platform.worker().await;
    let id = platform.create(&[]).await;
    let row = platform.ready(id).await;
    assert_eq!(row.phase, Phase::Ready);
    let server = row.server.as_ref().unwrap();
    assert_eq!((server.name.as_str(), server.version.as_str()), ("contrary", "1.2.3"));
    let events = platform.events_until(id, |event| matches!(event, Event::ReplicaReady(_))).await;
    let expected = ["created", "replica_starting", "replica_handshaking", "replica_ready"]
        .map(|name| format!("instance.{name}"));
    assert_eq!(names(&events), expected);
    assert!(events[1..].iter().all(|recorded| recorded.metadata.actor.to_string() == "role:worker"));

    let endpoint = row.ready_replicas().next().unwrap().url.as_deref().unwrap();
    let bearer = format!("Bearer {}", platform.credential(&row).await);
    let headers = http::HeaderMap::from_iter([(http::header::AUTHORIZATION, bearer.parse().unwrap())]);
    let client = mcp::client::Client::connect(endpoint, headers).await.unwrap();
    client.request("ping", None).await.unwrap();
    client.close().await.unwrap();
    worker.stop().await;
    platform.assert_nothing_runs();
}

#[tokio::test]
async fn a_server_from_npm_comes_up() {
    let node = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../.tools/node").join(EVERYTHING);
    assert!(node.is_file(), "there is no {}: run `make test-tools`", node.display());
    let platform = Platform::start().await;
    let worker = platform.worker().await;
    let args = [node.to_str().unwrap().to_owned(), "stdio".to_owned()];
    let id = platform.create_with(InstanceId(Uuid::now_v7()), "node", &args, BTreeMap::new()).await;
    assert!(platform.ready(id).await.server.as_ref().unwrap().name.contains("everything"));
    worker.stop().await;
}

#[tokio::test]
async fn a_program_that_does_not_exist_is_told_from_one_that_fails() {
    let platform = Platform::start().await;
    let worker = platform.worker().await;
    let id = InstanceId(Uuid::now_v7());
    platform.create_with(id, "no-such-program", &[], BTreeMap::new()).await;
    let events = platform.events_until(id, |event| matches!(event, Event::ReplicaFailed(_))).await;
    let detail = "there is no program `no-such-program` in the PATH of the server".to_owned();
    assert_eq!(failure(&events), (FailureReason::ProgramNotFound, detail));
    platform.row(id, "the failure", |row| row.phase == Phase::Failed).await;
    worker.stop().await;
}

#[tokio::test]
async fn what_a_failed_server_wrote_is_in_the_log_before_its_failure_is() {
    let platform = Platform::start().await;
    let worker = platform.worker().await;
    let id = platform.create(&["--exit", "3"]).await;
    let events = platform.events_until(id, |event| matches!(event, Event::ReplicaFailed(_))).await;
    let detail = "the server ended with exit code 3 before it answered the handshake".to_owned();
    assert_eq!(failure(&events), (FailureReason::Exited, detail));
    // Whatever the worker has not published by now is lost with it.
    worker.kill().await;
    let lines = platform.lines_until(|text| text == "the reason stands here").await;
    assert!(lines.iter().all(|line| line.instance_id == id.0));
}

#[tokio::test]
async fn a_failed_server_is_tried_again() {
    let platform = Platform::start().await;
    let worker = platform.worker().await;
    let id = platform.create(&["--exit", "1"]).await;
    let failures = std::cell::Cell::new(0);
    let is_second = |event: &Event| {
        failures.set(failures.get() + u32::from(matches!(event, Event::ReplicaFailed(_))));
        failures.get() == 2
    };
    let events = platform.events_until(id, is_second).await;
    let starts = names(&events).iter().filter(|name| **name == "instance.replica_starting").count();
    assert_eq!(starts, 2);
    worker.stop().await;
}

#[tokio::test]
async fn a_bridge_that_dies_is_replaced() {
    let platform = Platform::start().await;
    let worker = platform.worker().await;
    let id = platform.create(&[]).await;
    let first = platform.ready(id).await.replicas[0].replica;
    let bridges = platform.processes().into_iter().filter(|number| is_bridge(*number));
    for number in bridges {
        let bridge = rustix::process::Pid::from_raw(i32::try_from(number).unwrap()).unwrap();
        rustix::process::kill_process(bridge, rustix::process::Signal::KILL).unwrap();
    }
    let events = platform.events_until(id, |event| matches!(event, Event::ReplicaFailed(_))).await;
    let (reason, detail) = failure(&events);
    assert_eq!(reason, FailureReason::Exited);
    assert!(detail.contains("signal: 9"), "{detail}");
    let is_replaced =
        |row: &views::InstanceRow| row.phase == Phase::Ready && row.replicas[0].replica != first;
    platform.row(id, "another replica", is_replaced).await;
    worker.stop().await;
}

#[tokio::test]
async fn a_stop_does_not_wait_for_a_handshake() {
    let platform = Platform::start().await;
    let worker = platform.worker().await;
    let id = platform.create(&["--mute"]).await;
    platform.events_until(id, |event| matches!(event, Event::ReplicaHandshaking(_))).await;
    platform.tell(id, domain::instance::Command::Stop).await;
    platform.row(id, "the end", |row| row.phase == Phase::Stopped).await;
    platform.assert_nothing_runs();
    worker.stop().await;
}
