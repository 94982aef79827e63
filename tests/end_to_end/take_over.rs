//! Projectors as processes of their own: when one is killed without a word, another goes on.

use std::time::Duration;

use harness::{Deployment, Replicas, http, projector, until};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

/// How long a command may take until it is visible. How long it does take is for `make bench ONLY=takeover` to say.
const VISIBLE_MAX: Duration = Duration::from_secs(60);

/// Sends a command until it is answered with a success: the api gives up before the views are there if it must.
async fn command(deployment: &Deployment, path: &str, key: &str, body: Option<&Value>) -> Value {
    let url = format!("{}{path}", deployment.apis()[0]);
    let (answer, _) = until(&format!("{key} is visible"), VISIBLE_MAX, async || {
        let request = http().request(Method::POST, &url).bearer_auth(deployment.admin_key());
        let request = request.header("idempotency-key", key);
        let request = if let Some(body) = body { request.json(body) } else { request };
        let answer = request.send().await.expect("the api answers");
        let status = answer.status();
        let document =
            serde_json::from_slice(&answer.bytes().await.expect("it answers whole")).expect("JSON");
        let is_late = matches!(status, StatusCode::SERVICE_UNAVAILABLE | StatusCode::ACCEPTED);
        assert!(status.is_success() || is_late, "{status} {document}");
        (!is_late).then_some(document)
    })
    .await;
    answer
}

#[tokio::test(flavor = "multi_thread")]
async fn a_projector_that_is_killed_is_replaced_by_the_one_that_stands_by() {
    let mut deployment =
        Deployment::start(Replicas { apis: 1, deciders: 1, projectors: 2, gateways: 0 }).await;
    let store = deployment.server.store().await;
    let body = json!({
        "name": "everything", "access": "proxy", "transport": "streamable-http", "url": "http://127.0.0.1:9/mcp",
    });
    let created = command(&deployment, "/instances", "create", Some(&body)).await;
    let restart = format!("/instances/{}/restart", created["id"].as_str().expect("an instance has an id"));

    // Whoever did what before: from here on one does all of it.
    deployment.kill(&projector(0)).await;
    assert_eq!(command(&deployment, &restart, "first", None).await["generation"], 2);
    let mut holder = deployment.only_projector(&store, None).await;
    for (dead, alive, generation) in [(0, 1, 3), (1, 0, 4), (0, 1, 5)] {
        deployment.restart(&projector(dead));
        deployment.projector_ready(dead).await;
        deployment.kill(&projector(alive)).await;
        let shown = command(&deployment, &restart, &format!("restart-{generation}"), None).await;
        assert_eq!(shown["generation"], generation, "the answer shows what the command led to");
        holder = deployment.only_projector(&store, Some(&holder)).await;
    }
}
