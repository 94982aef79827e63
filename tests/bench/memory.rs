//! How much a gateway holds that knows very many tokens.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use domain::instance::InstanceDecider;
use domain::token::{self, Expiry, Issued, Kind, TokenDecider};
use domain::{Digest, InstanceId, TokenId};
use harness::{Deployment, Replicas};
use serde_json::json;
use store::testing::given;
use store::{Store, Write};
use uuid::Uuid;

use crate::figure::{Figures, Goal};
use crate::http::Connection;
use crate::mcp_client::{Client, Target};
use crate::replay::created;
use crate::servers::memory;

const REPLICAS: Replicas = Replicas { apis: 1, deciders: 1, projectors: 1, gateways: 1 };
const INSTANCES: usize = 1_000;
const TOKENS_EACH: usize = 100;
/// What a gateway may hold with all of them, in MiB.
const MEMORY_MIB_MAX: f64 = 150.0;
/// How long they may take to arrive.
const DEADLINE: Duration = Duration::from_secs(120);

#[expect(clippy::cast_precision_loss, reason = "some kibibytes")]
pub(crate) async fn run(figures: &mut Figures) {
    let mut deployment = Deployment::start(REPLICAS).await;
    let store = deployment.server.store().await;
    let empty = memory(deployment.pid("gateway-0"));
    fill(&store).await;
    // Whoever knows the last one knows all that came before.
    let mut api = Connection::open(&deployment.apis()[0], deployment.admin_key()).await;
    let body = json!({
        "name": "last", "access": "proxy", "transport": "streamable-http", "url": "http://127.0.0.1:9/mcp",
    });
    api.post("/instances", "last", Some(&body)).await;
    let token = api.post("/instances/last/tokens", "last-token", Some(&json!({"kind": "bearer"}))).await;
    let target = Target {
        address: deployment.gateways()[0],
        path: "/mcp-gateway/last/mcp".to_owned(),
        authorization: Some(format!("Bearer {}", token["token"].as_str().expect("a token is shown once"))),
    };
    harness::until("the gateway knows the last token", DEADLINE, async || {
        let refused = Client::open(&target).await.err()?;
        (!refused.to_string().contains("401")).then_some(())
    })
    .await;
    let grown = memory(deployment.pid("gateway-0"));
    // One that starts with all of them reads them at once.
    deployment.kill("gateway-0").await;
    deployment.restart("gateway-0");
    deployment.ready().await;
    let started = memory(deployment.pid("gateway-0"));
    let name = |what: &str| format!("memory: gateway, {what}");
    figures.add(&name("nothing to know"), empty as f64 / 1024.0, "MiB", Goal::None);
    let goal = Goal::AtMost(MEMORY_MIB_MAX);
    figures.add(&name("100,000 tokens came"), grown as f64 / 1024.0, "MiB", goal);
    figures.add(&name("started with 100,000 tokens"), started as f64 / 1024.0, "MiB", goal);
}

/// Appends instances with their tokens. The tokens' secrets are never opened, so all are the same one.
async fn fill(store: &Store) {
    let sealed = store.vault().seal(Uuid::now_v7(), b"credential").await.expect("seal a secret");
    for number in 0..INSTANCES {
        let instance = InstanceId(Uuid::now_v7());
        let name = format!("bench-{number}").parse().expect("a legal name");
        let mut writes = vec![Write::new::<InstanceDecider>(&instance, 0, &[created(name)])];
        for token in 0..TOKENS_EACH {
            let issued = Issued {
                instance,
                kind: Kind::Bearer,
                label: format!("token-{token}"),
                digest: Digest(digest(number, token)),
                masked: "mcp_…".to_owned(),
                sealed: sealed.clone(),
                expiry: Expiry::Never,
                headers: BTreeMap::new(),
                passthrough: BTreeSet::new(),
            };
            let id = TokenId(Uuid::now_v7());
            writes.push(Write::new::<TokenDecider>(&id, 0, &[token::Event::Issued(issued)]));
        }
        store.append(&writes, &given().metadata()).await.expect("append events");
    }
}

/// As long as a real digest.
fn digest(instance: usize, token: usize) -> String {
    format!("{instance:032x}{token:032x}")
}
