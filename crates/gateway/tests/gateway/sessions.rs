//! Sessions over several replicas, several gateways and several tokens.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use gateway::Config;
use http::{HeaderValue, Response};

use crate::client::{Answer, Client};
use crate::harness::{Gateway, Harness, hosted, path, until};
use crate::upstream::{Body, Upstream, full};

const INITIALIZE: &str = r#"{"jsonrpc":"2.0","id":1,"method":"initialize","params":{}}"#;
const PING: &str = r#"{"jsonrpc":"2.0","id":2,"method":"ping"}"#;

/// A server with sessions that answers with its name. It names its sessions `<name>-<number>`, and knows no others.
async fn replica(name: &'static str) -> Upstream {
    let sessions = Arc::new(AtomicUsize::new(0));
    Upstream::start(move |request| {
        let known = request.headers().get("mcp-session-id").cloned();
        let answer = match known {
            None => {
                let number = sessions.fetch_add(1, Ordering::Relaxed);
                answer(name, &format!("{name}-{number}"))
            }
            Some(session) if session.as_bytes().starts_with(name.as_bytes()) => {
                answer(name, session.to_str().expect("visible ASCII"))
            }
            Some(_) => Response::builder().status(418).body(full("not mine")).expect("a response"),
        };
        async move { answer }
    })
    .await
}

fn answer(name: &'static str, session: &str) -> Response<Body> {
    let session = HeaderValue::from_str(session).expect("a header value");
    Response::builder().header("mcp-session-id", session).body(full(name)).expect("a response")
}

async fn send(client: &Client, path: &str, credential: &str, session: Option<&str>, body: &str) -> Answer {
    let authorization = format!("Bearer {credential}");
    let mut headers = vec![("authorization", &*authorization)];
    headers.extend(session.map(|session| ("mcp-session-id", session)));
    client.send_with("POST", path, &headers, body).await
}

/// Begins a session; gives its id and the name of the replica.
async fn begin(client: &Client, path: &str, credential: &str) -> (String, String) {
    let answer = send(client, path, credential, None, INITIALIZE).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    let session = answer.headers["mcp-session-id"].to_str().expect("visible ASCII").to_owned();
    (session, answer.text().to_owned())
}

#[tokio::test]
async fn sessions_are_spread_and_stay_at_whichever_gateway_they_come_in() {
    let (one, two) = (replica("one").await, replica("two").await);
    let harness = Harness::start().await;
    let instance = harness.hosted("everything", &one.url()).await;
    harness.replica(instance, &two.url()).await;
    let token = harness.token(instance).await;
    let config = Config::new("second".to_owned(), harness.directory.path().join("second"));
    let mut second = Gateway::start(config, harness.store.clone()).await;
    let (path, credential) = (path(instance), &*token.credential);
    let clients = [harness.client(), Client::new(second.address)];

    let mut sessions = vec![];
    for client in clients.iter().cycle().take(8) {
        sessions.push(begin(client, &path, credential).await);
    }
    for name in ["one", "two"] {
        assert!(sessions.iter().any(|(_, replica)| replica == name), "{name} gets none of {sessions:?}");
    }
    for (session, name) in &sessions {
        assert!(!session.contains(name), "the client learns nothing of the replica's own id: {session}");
        for client in &clients {
            for body in [PING, INITIALIZE] {
                let answer = send(client, &path, credential, Some(session), body).await;
                assert_eq!((answer.status, answer.text()), (200, name.as_str()));
                assert_eq!(
                    answer.headers["mcp-session-id"], *session,
                    "the name of a session does not change"
                );
            }
        }
    }
    second.stop().await;
}

#[tokio::test]
async fn a_session_of_a_replica_that_is_gone_is_unknown_and_others_go_on() {
    let (one, two) = (replica("one").await, replica("two").await);
    let harness = Harness::start().await;
    let instance = harness.create("everything", hosted()).await;
    harness.replica(instance, &one.url()).await;
    let lost = harness.replica(instance, &two.url()).await;
    let token = harness.token(instance).await;
    let (client, path, credential) = (harness.client(), path(instance), &*token.credential);
    let mut sessions = vec![];
    while !["one", "two"].iter().all(|name| sessions.iter().any(|(_, replica)| replica == name)) {
        sessions.push(begin(&client, &path, credential).await);
    }
    let of = |name: &str| {
        let (session, _) = sessions.iter().find(|(_, replica)| replica == name).expect("there is one");
        Some(session.as_str())
    };

    // Nobody has said so yet: it just takes no connections any more.
    let (address, connections) = (two.address, two.requests().len());
    two.kill().await;
    let killed = || async {
        let answer = send(&client, &path, credential, of("two"), PING).await;
        (answer.status == 404).then_some(answer)
    };
    let answer = until("the killed replica's session to be unknown", killed).await;
    assert_eq!(answer.json()["error"]["data"]["code"], "session_unknown");
    assert!(connections > 0 && !answer.text().contains(&address.to_string()));
    for _ in 0..4 {
        assert_eq!(begin(&client, &path, credential).await.1, "one", "the dead one is left alone");
    }

    harness.replica_lost(instance, lost).await;
    assert_eq!(send(&client, &path, credential, of("two"), PING).await.status, 404);
    let answer = send(&client, &path, credential, of("one"), PING).await;
    assert_eq!((answer.status, answer.text()), (200, "one"));
}

#[tokio::test]
async fn a_session_belongs_to_its_token_and_its_instance_and_nobody_makes_one() {
    let upstream = replica("one").await;
    let harness = Harness::start().await;
    let hosted = harness.hosted("everything", &upstream.url()).await;
    let proxied = harness.proxied("remote", &upstream.url(), &[]).await;
    for instance in [hosted, proxied] {
        let (token, other) = (harness.token(instance).await, harness.token(instance).await);
        let (client, path) = (harness.client(), path(instance));
        let (session, _) = begin(&client, &path, &token.credential).await;
        let calls = upstream.requests().len();
        let mut forged = session.clone();
        forged.replace_range(10..11, if session[10..].starts_with('A') { "B" } else { "A" });
        for (credential, session) in [
            (&other.credential, session.as_str()),
            (&token.credential, &forged),
            (&token.credential, "one-0"),
            (&token.credential, ""),
        ] {
            let answer = send(&client, &path, credential, Some(session), PING).await;
            assert_eq!(answer.status, 404, "{session}");
            assert_eq!(answer.json()["error"]["data"]["code"], "session_unknown");
        }
        assert_eq!(upstream.requests().len(), calls, "nothing was passed on");
        assert_eq!(send(&client, &path, &token.credential, Some(&session), PING).await.status, 200);
        let rotated = harness.rotate(token.id).await;
        until("the new credential to be accepted", || async {
            let answer = send(&client, &path, &rotated, Some(&session), PING).await;
            (answer.status == 200).then_some(())
        })
        .await;
    }
}
