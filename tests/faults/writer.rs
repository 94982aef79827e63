//! The writers: clients as they should be. Each command has a key; what brings no answer is sent again under the same
//! key, and given up only after a while.

use std::sync::Arc;
use std::time::{Duration, Instant};

use reqwest::StatusCode;
use serde_json::Value;
use tokio::sync::Mutex;

use crate::random::Random;
use crate::wish::{Request, Slot, Thing, Turn, Wish};

/// How long one request may take: a little more than the api waits for an outcome and for its views.
const REQUEST_MAX: Duration = Duration::from_secs(30);
/// Between two attempts.
const RETRY_PAUSE: Duration = Duration::from_millis(100);

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
        let turn = Turn { key, number: slot, slots: slots.len(), random: &mut random };
        let request = turn.wish(&*slots[slot].lock().await);
        let result = client.send(request, random.below(client.apis.len()), patience).await;
        learn(&mut *slots[slot].lock().await, &result);
        sent.push(result);
    }
    sent
}

fn learn(slot: &mut Slot, sent: &Sent) {
    let id = |body: &Value, name: &str| body[name].as_str().map(str::to_owned);
    match (&sent.answer, sent.request.wish) {
        (Answer::Acknowledged { body, .. }, Wish::Create | Wish::Instantiate) => {
            slot.instance = id(body, "id");
        }
        (Answer::Acknowledged { body, .. }, Wish::CreateTemplate | Wish::TakeTemplate) => {
            slot.template = id(body, "id");
        }
        (Answer::Acknowledged { body, .. }, Wish::Issue) => {
            slot.tokens.extend(id(body, "instance").zip(id(body, "id")));
        }
        (Answer::Acknowledged { .. }, Wish::Delete) => slot.forget_instance(&sent.request),
        (Answer::Acknowledged { .. }, Wish::DeleteTemplate) => slot.forget_template(&sent.request),
        (Answer::Refused { body, .. }, wish) => match (body["code"].as_str(), wish) {
            (Some("name_taken"), Wish::Create | Wish::Instantiate) => slot.instance = id(body, "holder"),
            (Some("name_taken"), Wish::CreateTemplate | Wish::TakeTemplate) => {
                slot.template = id(body, "holder");
            }
            (Some("instance_not_found" | "instance_deleted"), _) => slot.forget_instance(&sent.request),
            (Some("template_not_found" | "template_deleted"), _) => slot.forget_template(&sent.request),
            _ => {}
        },
        (Answer::Acknowledged { .. } | Answer::Unknown { .. }, _) => {}
    }
}

impl Slot {
    /// Forgets the instance that a request was about, unless another is known by now.
    fn forget_instance(&mut self, request: &Request) {
        let (Some(Thing::Instance(gone)) | Some(Thing::Token { instance: gone, .. })) = &request.about else {
            return;
        };
        if self.instance.as_ref() == Some(gone) {
            self.instance = None;
        }
    }

    fn forget_template(&mut self, request: &Request) {
        let Some(Thing::Template(gone)) = &request.about else { return };
        if self.template.as_ref() == Some(gone) {
            self.template = None;
        }
    }
}
