//! A client of MCP servers that costs little: one connection, one call at a time, every answer checked.

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HOST, HeaderName, HeaderValue};
use http::{Method, Request, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1::SendRequest;

use crate::http::connect;
use crate::peer::{Work, milliseconds};

const SESSION_ID: HeaderName = HeaderName::from_static("mcp-session-id");
const PROTOCOL_VERSION: HeaderName = HeaderName::from_static("mcp-protocol-version");
const REVISION: &str = "2025-11-25";

/// Where a server answers, and with what it lets a client in.
#[derive(Clone, Debug)]
pub(crate) struct Target {
    pub(crate) address: SocketAddr,
    pub(crate) path: String,
    pub(crate) authorization: Option<String>,
}

impl Target {
    pub(crate) fn url(&self) -> String {
        format!("http://{}{}", self.address, self.path)
    }
}

/// A client with a session.
pub(crate) struct Client {
    target: Target,
    sender: SendRequest<Full<Bytes>>,
    session: Option<HeaderValue>,
    last_id: u64,
}

impl Client {
    /// Connects and initialises.
    ///
    /// # Errors
    /// The server does not let it in: it may not be ready yet.
    pub(crate) async fn open(target: &Target) -> anyhow::Result<Self> {
        let sender = connect(target.address).await?;
        let mut client = Client { target: target.clone(), sender, session: None, last_id: 0 };
        client.initialize().await?;
        Ok(client)
    }

    async fn initialize(&mut self) -> anyhow::Result<()> {
        let initialize = format!(
            r#"{{"jsonrpc":"2.0","id":0,"method":"initialize","params":{{"protocolVersion":"{REVISION}","capabilities":{{}},"clientInfo":{{"name":"bench","version":"1"}}}}}}"#
        );
        let request = self.request(Method::POST, initialize.into());
        self.sender.ready().await?;
        let (head, body) = self.sender.send_request(request).await?.into_parts();
        let body = body.collect().await?.to_bytes();
        let said = String::from_utf8_lossy(&body);
        anyhow::ensure!(head.status == StatusCode::OK, "initialize is answered {}: {said}", head.status);
        self.session = head.headers.get(SESSION_ID).cloned();
        let initialized = r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#;
        let (status, _) = self.send(Method::POST, Bytes::from_static(initialized.as_bytes())).await;
        anyhow::ensure!(status.is_success(), "initialized is answered {status}");
        Ok(())
    }

    /// Calls the tool `echo`.
    ///
    /// # Panics
    /// The answer is not the one to this call.
    pub(crate) async fn echo(&mut self, message: &str) {
        self.last_id += 1;
        let mut call = String::with_capacity(message.len() + 128);
        write!(
            call,
            r#"{{"jsonrpc":"2.0","id":{},"method":"tools/call","params":{{"name":"echo","arguments":{{"message":"{message}"}}}}}}"#,
            self.last_id,
        )
        .expect("a text can be written");
        let (status, body) = self.send(Method::POST, call.into()).await;
        let is_there = |text: &str| memchr::memmem::find(&body, text.as_bytes()).is_some();
        let id = format!(r#""id":{}"#, self.last_id);
        assert!(
            status == StatusCode::OK && is_there(&id) && is_there(message),
            "call {} is answered {status}: {}",
            self.last_id,
            String::from_utf8_lossy(&body[..body.len().min(500)])
        );
    }

    /// Ends the session, where the server has one.
    pub(crate) async fn close(mut self) {
        if self.session.is_some() {
            self.send(Method::DELETE, Bytes::new()).await;
        }
    }

    async fn send(&mut self, method: Method, body: Bytes) -> (StatusCode, Bytes) {
        // A server closes what was not used while the others had their turn.
        if self.sender.ready().await.is_err() {
            self.sender = connect(self.target.address).await.expect("connect anew");
        }
        let answer = self.sender.send_request(self.request(method, body)).await.expect("the server answers");
        let status = answer.status();
        (status, answer.into_body().collect().await.expect("the answer has an end").to_bytes())
    }

    fn request(&self, method: Method, body: Bytes) -> Request<Full<Bytes>> {
        let mut request = Request::new(Full::new(body));
        *request.method_mut() = method;
        *request.uri_mut() = self.target.path.parse().expect("a legal path");
        let headers = request.headers_mut();
        let host = HeaderValue::try_from(self.target.address.to_string()).expect("a legal host");
        headers.insert(HOST, host);
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        headers.insert(ACCEPT, HeaderValue::from_static("application/json, text/event-stream"));
        if let Some(authorization) = &self.target.authorization {
            let value = HeaderValue::try_from(authorization).expect("a legal credential");
            headers.insert(AUTHORIZATION, value);
        }
        if let Some(session) = &self.session {
            headers.insert(SESSION_ID, session.clone());
            headers.insert(PROTOCOL_VERSION, HeaderValue::from_static(REVISION));
        }
        request
    }
}

/// Clients that call at the same time, each one call after the other.
pub(crate) struct Clients(Vec<Client>);

impl Clients {
    /// # Panics
    /// One of them is not let in.
    pub(crate) async fn open(target: &Target, count: usize) -> Self {
        let opened = futures_util::future::join_all((0..count).map(|_| Client::open(target))).await;
        Clients(opened.into_iter().map(|client| client.expect("a client is let in")).collect())
    }

    /// Calls for a while. `pause` is from the beginning of one call of a client to that of its next.
    pub(crate) async fn call(&mut self, message: &str, took: Duration, pause: Option<Duration>) -> Work {
        let started = Instant::now();
        let calling = self.0.drain(..).map(|mut client| {
            let message = message.to_owned();
            tokio::spawn(async move {
                let mut latencies = vec![];
                let mut next = Instant::now();
                while started.elapsed() < took {
                    let called = Instant::now();
                    client.echo(&message).await;
                    latencies.push(milliseconds(called));
                    if let Some(pause) = pause {
                        next += pause;
                        tokio::time::sleep_until(next.into()).await;
                    }
                }
                (client, latencies)
            })
        });
        let called = futures_util::future::join_all(calling.collect::<Vec<_>>()).await;
        let mut latencies = vec![];
        for called in called {
            let (client, took) = called.expect("a client ends");
            self.0.push(client);
            latencies.extend(took);
        }
        Work::new(latencies, started.elapsed())
    }
}

/// Opens sessions, makes one call in each and ends them, for a while.
pub(crate) async fn churn(target: &Target, clients: usize, took: Duration) -> Work {
    let started = Instant::now();
    let churning = (0..clients).map(|_| {
        let target = target.clone();
        tokio::spawn(async move {
            let mut latencies = vec![];
            while started.elapsed() < took {
                let opened = Instant::now();
                let mut client = Client::open(&target).await.expect("a client is let in");
                client.echo("churn").await;
                client.close().await;
                latencies.push(milliseconds(opened));
            }
            latencies
        })
    });
    let churned = futures_util::future::join_all(churning.collect::<Vec<_>>()).await;
    Work::new(
        churned.into_iter().flat_map(|churned| churned.expect("a client ends")).collect(),
        started.elapsed(),
    )
}

/// GET streams that stay open until this is dropped.
pub(crate) struct Streams {
    _open: Vec<(SendRequest<Full<Bytes>>, http::Response<hyper::body::Incoming>)>,
}

impl Streams {
    /// Opens streams, in turn for each target.
    ///
    /// # Panics
    /// One of them is refused.
    pub(crate) async fn open(targets: &[Target], count: usize) -> Self {
        let mut open = vec![];
        for target in targets.iter().cycle().take(count) {
            let mut client = Client::open(target).await.expect("a client is let in");
            let request = client.request(Method::GET, Bytes::new());
            client.sender.ready().await.expect("the connection is open");
            let answer = client.sender.send_request(request).await.expect("the server answers");
            assert_eq!(answer.status(), StatusCode::OK, "a stream is opened");
            open.push((client.sender, answer));
        }
        Streams { _open: open }
    }
}
