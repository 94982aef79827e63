//! The callers: clients that call a tool through one gateway after the other, and note what was answered.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::{Deployment, Value, http, json, until};
use crate::random::Random;

/// Between two calls of a caller.
const PAUSE: Duration = Duration::from_millis(20);
/// How long a call may take.
const CALL_MAX: Duration = Duration::from_secs(10);
/// How long it may take until a new token is known to every gateway.
const KNOWN_MAX: Duration = Duration::from_secs(60);

/// The way to a server: through which gateways, to which instance, with which token.
#[derive(Clone)]
pub(super) struct Way {
    gateways: Arc<Vec<SocketAddr>>,
    instance: String,
    token: String,
    /// Whether no call is answered before it is recorded.
    is_strict: bool,
}

/// A call that was answered.
#[derive(Clone, Debug)]
pub(super) struct Acknowledged {
    number: usize,
    caller: usize,
    pub(super) is_strict: bool,
    pub(super) gateway: usize,
    pub(super) began: Instant,
    pub(super) answered: Instant,
}

pub(super) struct Caller {
    number: usize,
    http: reqwest::Client,
    way: Way,
    random: Random,
    calls: usize,
}

impl Way {
    /// Makes an instance for a server, and a token for it that every gateway takes.
    pub(super) async fn open(deployment: &Deployment, upstream: &SocketAddr, is_strict: bool) -> Self {
        let body = json!({
            "name": if is_strict { "strict" } else { "usual" }, "access": "proxy", "transport": "streamable-http",
            "url": format!("http://{upstream}/mcp"), "logging": {"strict": is_strict},
        });
        let instance = post(deployment, "/instances", &body).await["id"].clone();
        let instance = instance.as_str().expect("an instance has an id").to_owned();
        let token =
            post(deployment, &format!("/instances/{instance}/tokens"), &json!({"kind": "bearer"})).await;
        let token = token["token"].as_str().expect("a token has a credential").to_owned();
        let way = Way { gateways: Arc::new(deployment.gateways().to_vec()), instance, token, is_strict };
        let mut probe = Caller::new(usize::MAX, way.clone(), Random::new(0));
        for gateway in 0..way.gateways.len() {
            until("the gateway takes the token", KNOWN_MAX, async || probe.call_through(gateway).await).await;
        }
        way
    }
}

async fn post(deployment: &Deployment, path: &str, body: &Value) -> Value {
    let url = format!("{}{path}", deployment.apis()[0]);
    let request = http()
        .post(url)
        .bearer_auth(deployment.admin_key())
        .header("idempotency-key", uuid::Uuid::now_v7().to_string())
        .json(body);
    let answer = request.send().await.expect("the api answers");
    assert!(answer.status().is_success(), "{path}: {}", answer.text().await.unwrap_or_default());
    answer.json().await.expect("the api speaks JSON")
}

impl Acknowledged {
    /// The id of the call as it stands in the request.
    pub(super) fn rpc_id(&self) -> String {
        format!("\"{}\"", self.id())
    }

    fn id(&self) -> String {
        format!("{}-{}", self.caller, self.number)
    }
}

impl Caller {
    pub(super) fn new(number: usize, way: Way, random: Random) -> Self {
        Caller { number, http: http(), way, random, calls: 0 }
    }

    /// Calls until `end`. Gives the calls that were answered.
    pub(super) async fn run(mut self, end: Instant) -> Vec<Acknowledged> {
        let (mut answered, mut pace) = (vec![], tokio::time::interval(PAUSE));
        while Instant::now() < end {
            pace.tick().await;
            answered.extend(self.call().await);
        }
        answered
    }

    /// Calls once, through any gateway; nothing if there was no answer.
    pub(super) async fn call(&mut self) -> Option<Acknowledged> {
        let gateway = self.random.below(self.way.gateways.len());
        self.call_through(gateway).await
    }

    async fn call_through(&mut self, gateway: usize) -> Option<Acknowledged> {
        self.calls += 1;
        let began = Instant::now();
        let mut call = Acknowledged {
            number: self.calls,
            caller: self.number,
            is_strict: self.way.is_strict,
            gateway,
            began,
            answered: began,
        };
        let id = call.id();
        let body = json!({"jsonrpc": "2.0", "id": id, "method": "tools/call",
            "params": {"name": "echo", "arguments": {"text": id}}});
        let url = format!("http://{}/mcp-gateway/{}/mcp", self.way.gateways[gateway], self.way.instance);
        let request = self.http.post(url).bearer_auth(&self.way.token).timeout(CALL_MAX);
        let request = request.header("accept", "application/json, text/event-stream").json(&body);
        let answer = request.send().await.ok()?;
        let answer: Value = answer.error_for_status().ok()?.json().await.ok()?;
        assert_eq!((&answer["id"], &answer["result"]["text"]), (&json!(id), &json!(id)), "{answer}");
        call.answered = Instant::now();
        Some(call)
    }
}
