//! Three gateways behind a balancer that knows nothing of sessions: every request goes to the next one.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use domain::InstanceId;
use domain::token::Expiry;
use gateway::Config;
use http::Response;
use http_body_util::BodyExt;
use jiff::{SignedDuration, Timestamp};
use store::Role;
use tokio::task::JoinSet;

use crate::client::{Answer, Client};
use crate::harness::{Gateway, Harness, path, until};
use crate::upstream::{Upstream, full};

const INITIALIZE: &str = r#"{"jsonrpc":"2.0","id":1,"method":"initialize","params":{}}"#;
const PING: &str = r#"{"jsonrpc":"2.0","id":2,"method":"ping"}"#;
const SESSIONS: usize = 12;
const CALLS_EACH: usize = 30;

/// Three gateways, to which requests go in turns.
struct Balancer {
    clients: Vec<Client>,
    turn: AtomicUsize,
    _others: Vec<Gateway>,
}

impl Balancer {
    /// The harness's gateway, and two more.
    async fn over(harness: &Harness) -> Self {
        let mut others = vec![];
        for name in ["second", "third"] {
            let config = Config::new(name.to_owned(), harness.directory.path().join(name));
            others.push(Gateway::start(config, harness.server.store_as(Role::Gateway).await).await);
        }
        let others_too = others.iter().map(|gateway| Client::new(gateway.address));
        let clients = std::iter::once(harness.client()).chain(others_too).collect();
        Self { clients, turn: AtomicUsize::new(0), _others: others }
    }

    async fn send(
        &self,
        instance: InstanceId,
        credential: &str,
        session: Option<&str>,
        body: &str,
    ) -> Answer {
        let turn = self.turn.fetch_add(1, Ordering::Relaxed);
        let client = &self.clients[turn % self.clients.len()];
        let authorization = format!("Bearer {credential}");
        let mut headers = vec![("authorization", &*authorization)];
        headers.extend(session.map(|session| ("mcp-session-id", session)));
        client.send_with("POST", &path(instance), &headers, body).await
    }

    /// What each gateway answers.
    async fn all(&self, instance: InstanceId, credential: &str) -> Vec<Option<u16>> {
        let mut statuses = vec![];
        for client in &self.clients {
            statuses.push(client.status(&path(instance), credential, PING).await);
        }
        statuses
    }

    async fn until_all(&self, what: &str, instance: InstanceId, credential: &str, status: u16) {
        until(what, || async {
            let statuses = self.all(instance, credential).await;
            statuses.iter().all(|found| *found == Some(status)).then_some(())
        })
        .await;
    }

    /// One client's session from its beginning to its end; gives the calls that were answered otherwise than they should.
    async fn session(&self, instance: InstanceId, credential: &str, name: usize) -> Vec<Answer> {
        let begun = self.send(instance, credential, None, INITIALIZE).await;
        let session = begun.headers.get("mcp-session-id").cloned().expect("a session begins");
        let session = session.to_str().expect("visible ASCII");
        let mut wrong = vec![];
        for call in 0..CALLS_EACH {
            let body = format!(r#"{{"jsonrpc":"2.0","id":{call},"method":"x","params":"{name}"}}"#);
            let answer = self.send(instance, credential, Some(session), &body).await;
            let is_own = answer.headers.get("mcp-session-id").is_some_and(|id| id == session);
            if answer.status != 200 || answer.text() != body || !is_own {
                wrong.push(answer);
            }
        }
        wrong
    }
}

/// A server that gives everybody a session of its own, knows no other, and answers with what it was sent.
async fn echo() -> Upstream {
    let sessions = Arc::new(AtomicUsize::new(0));
    // Two replicas must not name a session the same.
    let server = format!("{:p}", Arc::as_ptr(&sessions));
    Upstream::start(move |request| {
        let (sessions, server) = (sessions.clone(), server.clone());
        async move {
            let session = match request.headers().get("mcp-session-id") {
                None => format!("{server}-{}", sessions.fetch_add(1, Ordering::Relaxed)),
                Some(session) => session.to_str().expect("visible ASCII").to_owned(),
            };
            if !session.starts_with(&server) {
                return Response::builder().status(404).body(full("not mine")).expect("a response");
            }
            let body = request.into_body().collect().await.expect("the whole request").to_bytes();
            let body = http_body_util::Full::new(body).boxed();
            Response::builder().header("mcp-session-id", session).body(body).expect("a response")
        }
    })
    .await
}

#[tokio::test]
async fn no_call_of_any_session_fails_whichever_gateways_it_meets() {
    let (one, two) = (echo().await, echo().await);
    let harness = Harness::start().await;
    let instance = harness.hosted("everything", &one.url()).await;
    harness.replica(instance, &two.url()).await;
    let token = harness.token(instance).await;
    let balancer = Arc::new(Balancer::over(&harness).await);
    balancer.until_all("all gateways to know the token", instance, &token.credential, 200).await;
    let mut sessions = JoinSet::new();
    for name in 0..SESSIONS {
        let (balancer, credential) = (balancer.clone(), token.credential.clone());
        sessions.spawn(async move { balancer.session(instance, &credential, name).await });
    }
    let wrong: Vec<_> = sessions.join_all().await.into_iter().flatten().collect();
    assert!(wrong.is_empty(), "{} of {} calls: {:#?}", wrong.len(), SESSIONS * CALLS_EACH, wrong.first());
    for upstream in [one, two] {
        assert!(upstream.requests().len() > CALLS_EACH, "both replicas have had sessions");
    }
}

#[tokio::test]
async fn every_gateway_refuses_what_was_revoked_rotated_or_has_expired() {
    let upstream = echo().await;
    let harness = Harness::start().await;
    let instance = harness.hosted("everything", &upstream.url()).await;
    let token = harness.token(instance).await;
    let balancer = Balancer::over(&harness).await;
    balancer.until_all("all to accept", instance, &token.credential, 200).await;

    let rotated = harness.rotate(token.id).await;
    balancer.until_all("all to refuse the old credential", instance, &token.credential, 401).await;
    balancer.until_all("all to accept the new one", instance, &rotated, 200).await;

    let end = Timestamp::now() + SignedDuration::from_millis(700);
    harness.edit_expiry(token.id, Expiry::At(end)).await;
    balancer.until_all("all to refuse what has expired", instance, &rotated, 401).await;
    assert!(Timestamp::now() >= end, "and not a moment too early");
    harness.edit_expiry(token.id, Expiry::Never).await;
    balancer.until_all("all to accept what does not expire any more", instance, &rotated, 200).await;

    harness.revoke(token.id).await;
    balancer.until_all("all to refuse what was revoked", instance, &rotated, 401).await;
}
