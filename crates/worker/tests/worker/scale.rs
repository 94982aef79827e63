//! Several replicas of one instance, and settings that change under them.

use std::collections::{BTreeMap, BTreeSet};

use domain::instance::{
    Access, Command, CommandLine, Edit, Event, FailureReason, Hosted, Remote, RemoteTransport, Source,
};
use domain::{InstanceId, ReplicaId};
use http::header::AUTHORIZATION;
use http::{HeaderMap, HeaderValue};
use mcp::client::{Client, Dialer, Limits};
use service::CancellationToken;
use uuid::Uuid;
use views::{InstanceRow, Phase};

use crate::harness::{PATIENCE, Platform, eventually, is_bridge, server_args};

fn ready(row: &InstanceRow) -> BTreeSet<ReplicaId> {
    row.replicas.iter().filter(|known| known.url.is_some()).map(|known| known.replica).collect()
}

fn bridges(platform: &Platform) -> Vec<u32> {
    platform.processes().into_iter().filter(|number| is_bridge(*number)).collect()
}

#[tokio::test]
async fn replicas_are_added_replaced_and_taken_away_newest_first() {
    let platform = Platform::start().await;
    let worker = platform.worker().await;
    let id = platform.create(&[]).await;
    let first = platform.ready(id).await.replicas[0].replica;

    platform.tell(id, Command::Scale { replicas: 3 }).await;
    let row = platform.row(id, "three replicas", |row| ready(row).len() == 3).await;
    assert_eq!(row.generation, 1, "scaling replaces nothing");
    let before = ready(&row);
    assert!(before.contains(&first));
    assert_eq!(bridges(&platform).len(), 3);
    let endpoints: BTreeSet<_> = row.ready_replicas().filter_map(|replica| replica.url.clone()).collect();
    assert_eq!(endpoints.len(), 3, "each has an address of its own");

    let victim = i32::try_from(bridges(&platform)[1]).unwrap();
    let victim = rustix::process::Pid::from_raw(victim).unwrap();
    rustix::process::kill_process(victim, rustix::process::Signal::KILL).unwrap();
    let is_replaced = |row: &InstanceRow| ready(row).len() == 3 && ready(row) != before;
    let row = platform.row(id, "three again", is_replaced).await;
    let three = ready(&row);
    assert_eq!(three.intersection(&before).count(), 2, "the others went on");
    eventually("three bridges", || (bridges(&platform).len() == 3).then_some(())).await;

    platform.tell(id, Command::Scale { replicas: 1 }).await;
    let row = platform.row(id, "one replica", |row| row.replicas.len() == 1).await;
    let oldest = three.iter().min().copied().into_iter().collect();
    assert_eq!(ready(&row), oldest, "ids sort by age");
    assert_eq!(bridges(&platform).len(), 1);
    worker.stop().await;
    platform.assert_nothing_runs();
}

/// Calls whoever a gateway would lead a new call to, again and again, until it is told to stop. Gives the number of calls.
async fn calls(platform: &Platform, id: InstanceId, until: CancellationToken) -> usize {
    let dialer = Dialer::new(PATIENCE).unwrap();
    let limits = Limits { initialize: PATIENCE, request: PATIENCE, ..Limits::default() };
    let mut called = 0;
    while !until.is_cancelled() {
        let row = platform.view.get(id.0).unwrap();
        let url = row.ready_replicas().next().expect("a replica is ready at any time").url.clone().unwrap();
        let bearer = format!("Bearer {}", platform.credential(&row).await);
        let headers = HeaderMap::from_iter([(AUTHORIZATION, HeaderValue::try_from(bearer).unwrap())]);
        let client = Client::connect_by(&dialer, &url, headers, limits).await.expect("a session opens");
        client.request("ping", None).await.expect("a call is answered");
        client.close().await.expect("the session ends");
        called += 1;
    }
    called
}

#[tokio::test]
async fn a_restart_of_several_replicas_fails_no_call() {
    let platform = Platform::start().await;
    let worker = platform.worker().await;
    let id = platform.create(&[]).await;
    platform.tell(id, Command::Scale { replicas: 2 }).await;
    let row =
        platform.row(id, "both replicas", |row| row.phase == Phase::Ready && ready(row).len() == 2).await;
    let before = ready(&row);

    let end = CancellationToken::new();
    let restarted = async {
        platform.tell(id, Command::Restart).await;
        platform.row(id, "an update that is under way", |row| row.phase == Phase::Updating).await;
        let is_replaced = |row: &InstanceRow| {
            row.phase == Phase::Ready && ready(row).len() == 2 && ready(row).is_disjoint(&before)
        };
        platform.row(id, "the new replicas alone", is_replaced).await;
        end.cancel();
    };
    let (called, ()) = tokio::join!(calls(&platform, id, end.clone()), restarted);
    assert!(called > 10, "{called} calls");
    worker.stop().await;
    platform.assert_nothing_runs();
}

#[tokio::test]
async fn what_this_worker_cannot_run_is_tried_once_until_its_settings_change() {
    let platform = Platform::start().await;
    let worker = platform.worker().await;
    let id = InstanceId(Uuid::now_v7());
    let source = Source::Image { image: "example.org/server:1".to_owned(), command: None };
    let access = Access::Hosted(Hosted::new(source, BTreeMap::new()));
    platform.tell(id, Command::create("pictured".parse().unwrap(), access)).await;
    let row = platform.row(id, "the failure", |row| row.phase == Phase::Failed).await;
    assert_eq!(row.failure.as_ref().unwrap().reason, FailureReason::Unsupported);

    // Another instance fails and is tried again meanwhile: a retry of the first would have come by then.
    let other = platform.create(&["--exit", "1"]).await;
    let failures = std::cell::Cell::new(0);
    let is_second = |event: &Event| {
        failures.set(failures.get() + u32::from(matches!(event, Event::ReplicaFailed(_))));
        failures.get() == 2
    };
    platform.events_until(other, is_second).await;

    let command = CommandLine { program: "python3".to_owned(), args: server_args(&[]) };
    let edit = Edit { source: Some(Source::Command(command)), ..Edit::default() };
    platform.tell(id, Command::Edit(Box::new(edit))).await;
    assert_eq!(platform.ready(id).await.generation, 2);
    let events = platform.events_until(id, |event| matches!(event, Event::ReplicaReady(_))).await;
    let starts = events.iter().filter(|event| event.event.name() == "instance.replica_starting").count();
    assert_eq!(starts, 2, "one for each generation");
    worker.stop().await;
}

#[tokio::test]
async fn a_server_that_runs_elsewhere_from_now_on_is_ended_here() {
    let platform = Platform::start().await;
    let worker = platform.worker().await;
    let id = platform.create(&[]).await;
    platform.ready(id).await;
    let access = Access::Proxy(Remote {
        transport: RemoteTransport::StreamableHttp,
        url: "https://mcp.example/".to_owned(),
        headers: BTreeMap::new(),
    });
    platform.tell(id, Command::ChangeAccess { access }).await;
    let row = platform.row(id, "the end", |row| row.replicas.is_empty()).await;
    assert_eq!((row.phase, &row.failure), (Phase::Configured, &None));
    platform.assert_nothing_runs();
    worker.stop().await;
}
