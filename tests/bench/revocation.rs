//! A credential that ends: how long from the answer to the command until the last of three gateways refuses it.
//!
//! Each gateway is asked without a pause on a connection of its own, so what is measured is the gateway's delay and one
//! round trip.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use bytes::Bytes;
use harness::{Deployment, Replicas};
use http::{Method, Request};
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1::SendRequest;
use serde_json::json;

use crate::figure::{Figures, Goal, quantile};
use crate::http::{Connection, connect};
use crate::upstream;

const REPLICAS: Replicas = Replicas { apis: 1, deciders: 1, projectors: 1, gateways: 3 };
/// How many credentials end in each way.
const ROUNDS: usize = 200;
/// How long it may take until the last gateway refuses, in milliseconds.
const REFUSED_MS_MAX: f64 = 100.0;
/// How long a gateway may take until it is given up.
const DEADLINE: Duration = Duration::from_secs(10);

pub(crate) async fn run(figures: &mut Figures) {
    let deployment = Deployment::start(REPLICAS).await;
    let mut api = Connection::open(&deployment.apis()[0], deployment.admin_key()).await;
    let upstream = upstream::start().await;
    let body = json!({
        "name": "bench", "access": "proxy", "transport": "streamable-http", "url": upstream.target.url(),
    });
    let instance = api.post("/instances", "create", Some(&body)).await;
    let instance = instance["id"].as_str().expect("an instance has an id").to_owned();
    let rotation = json!({});
    for (what, method, action, body) in
        [("revoked", Method::DELETE, "", None), ("rotated", Method::POST, "/rotate", Some(&rotation))]
    {
        let mut times = vec![];
        for round in 0..ROUNDS {
            let key = format!("{what}-{round}");
            let token = api
                .post(&format!("/instances/{instance}/tokens"), &key, Some(&json!({"kind": "bearer"})))
                .await;
            let (id, credential) = (text(&token["id"]), text(&token["token"]));
            let mut probes = vec![];
            for gateway in deployment.gateways() {
                let mut probe = Probe::open(*gateway, &instance, credential).await;
                probe.until(200).await;
                probes.push(tokio::spawn(async move { probe.until(401).await }));
            }
            let path = format!("/instances/{instance}/tokens/{id}{action}");
            api.send(method.clone(), &path, &format!("{key}-ends"), body).await;
            let answered = Instant::now();
            let mut last = Duration::ZERO;
            for probe in probes {
                let refused = probe.await.expect("a probe ends");
                last = last.max(refused.saturating_duration_since(answered));
            }
            times.push(last.as_secs_f64() * 1000.0);
        }
        let name = |share: &str| format!("revocation: {what}, last of 3 gateways refuses, {share}");
        figures.add(&name("p50"), quantile(&times, 0.5), "ms", Goal::None);
        figures.add(&name("p99"), quantile(&times, 0.99), "ms", Goal::AtMost(REFUSED_MS_MAX));
        figures.add(&name("longest"), quantile(&times, 1.0), "ms", Goal::None);
    }
}

fn text(value: &serde_json::Value) -> &str {
    value.as_str().expect("it is text")
}

/// One connection to one gateway, with one credential.
struct Probe {
    gateway: SocketAddr,
    sender: SendRequest<Full<Bytes>>,
    path: String,
    credential: String,
}

impl Probe {
    async fn open(gateway: SocketAddr, instance: &str, credential: &str) -> Self {
        let path = format!("/mcp-gateway/{instance}/mcp");
        let sender = connect(gateway).await.expect("connect to a gateway");
        Probe { gateway, sender, path, credential: format!("Bearer {credential}") }
    }

    /// Asks until the answer has this status; gives the moment of that.
    async fn until(&mut self, wanted: u16) -> Instant {
        let started = Instant::now();
        loop {
            match self.ask().await {
                Ok(status) if status == wanted => return Instant::now(),
                Ok(status) => assert!(started.elapsed() < DEADLINE, "the gateway still answers {status}"),
                // An answer that is under way breaks off with its credential: that is no refusal yet.
                Err(_) => self.sender = connect(self.gateway).await.expect("connect anew"),
            }
        }
    }

    async fn ask(&mut self) -> Result<u16, hyper::Error> {
        let request = Request::post(&self.path)
            .header("host", "localhost")
            .header("authorization", &self.credential)
            .header("content-type", "application/json")
            .body(Full::new(Bytes::from_static(br#"{"jsonrpc":"2.0","id":1,"method":"ping"}"#)))
            .expect("a request can be made");
        self.sender.ready().await?;
        let answer = self.sender.send_request(request).await?;
        let status = answer.status().as_u16();
        answer.into_body().collect().await?;
        Ok(status)
    }
}
