//! What each role may do on NATS, tried with its own credentials on a real server.

use std::time::Duration;

use async_nats::{Client, Event, ServerError};
use serde_json::{Value, json};
use store::Role;
use store::subject::{BUCKETS, STREAMS, VIEWS};
use store::testing::TestServer;
use tokio::sync::mpsc;

/// How long anything that is awaited may take.
const WAIT: Duration = Duration::from_secs(20);

/// A bare connection of a role, and what the server complains of.
struct User {
    client: Client,
    complaints: mpsc::UnboundedReceiver<String>,
}

impl User {
    async fn connect(server: &TestServer, role: Role) -> Self {
        let (sender, complaints) = mpsc::unbounded_channel();
        let client = server.connect_options(role).event_callback(move |event| {
            if let Event::ServerError(ServerError::Other(complaint)) = event {
                sender.send(complaint).expect("the test listens");
            }
            async {}
        });
        User { client: client.connect(server.url()).await.unwrap(), complaints }
    }

    /// Publishes, and waits for the server to refuse it.
    async fn is_refused(&mut self, subject: &str) {
        self.client.publish(subject.to_owned(), "{}".into()).await.unwrap();
        self.complains("Publish", subject).await;
    }

    async fn complains(&mut self, operation: &str, subject: &str) {
        let complaint = tokio::time::timeout(WAIT, self.complaints.recv()).await;
        let complaint =
            complaint.unwrap_or_else(|_| panic!("nobody refuses {operation} to {subject}")).unwrap();
        let expected = format!("permissions violation for {operation} to \"{subject}\"").to_lowercase();
        assert!(complaint.to_lowercase().starts_with(&expected), "{complaint}, expected {expected}");
    }
}

#[tokio::test]
async fn nobody_but_the_decider_appends_to_the_log() {
    let server = TestServer::start().await;
    for role in Role::ALL.into_iter().filter(|role| *role != Role::Decider) {
        let mut user = User::connect(&server, role).await;
        user.is_refused("events.instance.x").await;
        user.is_refused("events").await;
        if ![Role::Api, Role::Worker].contains(&role) {
            user.is_refused("commands.x").await;
        }
    }
    assert_eq!(server.store().await.last_event().await.unwrap(), 0);
}

#[tokio::test]
async fn nobody_deletes() {
    let server = TestServer::start().await;
    for role in Role::ALL {
        let mut user = User::connect(&server, role).await;
        for stream in STREAMS.iter().map(|name| (*name).to_owned()).chain(buckets()) {
            for operation in ["DELETE", "MSG.DELETE", "RESTORE", "SNAPSHOT"] {
                user.is_refused(&format!("$JS.API.STREAM.{operation}.{stream}")).await;
            }
            // The projector empties generations of views that nobody reads any more.
            let is_view = VIEWS.iter().any(|view| stream == format!("KV_{view}"));
            if !(is_view && role == Role::Projector) {
                user.is_refused(&format!("$JS.API.STREAM.PURGE.{stream}")).await;
            }
            if role != Role::Operator {
                user.is_refused(&format!("$JS.API.STREAM.CREATE.{stream}")).await;
                user.is_refused(&format!("$JS.API.STREAM.UPDATE.{stream}")).await;
            }
        }
        user.is_refused("$JS.API.CONSUMER.DELETE.COMMANDS.decider").await;
        user.is_refused("$JS.API.CONSUMER.DELETE.EVENTS.reactions").await;
        if role != Role::Operator {
            user.is_refused("$JS.API.CONSUMER.CREATE.COMMANDS.decider").await;
            user.is_refused("$JS.API.CONSUMER.CREATE.EVENTS.reactions").await;
            user.is_refused("$JS.API.CONSUMER.CREATE.EVENTS.reactions.events.>").await;
        }
        if role != Role::Decider {
            user.is_refused("$JS.API.CONSUMER.MSG.NEXT.COMMANDS.decider").await;
            user.is_refused("$JS.API.CONSUMER.MSG.NEXT.EVENTS.reactions").await;
            user.is_refused("$JS.ACK.EVENTS.reactions.1.1.1.1.1").await;
        }
    }
}

#[tokio::test]
async fn everybody_writes_into_its_own_buckets_only() {
    let server = TestServer::start().await;
    for role in Role::ALL {
        let mut user = User::connect(&server, role).await;
        for bucket in BUCKETS.iter().filter(|bucket| !writes(role).contains(bucket)) {
            user.is_refused(&format!("$KV.{bucket}.x")).await;
        }
        for (key, writer) in [("views.x.wanted", Role::Api), ("views.x.report", Role::Projector)] {
            if role != writer {
                user.is_refused(&format!("$KV.{key}")).await;
            }
        }
        for other in Role::ALL.into_iter().filter(|other| *other != role) {
            user.is_refused(&format!("$KV.roles.{other}.x.ready")).await;
        }
        for (subject, writer) in [
            ("imports.chunk", Role::Api),
            ("outcomes.x", Role::Decider),
            ("answers.api.x", Role::Decider),
            ("logs.x", Role::Worker),
            ("traces.x", Role::Gateway),
        ] {
            if role != writer {
                user.is_refused(subject).await;
            }
        }
    }
}

/// The buckets of which a role writes plain keys.
fn writes(role: Role) -> &'static [&'static str] {
    match role {
        Role::Api => &["keys", "documents"],
        Role::Worker => &["keys"],
        Role::Decider => &["keys", "snapshots"],
        Role::Projector => {
            &["instances", "tokens", "templates", "retention_plans", "sinks", "leases", "chain"]
        }
        Role::Gateway | Role::Operator => &[],
    }
}

#[tokio::test]
async fn nobody_hears_answers_to_another() {
    let server = TestServer::start().await;
    for role in Role::ALL {
        let mut user = User::connect(&server, role).await;
        let others = Role::ALL.into_iter().filter(|other| *other != role);
        let inboxes = others.flat_map(|other| [format!("_INBOX_{other}.>"), format!("answers.{other}.x")]);
        let rest = ["_INBOX.>", "answers.>", ">", "*.>", "events.>", "commands.>", "$KV.>", "$JS.>"]
            .map(str::to_owned);
        for subject in inboxes.chain(rest) {
            let _subscription = user.client.subscribe(subject.clone()).await.unwrap();
            user.complains("Subscription", &subject).await;
        }
    }
}

#[tokio::test]
async fn whoever_wipes_a_bucket_of_single_keys_is_refused() {
    let server = TestServer::start().await;
    let nats = server.nats().await;
    for subject in ["$KV.keys.x", "commands.x"] {
        request(&nats, subject, "kept").await;
        let user = User::connect(&server, Role::Api).await;
        let mut headers = async_nats::HeaderMap::new();
        headers.insert("Nats-Rollup", "all");
        let answer = user.client.request_with_headers(subject, headers, "".into()).await.unwrap();
        let answer: Value = serde_json::from_slice(&answer.payload).unwrap();
        assert_eq!(answer["error"]["description"], "rollup not permitted", "{subject}: {answer}");
    }
}

#[tokio::test]
async fn the_log_keeps_everything_although_everything_is_allowed() {
    let server = TestServer::start().await;
    let nats = server.nats().await;
    request(&nats, "events.instance.x", "kept").await;
    let operator = User::connect(&server, Role::Operator).await.client;
    let mut config = request(&operator, "$JS.API.STREAM.INFO.EVENTS", "").await["config"].clone();
    for flag in ["deny_delete", "deny_purge"] {
        config[flag] = json!(false);
        let answer = request(&operator, "$JS.API.STREAM.UPDATE.EVENTS", &config.to_string()).await;
        assert!(answer["error"].is_object(), "{flag} was taken back: {answer}");
        config[flag] = json!(true);
    }
    let message = json!({ "seq": 1 }).to_string();
    for (api, body) in [("PURGE", ""), ("MSG.DELETE", message.as_str())] {
        let answer = request(&nats, &format!("$JS.API.STREAM.{api}.EVENTS"), body).await;
        assert!(answer["error"].is_object(), "{api}: {answer}");
    }
    let info = request(&nats, "$JS.API.STREAM.INFO.EVENTS", "").await;
    assert_eq!(info["state"]["messages"], 1);
}

#[tokio::test]
async fn every_acknowledged_message_is_on_disk() {
    let server = TestServer::start().await;
    let config = server.monitoring("/jsz?config=1")["config"].clone();
    assert_eq!(config["sync_always"], true, "{config}");
}

async fn request(nats: &Client, subject: &str, body: &str) -> Value {
    let answer = nats.request(subject.to_owned(), body.to_owned().into()).await.unwrap();
    serde_json::from_slice(&answer.payload).unwrap()
}

fn buckets() -> impl Iterator<Item = String> {
    BUCKETS.iter().map(|bucket| format!("KV_{bucket}"))
}
