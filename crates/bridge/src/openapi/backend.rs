//! The HTTP client towards the API: bounded in time and bytes, to allowed addresses only, and never redirected to another
//! origin, because credentials go along.

use std::error::Error as _;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use mcp::address::require_allowed;
use openapi::{Content, Request, RequestBody};
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use reqwest::header::{CONTENT_TYPE, LOCATION};
use reqwest::redirect::Policy;
use reqwest::{Client, Method, Response};
use tokio::time::timeout;
use url::{Host, Url};

use crate::config::{self, Private};
use crate::random;

/// How long resolving, connecting and the TLS handshake may take together.
const CONNECT_WAIT_MAX: Duration = Duration::from_secs(10);
/// Redirects that a call follows within one origin.
const REDIRECTS_MAX: usize = 5;
/// The largest file that a call may name by its address, and the most of all files of a call, in bytes.
const FILES_BYTES_MAX: usize = 64 * 1024 * 1024;

pub(super) struct Backend {
    api: Way,
    files: Way,
    answer_wait: Duration,
    answer_bytes_max: usize,
}

/// A client with the addresses that it may connect to.
struct Way {
    client: Client,
    private: bool,
}

/// An answer that has come whole.
pub(super) struct Received {
    pub(super) status: u16,
    pub(super) reason: &'static str,
    pub(super) content_type: Option<String>,
    pub(super) body: Vec<u8>,
}

impl Backend {
    pub(super) fn new(config: &config::Openapi) -> anyhow::Result<Self> {
        // The provider of TLS is chosen once in a process; that it was chosen before is as good.
        drop(rustls::crypto::ring::default_provider().install_default());
        Ok(Self {
            api: Way::new(config.private_backends)?,
            files: Way::new(config.private_files)?,
            answer_wait: Duration::from_secs(config.answer_wait),
            answer_bytes_max: config.answer_bytes_max,
        })
    }

    /// Sends a request, with the files that it names, and waits for the whole answer.
    ///
    /// # Errors
    /// There is no answer; says why, without credentials.
    pub(super) async fn send(&self, request: Request) -> Result<Received, String> {
        match timeout(self.answer_wait, self.exchange(request)).await {
            Ok(received) => received,
            Err(_) => Err(format!("the API did not answer within {} s", self.answer_wait.as_secs())),
        }
    }

    async fn exchange(&self, request: Request) -> Result<Received, String> {
        let method =
            Method::from_bytes(request.method.as_bytes()).map_err(|_| "this method cannot be sent")?;
        let mut url =
            Url::parse(&request.url).map_err(|error| format!("the address cannot be used: {error}"))?;
        let body = self.body(request.body).await?;
        let is_safe = matches!(request.method.as_str(), "GET" | "HEAD");
        for _ in 0..=REDIRECTS_MAX {
            let mut builder = self.api.request(method.clone(), &url)?;
            for (name, value) in &request.headers {
                builder = builder.header(name, value);
            }
            if let Some((content_type, bytes)) = &body {
                builder = builder.header(CONTENT_TYPE, content_type).body(bytes.clone());
            }
            let response = builder.send().await.map_err(|error| reason(&error))?;
            match redirected(&response, &url).filter(|_| is_safe) {
                Some(next) if next.origin() == url.origin() => url = next,
                Some(next) => {
                    let origin = next.origin().ascii_serialization();
                    return Err(format!(
                        "the API leads to another origin, {origin}, where nothing is sent to"
                    ));
                }
                None => return received(response, self.answer_bytes_max).await,
            }
        }
        Err(format!("the API redirects more than {REDIRECTS_MAX} times"))
    }

    /// The body with its media type, once what is elsewhere is here.
    async fn body(&self, body: RequestBody) -> Result<Option<(String, Vec<u8>)>, String> {
        let mut room = FILES_BYTES_MAX;
        match body {
            RequestBody::None => Ok(None),
            RequestBody::Whole(content_type, content) => {
                Ok(Some((content_type, self.content(content, &mut room).await?)))
            }
            RequestBody::Parts(media_type, mut parts) => {
                for part in &mut parts {
                    let empty = Content::Bytes(vec![]);
                    let content =
                        self.content(std::mem::replace(&mut part.content, empty), &mut room).await?;
                    part.content = Content::Bytes(content);
                }
                let boundary = random::id();
                let bytes = openapi::multipart(&parts, &boundary);
                Ok(Some((format!("{media_type}; boundary={boundary}"), bytes)))
            }
        }
    }

    async fn content(&self, content: Content, room: &mut usize) -> Result<Vec<u8>, String> {
        let url = match content {
            Content::Bytes(bytes) => return Ok(bytes),
            Content::Url(url) => url,
        };
        let of_file = |reason: String| format!("the file {url} cannot be got: {reason}");
        let response = self.files.request(Method::GET, &url).map_err(of_file)?.send().await;
        let response = response.map_err(|error| of_file(reason(&error)))?;
        let file = received(response, *room).await.map_err(of_file)?;
        if file.status != 200 {
            return Err(of_file(format!("HTTP {}", file.status)));
        }
        *room -= file.body.len();
        Ok(file.body)
    }
}

impl Way {
    fn new(private: Private) -> anyhow::Result<Self> {
        let private = private == Private::Allow;
        let client = Client::builder()
            .dns_resolver(Arc::new(Names { private }))
            .redirect(Policy::none())
            .connect_timeout(CONNECT_WAIT_MAX)
            // A proxy would be asked for addresses that nobody has looked at.
            .no_proxy()
            .build();
        Ok(Self { client: client.context("make an HTTP client")?, private })
    }

    fn request(&self, method: Method, url: &Url) -> Result<reqwest::RequestBuilder, String> {
        // Literal addresses never reach the resolver.
        let literal = match url.host() {
            Some(Host::Ipv4(address)) => Some(IpAddr::V4(address)),
            Some(Host::Ipv6(address)) => Some(IpAddr::V6(address)),
            Some(Host::Domain(_)) | None => None,
        };
        literal
            .map_or(Ok(()), |address| require_allowed(address, self.private))
            .map_err(|refusal| refusal.to_string())?;
        Ok(self.client.request(method, url.clone()))
    }
}

/// Resolves names through the operating system and refuses those that lead to an address that is not allowed.
struct Names {
    private: bool,
}

impl Resolve for Names {
    fn resolve(&self, name: Name) -> Resolving {
        let private = self.private;
        Box::pin(async move {
            let addresses: Vec<SocketAddr> = tokio::net::lookup_host((name.as_str(), 0)).await?.collect();
            // One bad address spoils the name: whoever mixes them in means no good.
            for address in &addresses {
                require_allowed(address.ip(), private)?;
            }
            let addresses: Addrs = Box::new(addresses.into_iter());
            Ok(addresses)
        })
    }
}

/// Where an answer leads.
fn redirected(response: &Response, url: &Url) -> Option<Url> {
    if !matches!(response.status().as_u16(), 301 | 302 | 303 | 307 | 308) {
        return None;
    }
    url.join(response.headers().get(LOCATION)?.to_str().ok()?).ok()
}

async fn received(mut response: Response, bytes_max: usize) -> Result<Received, String> {
    let (status, headers) = (response.status(), response.headers());
    let content_type = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).map(str::to_owned);
    let mut body = vec![];
    while let Some(chunk) = response.chunk().await.map_err(|error| reason(&error))? {
        if body.len() + chunk.len() > bytes_max {
            return Err(format!("HTTP {}: the answer has more than {bytes_max} bytes", status.as_u16()));
        }
        body.extend_from_slice(&chunk);
    }
    let reason = status.canonical_reason().unwrap_or_default();
    Ok(Received { status: status.as_u16(), reason, content_type, body })
}

/// What went wrong. The address is left out: it may hold credentials.
fn reason(error: &reqwest::Error) -> String {
    let mut text =
        if error.is_connect() { "no connection to the API" } else { "the exchange broke off" }.to_owned();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}
