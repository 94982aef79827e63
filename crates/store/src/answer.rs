//! Answers for those who wait for the outcomes of their commands.
//!
//! Whoever sends a command names a subject of core NATS at which it hears, and the decider tells the outcome there as
//! soon as nobody can forget it. Such a message may get lost, and who sends a command again is not who the decider
//! answers: so whoever waits looks for the outcome now and then as well.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use async_nats::{HeaderMap, Subscriber};
use domain::CommandId;
use futures_util::StreamExt;
use parking_lot::Mutex;
use tokio::sync::oneshot;
use tokio::time::Instant;
use uuid::Uuid;

use crate::connection::Store;
use crate::error::{During, Unavailable};
use crate::outcome::Outcome;
use crate::subject::{self, header};
use crate::{codec, envelope};

/// How often whoever waits looks for the outcome.
const LOOK_INTERVAL: Duration = Duration::from_millis(100);

type Waiting = Arc<Mutex<HashMap<CommandId, Vec<oneshot::Sender<Outcome>>>>>;

/// Where the answers for one process arrive.
#[derive(Debug)]
pub(crate) struct Answers {
    /// Names this process among all that wait for answers.
    address: String,
    waiting: Waiting,
    task: tokio::task::JoinHandle<()>,
}

impl Store {
    pub(crate) async fn answers(&self) -> Result<&Answers, Unavailable> {
        let start = || async {
            let role = self.role.map_or("test", |role| role.name());
            let address = format!("{role}.{}", Uuid::new_v4().simple());
            let subscriber =
                self.client.subscribe(subject::answer(&address)).await.during("listen for answers")?;
            let waiting = Waiting::default();
            let task = tokio::spawn(hand_out(subscriber, waiting.clone()));
            Ok(Answers { address, waiting, task })
        };
        self.answers.get_or_try_init(start).await
    }

    /// Tells an outcome to whoever waits at an address. No harm is done if nobody hears it.
    pub(crate) async fn answer(&self, address: &str, id: CommandId, outcome: &Outcome) {
        let mut headers = HeaderMap::new();
        headers.insert(header::COMMAND_ID, id.to_string());
        let (subject, payload) = (subject::answer(address), codec::encode(outcome).into());
        if let Err(error) = self.client.publish_with_headers(subject, headers, payload).await {
            tracing::debug!(error = &error as &dyn std::error::Error, "answer not sent");
        }
    }
}

impl Answers {
    pub(crate) fn address(&self) -> &str {
        &self.address
    }

    /// Waits for an answer that comes after this call.
    pub(crate) fn register(&self, id: CommandId) -> Waiter {
        let (sender, receiver) = oneshot::channel();
        self.waiting.lock().entry(id).or_default().push(sender);
        Waiter { id, receiver, waiting: self.waiting.clone() }
    }
}

impl Drop for Answers {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// The address in the headers of a command, if whoever sent it waits. It becomes a part of a subject that a decider
/// publishes to, so it must not reach further than that.
pub(crate) fn address_in(headers: &HeaderMap) -> Option<&str> {
    let address = headers.get(header::ANSWER_TO)?.as_str();
    let is_token = |token: &str| !token.is_empty() && token.bytes().all(|byte| byte.is_ascii_alphanumeric());
    let (role, process) = address.split_once('.')?;
    (is_token(role) && is_token(process)).then_some(address)
}

async fn hand_out(mut subscriber: Subscriber, waiting: Waiting) {
    while let Some(message) = subscriber.next().await {
        let headers = message.headers.unwrap_or_default();
        let id = envelope::parse::<CommandId>(&headers, header::COMMAND_ID);
        let outcome = codec::decode::<Outcome>(&message.payload);
        if let (Ok(id), Ok(outcome)) = (id, outcome) {
            for sender in waiting.lock().remove(&id).unwrap_or_default() {
                // Whoever does not wait any more has lost nothing.
                let _ = sender.send(outcome.clone());
            }
        }
    }
}

/// Somebody who waits for an outcome. Dropping it leaves nothing behind.
#[derive(Debug)]
pub(crate) struct Waiter {
    id: CommandId,
    receiver: oneshot::Receiver<Outcome>,
    waiting: Waiting,
}

impl Waiter {
    /// The outcome, if there is one within `wait`. `look` finds it where it is kept.
    ///
    /// # Errors
    /// The time is over, and NATS does not say what is there.
    pub(crate) async fn outcome<L>(
        mut self,
        look: impl Fn() -> L,
        wait: Duration,
    ) -> Result<Option<Outcome>, Unavailable>
    where
        L: Future<Output = Result<Option<Outcome>, Unavailable>>,
    {
        let deadline = Instant::now() + wait;
        loop {
            let next_look = (Instant::now() + LOOK_INTERVAL).min(deadline);
            if let Ok(Ok(outcome)) = tokio::time::timeout_at(next_look, &mut self.receiver).await {
                return Ok(Some(outcome));
            }
            let is_over = Instant::now() >= deadline;
            match look().await {
                Ok(None) if is_over => return Ok(None),
                Err(error) if is_over => return Err(error),
                Ok(Some(outcome)) => return Ok(Some(outcome)),
                Ok(None) | Err(_) => {}
            }
        }
    }
}

impl Drop for Waiter {
    fn drop(&mut self) {
        self.receiver.close();
        let mut waiting = self.waiting.lock();
        if let Some(senders) = waiting.get_mut(&self.id) {
            senders.retain(|sender| !sender.is_closed());
            if senders.is_empty() {
                waiting.remove(&self.id);
            }
        }
    }
}
