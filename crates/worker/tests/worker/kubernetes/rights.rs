//! The rights that `deploy/` gives to the worker are those that it uses, each and no other.

use std::collections::BTreeSet;

use domain::instance::Command;
use k8s_openapi::api::rbac::v1::PolicyRule;
use serde_json::Value;

use super::target::Target;

/// What the installation allows, as verb and resource.
fn allowed() -> BTreeSet<String> {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../deploy/kubernetes/worker-rights.json");
    let list: Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    let role = list["items"].as_array().unwrap().iter().find(|item| item["kind"] == "Role").unwrap();
    let rules: Vec<PolicyRule> = serde_json::from_value(role["rules"].clone()).unwrap();
    let of_rule = |rule: PolicyRule| {
        let resources = rule.resources.unwrap();
        let pairs = rule.verbs.into_iter().flat_map(move |verb| {
            resources.clone().into_iter().map(move |resource| format!("{verb} {resource}"))
        });
        pairs.collect::<Vec<_>>()
    };
    rules.into_iter().flat_map(of_rule).collect()
}

#[tokio::test]
async fn the_worker_has_the_rights_that_it_uses_and_no_others() {
    let target = Target::fake().await;
    let fake = target.fake.as_ref().unwrap();
    let worker = target.worker().await;
    let id = target.create(target.hosted(&[])).await;
    target.platform.ready(id).await;
    let used = || fake.calls().into_iter().collect::<BTreeSet<String>>();
    super::lifecycle::until("the log to be followed", async || used().contains("get pods/log")).await;
    target.platform.tell(id, Command::Delete).await;
    let deletions =
        ["deployments", "networkpolicies", "secrets", "services"].map(|kind| format!("delete {kind}"));
    super::lifecycle::until("everything to be removed", async || {
        deletions.iter().all(|deletion| used().contains(deletion))
    })
    .await;
    worker.stop().await;
    // To apply what is not there yet takes the right to create it.
    let implied = used()
        .into_iter()
        .filter_map(|call| call.strip_prefix("patch ").map(|kind| format!("create {kind}")));
    assert_eq!(used().into_iter().chain(implied).collect::<BTreeSet<_>>(), allowed());
    target.end().await;
}
