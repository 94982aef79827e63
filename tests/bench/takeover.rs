//! A projector that is killed with SIGKILL: how long until a command that is sent in that moment is visible, and until
//! the one that stood by does all that the dead one did.

use std::time::Instant;

use harness::{Deployment, Replicas, projector};
use serde_json::json;

use crate::figure::{Figures, Goal, median, quantile};
use crate::http::Connection;
use crate::peer::milliseconds;

const REPLICAS: Replicas = Replicas { apis: 1, deciders: 1, projectors: 2, gateways: 0 };
const ROUNDS: usize = 10;
/// How long it may take until another has taken over, in milliseconds.
const TAKE_OVER_MS_MAX: f64 = 2000.0;

pub(crate) async fn run(figures: &mut Figures) {
    let mut deployment = Deployment::start(REPLICAS).await;
    let store = deployment.server.store().await;
    let mut connection = Connection::open(&deployment.apis()[0], deployment.admin_key()).await;
    let body = json!({
        "name": "bench", "access": "proxy", "transport": "streamable-http", "url": "http://127.0.0.1:9/mcp",
    });
    let created = connection.post("/instances", "create", Some(&body)).await;
    let path = format!("/instances/{}/restart", created["id"].as_str().expect("an instance has an id"));

    deployment.kill(&projector(1)).await;
    let mut holder = deployment.only_projector(&store, None).await;
    let (mut calm, mut visible, mut taken) = (vec![], vec![], vec![]);
    for round in 0..ROUNDS {
        let (alive, dead) = (round % 2, (round + 1) % 2);
        deployment.restart(&projector(dead));
        deployment.projector_ready(dead).await;
        let started = Instant::now();
        connection.post(&path, &format!("calm-{round}"), None).await;
        calm.push(milliseconds(started));

        let started = Instant::now();
        deployment.kill(&projector(alive)).await;
        let key = format!("killed-{round}");
        let (shown, (other, took)) = tokio::join!(
            async {
                connection.post(&path, &key, None).await;
                milliseconds(started)
            },
            async { (deployment.only_projector(&store, Some(&holder)).await, milliseconds(started)) },
        );
        visible.push(shown);
        taken.push(took);
        holder = other;
    }
    let goal = Goal::AtMost(TAKE_OVER_MS_MAX);
    figures.add("takeover: command visible, nobody killed", median(&calm), "ms", Goal::None);
    figures.add("takeover: command visible, median", median(&visible), "ms", Goal::None);
    figures.add("takeover: command visible, longest", quantile(&visible, 1.0), "ms", goal);
    figures.add("takeover: all tasks taken over, median", median(&taken), "ms", Goal::None);
    figures.add("takeover: all tasks taken over, longest", quantile(&taken, 1.0), "ms", goal);
}
