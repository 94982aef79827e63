//! What the access log costs: one gateway in front of one fast server, as three instances that keep different things of
//! their calls. A call of one that keeps nothing still leaves its two rows; those of the others have everything that was
//! asked for, masked.

use harness::{Deployment, Replicas};
use serde_json::json;

use crate::figure::{Figures, Goal, median};
use crate::gateway::{proxied, rounds};
use crate::upstream;

const REPLICAS: Replicas = Replicas { apis: 1, deciders: 1, projectors: 1, gateways: 1 };
const CLIENTS: usize = 16;
/// What an instance keeps that says nothing else.
const DEFAULT: &str = "metadata";
/// How much of its speed the gateway may lose to it.
const COST_MAX: f64 = 0.1;

pub(crate) async fn run(figures: &mut Figures) {
    let upstream = upstream::start().await;
    let deployment = Deployment::start(REPLICAS).await;
    let mut targets = vec![];
    for capture in ["off", DEFAULT, "bodies"] {
        let settings = json!({"name": capture, "logging": {"capture": capture}});
        targets.extend(proxied(&deployment, &upstream.target, &settings, 1).await);
    }
    let [off, metadata, bodies] = targets.as_slice() else { panic!("each has one token") };
    let sides = [("off", off), (DEFAULT, metadata), ("bodies", bodies)];
    let rates = rounds(CLIENTS, None, sides)
        .await
        .map(|work| median(&work.iter().map(|work| work.per_second).collect::<Vec<_>>()));
    let name = |what: &str| format!("logging: {CLIENTS} clients: {what}");
    for ((side, _), rate) in sides.iter().zip(rates) {
        figures.add(&name(side), rate, "/s", Goal::None);
    }
    let [off, metadata, bodies] = rates;
    figures.add(&name("cost of metadata"), 1.0 - metadata / off, "", Goal::AtMost(COST_MAX));
    figures.add(&name("cost of bodies"), 1.0 - bodies / off, "", Goal::AtMost(COST_MAX));
}
