//! What probes see of real servers, and what of it is told.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use domain::instance::{
    Access, Command, Dimension, Edit, Event, Health, HealthStatus, ProblemClass, Remote, RemoteTransport,
};
use domain::{InstanceId, Sealed};
use store::Role;
use tokio::net::TcpListener;
use tokio::time::timeout;
use uuid::Uuid;
use views::InstanceRow;

use crate::harness::Platform;

/// Three probes of a silent server take their time each.
const SILENCE_MAX: Duration = Duration::from_secs(240);

fn seen(row: &InstanceRow) -> Option<(HealthStatus, Option<ProblemClass>)> {
    let health = row.seen.as_ref().map(|seen| &seen.health)?;
    Some((health.status, health.problem.as_ref().map(|problem| problem.class)))
}

async fn health_is(
    platform: &Platform,
    id: InstanceId,
    wanted: (HealthStatus, Option<ProblemClass>),
) -> Health {
    let row = platform.row(id, &format!("{wanted:?}"), |row| seen(row) == Some(wanted)).await;
    row.seen.as_ref().unwrap().health.clone()
}

fn often() -> Edit {
    Edit { check_interval_seconds: Some(5), ..Edit::default() }
}

/// An instance for a server elsewhere, with an `Authorization` of the platform's if one is given.
async fn remote(platform: &Platform, url: &str, bearer: Option<&str>) -> InstanceId {
    let id = InstanceId(Uuid::now_v7());
    let mut headers = BTreeMap::<String, Sealed>::new();
    if let Some(bearer) = bearer {
        let sealed = platform.store.vault().seal(id.0, format!("Bearer {bearer}").as_bytes()).await.unwrap();
        headers.insert("Authorization".to_owned(), sealed);
    }
    let remote = Remote { transport: RemoteTransport::StreamableHttp, url: url.to_owned(), headers };
    let name = format!("test-{}", id.0.simple()).parse().unwrap();
    platform.tell(id, Command::create(name, Access::Proxy(remote))).await;
    platform.tell(id, Command::Edit(Box::new(often()))).await;
    id
}

#[tokio::test]
async fn a_server_elsewhere_is_told_apart_by_what_it_answers_and_only_changes_are_events() {
    let platform = Platform::start().await;
    let worker = platform.worker().await;
    let hosted = platform.create(&[]).await;
    let row = platform.ready(hosted).await;
    let url = row.ready_replicas().next().unwrap().url.clone().unwrap();
    let credential = platform.credential(&row).await;

    let known = remote(&platform, &url, Some(&credential)).await;
    let locked = remote(&platform, &url, None).await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let nowhere = format!("http://{}/mcp", listener.local_addr().unwrap());
    drop(listener);
    let gone = remote(&platform, &nowhere, None).await;
    let refused = remote(&platform, "http://169.254.169.254/mcp", None).await;

    let health = health_is(&platform, known, (HealthStatus::Healthy, None)).await;
    let dimensions = (health.container, health.service, health.mcp);
    assert_eq!(dimensions, (Dimension::NotApplicable, Dimension::Ready, Dimension::Ready));
    let credentials = Some(ProblemClass::AuthenticationFailed);
    let health = health_is(&platform, locked, (HealthStatus::Restricted, credentials)).await;
    assert_eq!((health.service, health.mcp), (Dimension::Ready, Dimension::NotReady), "it is not dead");
    let silent = Some(ProblemClass::PortNotListening);
    let health = health_is(&platform, gone, (HealthStatus::Unhealthy, silent)).await;
    assert_eq!((health.service, health.mcp), (Dimension::NotReady, Dimension::Unknown));
    health_is(&platform, refused, (HealthStatus::Unhealthy, Some(ProblemClass::AddressRefused))).await;
    health_is(&platform, hosted, (HealthStatus::Healthy, None)).await;

    // Until its server ends, nothing that probes see is new.
    platform.tell(hosted, Command::Stop).await;
    health_is(&platform, known, (HealthStatus::Unhealthy, silent)).await;
    let is_unhealthy = |event: &Event| match event {
        Event::HealthChanged(changed) => changed.health.status == HealthStatus::Unhealthy,
        _ => false,
    };
    let events = platform.events_until(known, is_unhealthy).await;
    let told = events.iter().filter(|event| event.event.name() == "instance.health_changed").count();
    assert_eq!(told, 2, "healthy once and unhealthy once");
    assert_eq!(platform.view.get(hosted.0).unwrap().seen, None, "what stands still is not probed");
    worker.stop().await;
}

#[tokio::test]
async fn a_hosted_server_that_falls_silent_is_unhealthy_until_it_answers_again() {
    let platform = Platform::start().await;
    let worker = platform.worker().await;
    let id = platform.create(&["--deaf-while", "deaf"]).await;
    platform.tell(id, Command::Edit(Box::new(often()))).await;
    let health = health_is(&platform, id, (HealthStatus::Healthy, None)).await;
    assert_eq!(health.container, Dimension::Ready);
    std::fs::write(platform.directory(id).join("deaf"), "").unwrap();
    let changed = platform.view.clone();
    let unhealthy = async {
        let mut changes = changed.changes();
        while changed
            .get(id.0)
            .and_then(|row| seen(&row))
            .is_none_or(|(status, _)| status == HealthStatus::Healthy)
        {
            changes.changed().await.unwrap();
        }
    };
    timeout(SILENCE_MAX, unhealthy).await.expect("silence is noticed");
    let row = platform.view.get(id.0).unwrap();
    let health = &row.seen.as_ref().unwrap().health;
    assert_eq!(
        (health.container, health.service, health.mcp),
        (Dimension::Ready, Dimension::Ready, Dimension::NotReady)
    );
    assert_eq!(health.problem.as_ref().unwrap().class, ProblemClass::AnswerTimeout, "{health:?}");
    std::fs::remove_file(platform.directory(id).join("deaf")).unwrap();
    health_is(&platform, id, (HealthStatus::Healthy, None)).await;
    worker.stop().await;
    platform.assert_nothing_runs();
}

#[tokio::test]
async fn who_asks_for_a_probe_hears_what_it_saw_right_then() {
    let platform = Platform::start().await;
    let api = platform.server.store_as(Role::Api).await;
    let worker = platform.worker().await;
    let id = platform.create(&["--deaf-while", "deaf"]).await;
    health_is(&platform, id, (HealthStatus::Healthy, None)).await;
    let probed = api.ask_probe(id, SILENCE_MAX).await.unwrap().expect("the worker answers");
    assert_eq!((probed.health.status, probed.asked, probed.answered), (HealthStatus::Healthy, 1, 1));
    std::fs::write(platform.directory(id).join("deaf"), "").unwrap();
    let probed = api.ask_probe(id, SILENCE_MAX).await.unwrap().expect("the worker answers");
    let class = probed.health.problem.as_ref().map(|problem| problem.class);
    assert_eq!((class, probed.answered), (Some(ProblemClass::AnswerTimeout), 0), "undamped");
    worker.stop().await;
    assert_eq!(api.ask_probe(id, SILENCE_MAX).await.unwrap(), None, "nobody probes any more");
}

#[tokio::test]
async fn a_server_without_a_tool_that_is_expected_is_unhealthy() {
    let platform = Platform::start().await;
    let worker = platform.worker().await;
    let id = platform.create(&[]).await;
    let expect = |tool: &str| {
        let tools = BTreeSet::from([tool.to_owned()]);
        Command::Edit(Box::new(Edit { check_tools: Some(tools), ..often() }))
    };
    platform.tell(id, expect("other")).await;
    health_is(&platform, id, (HealthStatus::Unhealthy, Some(ProblemClass::ToolsMissing))).await;
    platform.tell(id, expect("echo")).await;
    health_is(&platform, id, (HealthStatus::Healthy, None)).await;
    worker.stop().await;
}
