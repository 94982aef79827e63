//! The gateway in front of a fast server, beside nginx as a plain reverse proxy; its trace events go to a real
//! nats-server, and every request is authenticated.

use std::time::Duration;

use harness::{Deployment, Replicas};
use serde_json::{Value, json};

use crate::figure::{Figures, Goal, median, quantile};
use crate::http::Connection;
use crate::mcp_client::{Clients, Streams, Target};
use crate::nginx::Nginx;
use crate::peer::Work;
use crate::servers::memory;
use crate::upstream;

const REPLICAS: Replicas = Replicas { apis: 1, deciders: 1, projectors: 1, gateways: 1 };
/// How often the sides take turns.
const ROUNDS: usize = 5;
/// How long one side works in one round.
const ROUND: Duration = Duration::from_secs(2);
/// How many clients call at a time.
const CLIENTS: [usize; 3] = [1, 16, 64];
/// How many of them call at half the gateway's speed.
const CLIENTS_AT_HALF_LOAD: usize = 16;
const MESSAGE: &str = "sixteen letters.";
/// What of nginx has to be reached.
const OF_NGINX_MIN: f64 = 0.8;
/// What the gateway may add to the 99th percentile at half load, in milliseconds.
const ADDED_P99_MS_MAX: f64 = 1.0;
/// How many event streams are open at once, and how many of them with one token.
const STREAMS: usize = 1000;
const STREAMS_EACH: usize = 20;

pub(crate) async fn run(figures: &mut Figures) {
    let upstream = upstream::start().await;
    let nginx = Nginx::start(&upstream.target).await;
    let deployment = Deployment::start(REPLICAS).await;
    let instance = json!({"name": "bench"});
    let gateway = proxied(&deployment, &upstream.target, &instance, STREAMS / STREAMS_EACH).await;
    let sides = [("direct", &upstream.target), ("nginx", &nginx.server.target), ("gateway", &gateway[0])];
    let mut rate = 0.0;
    for clients in CLIENTS {
        let rates = throughput(figures, clients, sides).await;
        if clients == CLIENTS_AT_HALF_LOAD {
            rate = rates;
        }
    }
    half_load(figures, rate / 2.0, sides).await;
    streams(figures, "nginx", nginx.server.pid(), std::slice::from_ref(&nginx.server.target)).await;
    streams(figures, "gateway", deployment.pid("gateway-0"), &gateway).await;
}

/// Gives the gateway's calls per second.
async fn throughput(figures: &mut Figures, clients: usize, sides: [(&str, &Target); 3]) -> f64 {
    let work = rounds(clients, None, sides).await;
    let name = |what: &str| format!("gateway: {clients} clients: {what}");
    let rates = work.map(|work| median(&work.iter().map(|work| work.per_second).collect::<Vec<_>>()));
    for ((side, _), rate) in sides.iter().zip(rates) {
        figures.add(&name(side), rate, "/s", Goal::None);
    }
    let [_, nginx, gateway] = rates;
    figures.add(&name("of nginx"), gateway / nginx, "", Goal::AtLeast(OF_NGINX_MIN));
    gateway
}

async fn half_load(figures: &mut Figures, rate: f64, sides: [(&str, &Target); 3]) {
    #[expect(clippy::cast_precision_loss, reason = "a small number")]
    let pause = Duration::from_secs_f64(CLIENTS_AT_HALF_LOAD as f64 / rate);
    let work = rounds(CLIENTS_AT_HALF_LOAD, Some(pause), sides).await;
    let name = |what: &str| format!("gateway: at half load: {what}");
    let p99s = work.map(|work| {
        quantile(&work.iter().flat_map(|work| work.latencies.iter().copied()).collect::<Vec<_>>(), 0.99)
    });
    figures.add(&name("calls"), rate, "/s", Goal::None);
    for ((side, _), p99) in sides.iter().zip(p99s) {
        figures.add(&name(&format!("{side}, p99")), p99, "ms", Goal::None);
    }
    let [direct, nginx, gateway] = p99s;
    figures.add(&name("p99 that nginx adds"), nginx - direct, "ms", Goal::None);
    figures.add(&name("p99 that the gateway adds"), gateway - direct, "ms", Goal::AtMost(ADDED_P99_MS_MAX));
}

/// The sides take turns.
pub(crate) async fn rounds<const SIDES: usize>(
    clients: usize,
    pause: Option<Duration>,
    sides: [(&str, &Target); SIDES],
) -> [Vec<Work>; SIDES] {
    let mut working = vec![];
    for (_, target) in sides {
        working.push(Clients::open(target, clients).await);
    }
    let mut work = [const { Vec::new() }; SIDES];
    for _ in 0..ROUNDS {
        for (clients, work) in working.iter_mut().zip(&mut work) {
            work.push(clients.call(MESSAGE, ROUND, pause).await);
        }
    }
    work
}

/// Many streams on which nothing comes.
async fn streams(figures: &mut Figures, side: &str, pid: u32, targets: &[Target]) {
    let before = memory(pid);
    let streams = Streams::open(targets, STREAMS).await;
    #[expect(clippy::cast_precision_loss, reason = "some kibibytes")]
    let each = (memory(pid) as f64 - before as f64) / STREAMS as f64;
    figures.add(&format!("gateway: {STREAMS} streams: {side}, memory each"), each, "KiB", Goal::None);
    drop(streams);
}

/// Makes an instance of a server elsewhere, with these settings; gives its address at the gateway, once for each of its
/// tokens.
pub(crate) async fn proxied(
    deployment: &Deployment,
    upstream: &Target,
    settings: &Value,
    tokens: usize,
) -> Vec<Target> {
    let mut api = Connection::open(&deployment.apis()[0], deployment.admin_key()).await;
    let name = settings["name"].as_str().expect("an instance has a name");
    let mut body = settings.clone();
    body["access"] = "proxy".into();
    body["transport"] = "streamable-http".into();
    body["url"] = upstream.url().into();
    api.post("/instances", &format!("create-{name}"), Some(&body)).await;
    let mut targets = vec![];
    for token in 0..tokens {
        let body = json!({"kind": "bearer", "label": token.to_string()});
        let path = format!("/instances/{name}/tokens");
        let token = api.post(&path, &format!("token-{name}-{token}"), Some(&body)).await;
        let credential = token["token"].as_str().expect("a token is shown once");
        targets.push(Target {
            address: deployment.gateways()[0],
            path: format!("/mcp-gateway/{name}/mcp"),
            authorization: Some(format!("Bearer {credential}")),
        });
    }
    targets
}
