//! The writers: clients as they should be. Each command has a key; what brings no answer is sent again under the same
//! key, and given up only after a while.

use std::sync::Arc;
use std::time::{Duration, Instant};

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use tokio::sync::Mutex;

use crate::random::Random;

/// How long one request may take: a little more than the api waits for an outcome and for its views.
const REQUEST_MAX: Duration = Duration::from_secs(30);
/// Between two attempts.
const RETRY_PAUSE: Duration = Duration::from_millis(100);

/// What is wished.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wish {
    Create,
    Start,
    Stop,
    Restart,
    Delete,
    Issue,
    Edit,
    Rotate,
    Revoke,
}

/// A command as it goes over the wire, any number of times.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    pub(crate) key: String,
    pub(crate) wish: Wish,
    method: Method,
    path: String,
    body: Option<Value>,
}

/// What a client knows in the end.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Answer {
    Acknowledged {
        status: u16,
        body: Value,
    },
    Refused {
        status: u16,
        body: Value,
    },
    /// No attempt brought an answer.
    Unknown {
        last: String,
    },
}

/// A command and what became of it.
#[derive(Clone, Debug)]
pub(crate) struct Sent {
    pub(crate) request: Request,
    pub(crate) answer: Answer,
    /// How many attempts brought no answer before the one that did.
    pub(crate) lost: usize,
}

/// The way to the apis.
#[derive(Clone)]
pub(crate) struct Client {
    pub(crate) http: reqwest::Client,
    pub(crate) apis: Arc<Vec<String>>,
    pub(crate) admin_key: String,
}

impl Client {
    /// Sends until there is an answer or `patience` is over, each attempt to the next api.
    pub(crate) async fn send(&self, request: Request, first_api: usize, patience: Duration) -> Sent {
        let deadline = Instant::now() + patience;
        let mut lost = 0;
        loop {
            let api = &self.apis[(first_api + lost) % self.apis.len()];
            match self.attempt(api, &request).await {
                Ok(answer) => return Sent { request, answer, lost },
                Err(last) if Instant::now() >= deadline => {
                    return Sent { request, answer: Answer::Unknown { last }, lost };
                }
                Err(_) => lost += 1,
            }
            tokio::time::sleep(RETRY_PAUSE).await;
        }
    }

    /// One attempt; the error is what came in the place of an answer.
    async fn attempt(&self, api: &str, request: &Request) -> Result<Answer, String> {
        let mut builder = self
            .http
            .request(request.method.clone(), format!("{api}{}", request.path))
            .bearer_auth(&self.admin_key)
            .header("idempotency-key", &request.key)
            .timeout(REQUEST_MAX);
        if let Some(body) = &request.body {
            builder = builder.json(body);
        }
        let answer = builder.send().await.map_err(|error| error.to_string())?;
        let status = answer.status();
        let body = answer.bytes().await.map_err(|error| error.to_string())?;
        let body: Value = serde_json::from_slice(&body).map_err(|error| error.to_string())?;
        assert_ne!(status, StatusCode::INTERNAL_SERVER_ERROR, "{request:?}: {body}");
        if status == StatusCode::ACCEPTED || status.is_server_error() {
            return Err(format!("{status} {body}"));
        }
        let status = status.as_u16();
        Ok(if status < 300 {
            Answer::Acknowledged { status, body }
        } else {
            Answer::Refused { status, body }
        })
    }
}

/// What writers know of one name.
#[derive(Debug, Default)]
pub(crate) struct Slot {
    instance: Option<String>,
    /// With the instance that each belongs to.
    tokens: Vec<(String, String)>,
}

/// What writers know of all names.
pub(crate) type Slots = Arc<Vec<Mutex<Slot>>>;

/// Wishes and sends until `until`. Gives everything that was sent.
pub(crate) async fn run(
    number: usize,
    client: Client,
    slots: Slots,
    mut random: Random,
    until: Instant,
    patience: Duration,
) -> Vec<Sent> {
    let mut sent = vec![];
    while Instant::now() < until {
        let slot = random.below(slots.len());
        let key = format!("writer-{number}-{}", sent.len());
        let request = wish(slot, &*slots[slot].lock().await, key, &mut random);
        let result = client.send(request, random.below(client.apis.len()), patience).await;
        learn(&mut *slots[slot].lock().await, &result);
        sent.push(result);
    }
    sent
}

/// What to wish of a slot: creations where there is nothing, and everything else by weight.
fn wish(number: usize, slot: &Slot, key: String, random: &mut Random) -> Request {
    const WEIGHTS: [(Wish, usize); 8] = [
        (Wish::Restart, 30),
        (Wish::Stop, 14),
        (Wish::Start, 14),
        (Wish::Delete, 8),
        (Wish::Issue, 14),
        (Wish::Edit, 8),
        (Wish::Rotate, 6),
        (Wish::Revoke, 6),
    ];
    let choices: Vec<Wish> =
        WEIGHTS.iter().flat_map(|(wish, weight)| std::iter::repeat_n(*wish, *weight)).collect();
    let Some(instance) = &slot.instance else { return create(number, key) };
    let mut wish = *random.one_of(&choices);
    let own: Vec<_> = slot.tokens.iter().filter(|(of, _)| of == instance).map(|(_, token)| token).collect();
    if own.is_empty() && matches!(wish, Wish::Edit | Wish::Rotate | Wish::Revoke) {
        wish = Wish::Issue;
    }
    let path = format!("/instances/{instance}");
    let token = |random: &mut Random| format!("{path}/tokens/{}", random.one_of(&own));
    let (method, path, body) = match wish {
        Wish::Create => return create(number, key),
        Wish::Start => (Method::POST, format!("{path}/start"), None),
        Wish::Stop => (Method::POST, format!("{path}/stop"), None),
        Wish::Restart => (Method::POST, format!("{path}/restart"), None),
        Wish::Delete => (Method::DELETE, path, None),
        Wish::Issue => {
            let body = json!({ "kind": "bearer", "label": format!("issued by {key}") });
            (Method::POST, format!("{path}/tokens"), Some(body))
        }
        Wish::Edit => (Method::PATCH, token(random), Some(json!({ "label": format!("edited by {key}") }))),
        Wish::Rotate => (Method::POST, format!("{}/rotate", token(random)), None),
        Wish::Revoke => (Method::DELETE, token(random), None),
    };
    Request { key, wish, method, path, body }
}

fn create(number: usize, key: String) -> Request {
    let body = json!({
        "name": format!("slot-{number}"),
        "access": "proxy",
        "transport": "streamable-http",
        "url": "http://127.0.0.1:9/mcp",
    });
    Request { key, wish: Wish::Create, method: Method::POST, path: "/instances".to_owned(), body: Some(body) }
}

fn learn(slot: &mut Slot, sent: &Sent) {
    match (&sent.answer, sent.request.wish) {
        (Answer::Acknowledged { body, .. }, Wish::Create) => {
            slot.instance = body["id"].as_str().map(str::to_owned);
        }
        (Answer::Refused { body, .. }, Wish::Create) => {
            slot.instance = body["holder"].as_str().map(str::to_owned);
        }
        (Answer::Acknowledged { body, .. }, Wish::Issue) => {
            let text = |name: &str| body[name].as_str().unwrap_or_default().to_owned();
            slot.tokens.push((text("instance"), text("id")));
        }
        (Answer::Acknowledged { .. }, Wish::Delete) | (Answer::Refused { status: 404 | 410, .. }, _)
            if slot.instance.as_ref().is_some_and(|id| sent.request.path.contains(id.as_str()))
                && !sent.request.path.contains("/tokens/") =>
        {
            slot.instance = None;
        }
        (Answer::Acknowledged { .. } | Answer::Refused { .. } | Answer::Unknown { .. }, _) => {}
    }
}
