//! What pods write comes to the log whole and once, whoever follows it.

use access_log::ContainerLine;
use k8s_openapi::api::core::v1::Pod;
use kube::api::{ListParams, LogParams};
use serde_json::Value;
use store::DataStream;

use super::lifecycle::{ping, until};
use super::target::Target;

/// What the server has written, as the cluster keeps it.
async fn written(target: &Target) -> Vec<String> {
    let pods = target.api::<Pod>().await;
    let pod = pods.list(&ListParams::default()).await.unwrap().items.remove(0);
    let log = pods.logs(&pod.metadata.name.unwrap(), &LogParams::default()).await.unwrap();
    let text = |line: &str| match serde_json::from_str::<Value>(line) {
        Ok(message) if message["type"] == "line" => Some(message["text"].as_str().unwrap().to_owned()),
        Ok(_) => None,
        Err(_) => Some(format!("[mcpcan-bridge] {line}")),
    };
    log.lines().filter_map(text).collect()
}

/// What has come to the log stream, in order.
async fn arrived(target: &Target) -> Vec<ContainerLine> {
    let (mut lines, mut from) = (vec![], 1);
    loop {
        let page = target.platform.store.data_page(DataStream::Logs, from).await.unwrap();
        for message in &page.messages {
            lines.extend(store::decode::<Vec<ContainerLine>>(&message.rows).unwrap());
            from = message.sequence + 1;
        }
        if !page.more {
            return lines;
        }
    }
}

#[tokio::test]
async fn lines_come_once_and_in_order_from_one_worker_to_the_next() {
    let target = Target::start().await;
    let id = target.create(target.hosted(&["--babble"])).await;
    for _ in 0..3 {
        let worker = target.worker().await;
        let row = target.platform.ready(id).await;
        // Every session is a child of its own, which writes a line.
        let url = row.ready_replicas().next().unwrap().url.clone().unwrap();
        ping(&target.platform, &row, &url).await;
        until("all lines to arrive", async || {
            let written = written(&target).await.len();
            written > 0 && arrived(&target).await.len() >= written
        })
        .await;
        worker.kill().await;
        // Written while nobody follows.
        ping(&target.platform, &row, &url).await;
    }
    let worker = target.worker().await;
    until("the last lines to arrive", async || arrived(&target).await.len() >= written(&target).await.len())
        .await;
    let (written, arrived) = (written(&target).await, arrived(&target).await);
    assert_eq!(arrived.iter().map(|line| line.text.clone()).collect::<Vec<_>>(), written);
    let replica = target.platform.ready(id).await.replicas[0].replica;
    assert!(
        arrived.iter().all(|line| line.instance_id == id.0 && line.replica_id == replica.0),
        "{arrived:#?}"
    );
    worker.stop().await;
    target.end().await;
}
