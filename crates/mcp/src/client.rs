//! A small Streamable HTTP client of the era with sessions: initialise, call, close.
//!
//! For the worker's handshake check and the command line. It speaks one revision, offers no capabilities, follows no
//! redirect and no proxy (its headers carry credentials), and bounds every wait and every answer by name. Headers given
//! to it never show in an error or in `Debug` output. It does not retry: the caller knows whether a call may run twice.

mod answer;
mod dialer;
mod error;
mod http_sse;
mod stateless;

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use http::header::{ACCEPT, CONTENT_TYPE};
use http::{HeaderMap, HeaderValue, StatusCode};
use reqwest::{RequestBuilder, Response, Url};
use serde::Deserialize;
use serde_json::value::{RawValue, to_raw_value};

pub use dialer::{Dialer, Names};
pub use error::{Error, NoConnection};
pub use http_sse::HttpSse;
pub use stateless::Stateless;

use crate::protocol::{Era, Revision};
use crate::{message, session};
use answer::Answer;

/// Longest wait for a TCP connection.
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// Longest wait for the answer to `initialize`, unless [`Limits`] say otherwise: a server may have to be installed first.
pub const INITIALIZE_TIMEOUT: Duration = Duration::from_secs(120);
/// Longest wait for the whole answer to any other request, unless [`Limits`] say otherwise.
pub const REQUEST_TIMEOUT: Duration = Duration::from_secs(60);
/// Largest answer that is read, in bytes, unless [`Limits`] say otherwise.
pub const RESPONSE_BYTES_MAX: usize = 64 * 1024 * 1024;

/// The bounds of a client.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Longest wait for the answer to `initialize`.
    pub initialize: Duration,
    /// Longest wait for the whole answer to any other request.
    pub request: Duration,
    /// Largest answer that is read, in bytes. What comes before the answer on a stream counts.
    pub response_bytes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { initialize: INITIALIZE_TIMEOUT, request: REQUEST_TIMEOUT, response_bytes: RESPONSE_BYTES_MAX }
    }
}

/// An initialised session with a server.
pub struct Client {
    http: reqwest::Client,
    url: Url,
    limits: Limits,
    /// The caller's, and `Mcp-Session-Id` and `MCP-Protocol-Version`, once the server has named them.
    headers: HeaderMap,
    next_id: AtomicU64,
    initialize_result: Box<RawValue>,
    revision: Revision,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct InitializeResult {
    protocol_version: String,
}

impl Client {
    /// Opens a session at `url`, sending `headers` with every request.
    pub async fn connect(url: &str, headers: HeaderMap) -> Result<Self, Error> {
        Self::connect_within(url, headers, Limits::default()).await
    }

    /// Opens a session with bounds of the caller's own.
    pub async fn connect_within(url: &str, headers: HeaderMap, limits: Limits) -> Result<Self, Error> {
        Self::connect_by(&Dialer::new(CONNECT_TIMEOUT)?, url, headers, limits).await
    }

    /// Opens a session over connections of the caller's own making.
    pub async fn connect_by(
        dialer: &Dialer,
        url: &str,
        headers: HeaderMap,
        limits: Limits,
    ) -> Result<Self, Error> {
        let mut client = Self {
            http: dialer.http.clone(),
            url: parsed(url)?,
            limits,
            headers: kept_secret(headers),
            next_id: AtomicU64::new(1),
            initialize_result: RawValue::NULL.to_owned(),
            revision: Revision::LATEST_WITH_SESSIONS,
        };
        // A server that has named a session has one: it must not be left behind when the handshake goes wrong.
        if let Err(error) = client.shake_hands().await {
            drop(client.close().await);
            return Err(error);
        }
        Ok(client)
    }

    /// Calls `method` and waits for its result.
    pub async fn request(&self, method: &str, params: Option<&RawValue>) -> Result<Box<RawValue>, Error> {
        let (id, response) = self.ask(method, params, self.limits.request).await?;
        self.result(id, response, method, self.limits.request).await
    }

    /// Sends a notification.
    pub async fn notify(&self, method: &str, params: Option<&RawValue>) -> Result<(), Error> {
        self.post(message::notification(method, params), method, self.limits.request).await.map(drop)
    }

    /// Ends the session. A server that keeps none, or does not let clients end them (405), is fine too.
    pub async fn close(self) -> Result<(), Error> {
        if !self.headers.contains_key(&session::SESSION_ID) {
            return Ok(());
        }
        let request = self.http.delete(self.url.clone()).headers(self.headers.clone());
        let response = send(request, "DELETE", self.limits.request).await?;
        match response.status() {
            StatusCode::METHOD_NOT_ALLOWED | StatusCode::NOT_FOUND => Ok(()),
            _ => answer::checked(response).await.map(drop),
        }
    }

    /// The result of `initialize`, as the server wrote it.
    pub fn initialize_result(&self) -> &RawValue {
        &self.initialize_result
    }

    /// The revision the server chose.
    pub fn revision(&self) -> Revision {
        self.revision
    }

    async fn shake_hands(&mut self) -> Result<(), Error> {
        self.initialize().await?;
        self.notify("notifications/initialized", None).await
    }

    async fn initialize(&mut self) -> Result<(), Error> {
        let params = to_raw_value(&serde_json::json!({
            "protocolVersion": Revision::LATEST_WITH_SESSIONS.as_str(),
            "capabilities": {},
            "clientInfo": client_info(),
        }))
        .expect("a JSON value always serialises");
        let (method, timeout) = ("initialize", self.limits.initialize);
        let (id, response) = self.ask(method, Some(&params), timeout).await?;
        if let Some(session) = response.headers().get(&session::SESSION_ID) {
            self.headers.insert(session::SESSION_ID, session.clone());
        }
        let result = self.result(id, response, method, timeout).await?;
        let chosen: InitializeResult = serde_json::from_str(result.get())
            .map_err(|_| Error::Protocol("the answer to initialize has no protocolVersion".into()))?;
        self.revision = chosen
            .protocol_version
            .parse()
            .ok()
            .filter(|revision: &Revision| revision.era() == Era::Sessions)
            .ok_or_else(|| Error::Protocol("the server chose a revision that has no sessions".into()))?;
        let version = HeaderValue::from_static(self.revision.as_str());
        self.headers.insert(session::PROTOCOL_VERSION, version);
        self.initialize_result = result;
        Ok(())
    }

    /// Sends a request. Returns its id and the head of the answer.
    async fn ask(
        &self,
        method: &str,
        params: Option<&RawValue>,
        timeout: Duration,
    ) -> Result<(u64, Response), Error> {
        let id = self.next_id.fetch_add(1, Ordering::Relaxed);
        let raw_id = to_raw_value(&id).expect("an integer always serialises");
        let response = self.post(message::request(&raw_id, method, params), method, timeout).await?;
        Ok((id, response))
    }

    /// Reads the rest of the answer, and answers what the server asks meanwhile.
    async fn result(
        &self,
        id: u64,
        response: Response,
        method: &str,
        timeout: Duration,
    ) -> Result<Box<RawValue>, Error> {
        let mut answer = Answer::new(response, id, self.limits.response_bytes)?;
        while let Some(request) = answer.next_request(method, timeout).await? {
            self.post(request.refusal(), "the answer to a request of the server", timeout).await?;
        }
        answer.into_result()
    }

    async fn post(&self, body: Vec<u8>, what: &str, timeout: Duration) -> Result<Response, Error> {
        let request = posted(&self.http, self.url.clone(), &self.headers, body);
        let response = send(request, what, timeout).await?;
        answer::checked(response).await
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Client").field("revision", &self.revision).finish_non_exhaustive()
    }
}

fn parsed(url: &str) -> Result<Url, Error> {
    Url::parse(url).map_err(|_| Error::Protocol("the server's address is not a URL".into()))
}

/// The fields as they may be sent: no `Debug` output shows them.
fn kept_secret(mut headers: HeaderMap) -> HeaderMap {
    for value in headers.values_mut() {
        value.set_sensitive(true);
    }
    headers
}

/// What a client says of itself.
fn client_info() -> serde_json::Value {
    serde_json::json!({ "name": "mcpcan", "version": env!("CARGO_PKG_VERSION") })
}

/// A message on its way to a server that may answer with JSON or with events.
fn posted(http: &reqwest::Client, url: Url, headers: &HeaderMap, body: Vec<u8>) -> RequestBuilder {
    http.post(url)
        .headers(headers.clone())
        .header(CONTENT_TYPE, "application/json")
        .header(ACCEPT, "application/json, text/event-stream")
        .body(body)
}

async fn send(request: RequestBuilder, what: &str, timeout: Duration) -> Result<Response, Error> {
    request.timeout(timeout).send().await.map_err(|error| Error::of_transport(error, what, timeout))
}
