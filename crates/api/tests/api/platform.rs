//! The platform around the api, and a client that knows the admin key.

use std::sync::Arc;
use std::time::Duration;

use access_log::Client as AccessLog;
use bytes::Bytes;
use http::{HeaderMap, Method, Request, StatusCode, header};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper_util::client::legacy::Client as HttpClient;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use serde_json::{Value, json};
use service::{CancellationToken, Context, Readiness};
use store::Role;
use store::testing::{Secrets, TestServer};
use tokio::net::TcpListener;
use tokio::task::JoinSet;

/// The admin key of every test. Looked for in places where it must not be.
pub(crate) const ADMIN_KEY: &str = "admin-key-of-the-tests";

/// How long anything that is awaited may take.
pub(crate) const WAIT: Duration = Duration::from_secs(30);

/// Nothing listens there: the access log is away.
const NO_CLICKHOUSE: &str = "http://127.0.0.1:9";

/// The roles that run, and the server they run on. Everything ends when dropped.
pub(crate) struct Platform {
    pub(crate) server: TestServer,
    pub(crate) client: Client,
    pub(crate) shutdown: CancellationToken,
    pub(crate) roles: JoinSet<anyhow::Result<()>>,
}

impl Platform {
    pub(crate) async fn start() -> Self {
        Self::start_beside(NO_CLICKHOUSE).await
    }

    /// With the access log at this address.
    pub(crate) async fn start_beside(clickhouse: &str) -> Self {
        let server = TestServer::start().await;
        let mut platform = Self::start_roles(server, clickhouse, api::COMMAND_WAIT).await;
        platform.start_decider().await;
        platform
    }

    /// An empty one that can open the secrets of this one.
    pub(crate) async fn start_another(&self) -> Self {
        let server = TestServer::start_with_master_key_of(&self.server).await;
        let mut platform = Self::start_roles(server, NO_CLICKHOUSE, api::COMMAND_WAIT).await;
        platform.start_decider().await;
        platform
    }

    /// Commands stay on the bus; the api waits for their outcomes as long as it is told.
    pub(crate) async fn start_without_decider(command_wait: Duration) -> Self {
        Self::start_roles(TestServer::start().await, NO_CLICKHOUSE, command_wait).await
    }

    async fn start_roles(server: TestServer, clickhouse: &str, command_wait: Duration) -> Self {
        let mut platform = Self::start_api_alone(server, clickhouse, command_wait).await;
        let context = Context { shutdown: platform.shutdown.clone(), readiness: Readiness::default() };
        let access_log = AccessLog::connect(clickhouse, "default", "").unwrap();
        let store = platform.server.store_as(Role::Projector).await;
        platform.roles.spawn(projector::run(store, access_log, context));
        platform
    }

    /// Without anybody who keeps views or carries rows.
    pub(crate) async fn start_api_alone(server: TestServer, clickhouse: &str, wait: Duration) -> Self {
        let (shutdown, mut roles) = (CancellationToken::new(), JoinSet::new());
        let access_log = AccessLog::connect(clickhouse, "default", "").unwrap();
        let client = spawn_api(&server, &mut roles, &shutdown, access_log, wait).await;
        Platform { server, client, shutdown, roles }
    }

    /// Another replica of the api, and a client of it.
    pub(crate) async fn start_api(&mut self) -> Client {
        let access_log = AccessLog::connect(NO_CLICKHOUSE, "default", "").unwrap();
        let client = spawn_api(&self.server, &mut self.roles, &self.shutdown, access_log, api::COMMAND_WAIT);
        Client { secrets: self.client.secrets.clone(), ..client.await }
    }

    pub(crate) async fn start_decider(&mut self) {
        let context = Context { shutdown: self.shutdown.clone(), readiness: Readiness::default() };
        self.roles.spawn(decider::run(self.server.store_as(Role::Decider).await, context));
    }

    /// Asks all roles to end, waits until they have, and looks for every secret in what NATS has kept.
    pub(crate) async fn stop(mut self) {
        self.shutdown.cancel();
        tokio::time::timeout(WAIT, async {
            while let Some(ended) = self.roles.join_next().await {
                ended.unwrap().unwrap();
            }
        })
        .await
        .expect("the roles end when asked to");
        self.server.end();
        let master_key = self.server.master_key_file();
        self.client.secrets.note(&std::fs::read_to_string(&master_key).unwrap());
        self.client.secrets.assert_absent_below(self.server.directory(), &[master_key]);
    }

    /// A hosted instance of this name.
    pub(crate) async fn create(&self, name: &str) -> Value {
        self.client.post("/instances", &hosted(name)).await.expect(StatusCode::CREATED)
    }

    /// A token of the instance.
    pub(crate) async fn issue(&self, instance: &str, label: &str) -> Value {
        let body = json!({"kind": "bearer", "label": label});
        let path = format!("/instances/{instance}/tokens");
        self.client.post(&path, &body).await.expect(StatusCode::CREATED)
    }
}

async fn spawn_api(
    server: &TestServer,
    roles: &mut JoinSet<anyhow::Result<()>>,
    shutdown: &CancellationToken,
    access_log: AccessLog,
    command_wait: Duration,
) -> Client {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let client = Client::new(format!("http://{}", listener.local_addr().unwrap()));
    let gateway_url = "http://gateway.example/base/".parse().unwrap();
    let config = api::Config { command_wait, ..api::Config::new(api::AdminKey::new(ADMIN_KEY), gateway_url) };
    let context = Context { shutdown: shutdown.clone(), readiness: Readiness::default() };
    roles.spawn(api::run(config, server.store_as(Role::Api).await, access_log, context, listener));
    client
}

/// The body that creates a hosted instance.
pub(crate) fn hosted(name: &str) -> Value {
    let command =
        json!({"program": "npx", "args": ["-y", "server"], "env": {"API_KEY": "hunter2-of-the-tests"}});
    json!({"name": name, "access": "hosted", "transport": "stdio", "command": command})
}

/// An HTTP client for one api.
#[derive(Clone)]
pub(crate) struct Client {
    http: HttpClient<HttpConnector, Full<Bytes>>,
    base: String,
    /// What was sent and answered that must not lie in any stream or bucket.
    secrets: Arc<Secrets>,
}

/// An answer, read to its end.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Client {
    fn new(base: String) -> Self {
        let secrets = Arc::<Secrets>::default();
        secrets.note(ADMIN_KEY);
        Client { http: HttpClient::builder(TokioExecutor::new()).build_http(), base, secrets }
    }

    /// The address of the api: `host:port`.
    pub(crate) fn address(&self) -> &str {
        self.base.trim_start_matches("http://")
    }

    /// A request to a path under `/api/v1`, with the admin key.
    pub(crate) fn request(&self, method: Method, path: &str) -> http::request::Builder {
        Request::builder()
            .method(method)
            .uri(format!("{}/api/v1{path}", self.base))
            .header(header::AUTHORIZATION, format!("Bearer {ADMIN_KEY}"))
    }

    /// A request to any path, without the admin key.
    pub(crate) fn anonymous(&self, method: Method, path: &str) -> http::request::Builder {
        Request::builder().method(method).uri(format!("{}{path}", self.base))
    }

    pub(crate) async fn open(
        &self,
        request: http::request::Builder,
        body: impl Into<Bytes>,
    ) -> http::Response<Incoming> {
        let request = request.body(Full::new(body.into())).unwrap();
        tokio::time::timeout(WAIT, self.http.request(request)).await.expect("an answer in time").unwrap()
    }

    pub(crate) async fn send(&self, request: http::request::Builder, body: impl Into<Bytes>) -> Answer {
        let sent: Bytes = body.into();
        let (head, body) = self.open(request, sent.clone()).await.into_parts();
        let body =
            tokio::time::timeout(WAIT, body.collect()).await.expect("a body in time").unwrap().to_bytes();
        for document in [&sent, &body].into_iter().filter_map(|text| serde_json::from_slice(text).ok()) {
            self.secrets.note_document(&document);
        }
        Answer { status: head.status, headers: head.headers, body }
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.send(self.request(Method::GET, path), "").await
    }

    pub(crate) async fn delete(&self, path: &str) -> Answer {
        self.send(self.request(Method::DELETE, path), "").await
    }

    pub(crate) async fn post(&self, path: &str, body: &Value) -> Answer {
        let request = self.request(Method::POST, path).header(header::CONTENT_TYPE, "application/json");
        self.send(request, body.to_string()).await
    }

    /// A request with a body, and perhaps more header fields.
    pub(crate) async fn put(
        &self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: &Value,
    ) -> Answer {
        let request = self.request(method, path).header(header::CONTENT_TYPE, "application/json");
        let request = headers.iter().fold(request, |request, (name, value)| request.header(*name, *value));
        self.send(request, body.to_string()).await
    }

    pub(crate) async fn patch(&self, path: &str, body: &Value) -> Answer {
        self.put(Method::PATCH, path, &[], body).await
    }

    /// Waits until a command is decided, and gives its document.
    pub(crate) async fn decided(&self, location: &str) -> Value {
        let path = location.strip_prefix("/api/v1").unwrap();
        let deadline = tokio::time::Instant::now() + WAIT;
        loop {
            let command = self.get(path).await.expect(StatusCode::OK);
            if command["state"] != "pending" {
                return command;
            }
            assert!(tokio::time::Instant::now() < deadline, "nobody decides {command}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// A command with header fields and no body.
    pub(crate) async fn command(
        &self,
        method: Method,
        path: &str,
        headers: &[(&'static str, &str)],
    ) -> Answer {
        let request = self.request(method, path);
        let request = headers.iter().fold(request, |request, (name, value)| request.header(*name, *value));
        self.send(request, "").await
    }

    /// A command under a name.
    pub(crate) async fn post_as(&self, key: &str, path: &str, body: &Value) -> Answer {
        let request = self.request(Method::POST, path).header(header::CONTENT_TYPE, "application/json");
        self.send(request.header("idempotency-key", key), body.to_string()).await
    }
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).unwrap_or_else(|| panic!("no {name}: {self:?}")).to_str().unwrap()
    }

    /// The document of a success.
    #[track_caller]
    pub(crate) fn expect(&self, status: StatusCode) -> Value {
        assert_eq!(self.status, status, "{self:?}");
        self.json()
    }

    /// The problem document of a failure, which is checked for its form (RFC 9457).
    #[track_caller]
    pub(crate) fn problem(&self, status: StatusCode, code: &str) -> Value {
        assert_eq!(self.status, status, "{self:?}");
        assert_eq!(self.header("content-type"), "application/problem+json");
        let problem = self.json();
        assert_eq!(problem["code"], code, "{problem}");
        assert_eq!(problem["status"], status.as_u16());
        assert_eq!(problem["type"], format!("urn:mcpcan:problem:{code}"));
        for text in ["title", "detail"] {
            assert!(problem[text].as_str().is_some_and(|text| !text.is_empty()), "{problem}");
        }
        problem
    }
}
