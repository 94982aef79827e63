//! From a wish to pods and back: start, call, scale, restart, repair, stop, delete.

use domain::instance::{Command, Event};
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::{Pod, Secret, Service};
use kube::api::{DeleteParams, ListParams, Patch, PatchParams};
use serde_json::json;
use views::Phase;

use super::target::Target;
use crate::harness::{PATIENCE, Platform};

/// Asks a cluster again and again until it is as it should be.
pub(super) async fn until<F: Future<Output = bool>>(what: &str, is_so: impl Fn() -> F) {
    let wait = async {
        while !is_so().await {
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(PATIENCE, wait).await.unwrap_or_else(|_| panic!("waited for {what} in vain"));
}

pub(super) async fn ping(platform: &Platform, row: &views::InstanceRow, url: &str) {
    let bearer = format!("Bearer {}", platform.credential(row).await);
    let headers = http::HeaderMap::from_iter([(http::header::AUTHORIZATION, bearer.parse().unwrap())]);
    let client = mcp::client::Client::connect(url, headers).await.unwrap();
    client.request("ping", None).await.unwrap();
    client.close().await.unwrap();
}

#[tokio::test]
async fn an_instance_comes_up_answers_and_leaves_nothing_behind() {
    let target = Target::start().await;
    let worker = target.worker().await;
    let id = target.create(target.hosted(&[])).await;
    let row = target.platform.ready(id).await;
    assert_eq!(row.phase, Phase::Ready);
    assert_eq!(row.server.as_ref().unwrap().name, "contrary");
    let url = row.ready_replicas().next().unwrap().url.clone().unwrap();
    ping(&target.platform, &row, &url).await;
    let events = target.platform.events_until(id, |event| matches!(event, Event::ReplicaReady(_))).await;
    let names: Vec<_> = events.iter().map(|recorded| recorded.event.name()).collect();
    let expected = ["created", "replica_starting", "replica_handshaking", "replica_ready"];
    assert_eq!(names, expected.map(|name| format!("instance.{name}")));

    target.platform.tell(id, Command::Delete).await;
    let (pods, deployments) = (target.api::<Pod>().await, target.api::<Deployment>().await);
    let (secrets, services) = (target.api::<Secret>().await, target.api::<Service>().await);
    let all = ListParams::default().labels("app.kubernetes.io/managed-by=mcpcan");
    until("everything to be gone", async || {
        pods.list(&all).await.unwrap().items.is_empty()
            && deployments.list(&all).await.unwrap().items.is_empty()
            && secrets.list(&all).await.unwrap().items.is_empty()
            && services.list(&all).await.unwrap().items.is_empty()
    })
    .await;
    worker.stop().await;
    target.end().await;
}

#[tokio::test]
async fn what_runs_goes_on_without_a_worker_and_the_next_one_starts_nothing_anew() {
    let target = Target::start().await;
    let worker = target.worker().await;
    let id = target.create(target.hosted(&[])).await;
    let replica = target.platform.ready(id).await.replicas[0].replica;
    worker.kill().await;
    let worker = target.worker().await;
    target.platform.tell(id, Command::Scale { replicas: 2 }).await;
    let row = target.platform.row(id, "two replicas", |row| row.ready_replicas().count() == 2).await;
    assert!(row.replicas.iter().any(|known| known.replica == replica), "the first one was replaced");
    target.platform.tell(id, Command::Scale { replicas: 1 }).await;
    target.platform.row(id, "one replica", |row| row.replicas.len() == 1).await;
    worker.stop().await;
    target.end().await;
}

#[tokio::test]
async fn a_restart_keeps_the_old_until_the_new_answer() {
    let target = Target::start().await;
    let worker = target.worker().await;
    let id = target.create(domain::instance::Hosted { replicas: 2, ..target.hosted(&[]) }).await;
    target.platform.row(id, "two replicas", |row| row.ready_replicas().count() == 2).await;
    target.platform.tell(id, Command::Restart).await;
    let is_rolled = |row: &views::InstanceRow| {
        assert!(row.ready_replicas().count() > 0, "nobody can be called: {row:#?}");
        row.replicas.len() == 2
            && row.replicas.iter().all(|known| known.generation == 2 && known.url.is_some())
    };
    target.platform.row(id, "two replicas of the new generation", is_rolled).await;
    worker.stop().await;
    target.end().await;
}

#[tokio::test]
async fn what_people_change_by_hand_is_repaired() {
    let target = Target::start().await;
    let worker = target.worker().await;
    let id = target.create(target.hosted(&[])).await;
    let first = target.platform.ready(id).await.replicas[0].replica;
    let deployments = target.api::<Deployment>().await;
    let name = format!("mcpcan-{}", id.0.simple());
    let scaled = json!({"apiVersion": "apps/v1", "kind": "Deployment", "spec": {"replicas": 3}});
    let by_hand = PatchParams::apply("kubectl").force();
    deployments.patch(&name, &by_hand, &Patch::Apply(&scaled)).await.unwrap();
    until("the replicas to be as many as wanted", async || {
        deployments.get(&name).await.unwrap().spec.unwrap().replicas == Some(1)
    })
    .await;
    deployments.delete(&name, &DeleteParams::background()).await.unwrap();
    let is_back = |row: &views::InstanceRow| {
        row.replicas.len() == 1 && row.replicas[0].replica != first && row.phase == Phase::Ready
    };
    target.platform.row(id, "another replica", is_back).await;
    worker.stop().await;
    target.end().await;
}

#[tokio::test]
async fn a_stopped_instance_has_no_pods_and_comes_back() {
    let target = Target::start().await;
    let worker = target.worker().await;
    let id = target.create(target.hosted(&[])).await;
    target.platform.ready(id).await;
    target.platform.tell(id, Command::Stop).await;
    target.platform.row(id, "the end", |row| row.phase == Phase::Stopped).await;
    let pods = target.api::<Pod>().await;
    until("the pods to be gone", async || pods.list(&ListParams::default()).await.unwrap().items.is_empty())
        .await;
    target.platform.tell(id, Command::Start).await;
    target.platform.ready(id).await;
    worker.stop().await;
    target.end().await;
}

#[tokio::test]
async fn secrets_reach_the_server_and_nothing_but_the_secret() {
    let target = Target::start().await;
    let worker = target.worker().await;
    let id = domain::InstanceId(uuid::Uuid::now_v7());
    let mut hosted = target.hosted(&[]);
    hosted.env.insert("API_TOKEN".to_owned(), target.sealed(id, "s3cret").await);
    let deployments = target.api::<Deployment>().await;
    target.create_as(id, hosted).await;
    until("the deployment", async || {
        !deployments.list(&ListParams::default()).await.unwrap().items.is_empty()
    })
    .await;
    let written =
        serde_json::to_string(&deployments.list(&ListParams::default()).await.unwrap().items).unwrap();
    assert!(!written.contains("s3cret") && written.contains("secretKeyRef"), "{written}");
    let secrets =
        target.api::<Secret>().await.list(&ListParams::default().labels("mcpcan.dev/generation=1")).await;
    assert_eq!(secrets.unwrap().items[0].data.as_ref().unwrap()["API_TOKEN"].0, b"s3cret");
    worker.stop().await;
    target.end().await;
}
