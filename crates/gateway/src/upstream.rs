//! The HTTP client towards replicas and remote servers: pooled connections, bounded connecting, refused addresses.

use std::error::Error;
use std::future::Future;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use http::Uri;
use http_body::Body;
use hyper_rustls::{ConfigBuilderExt, HttpsConnector, HttpsConnectorBuilder, MaybeHttpsStream};
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::client::legacy::connect::dns::{GaiResolver, Name};
use hyper_util::client::legacy::{self, Error as ClientError};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use mcp::address::{AddressRefusal, require_allowed};
use tokio::net::TcpStream;
use tower_service::Service;

use crate::body::RequestBody;
use crate::keep_alive;
use crate::refusal::Refusal;
use crate::routes::Destination;

/// How long resolving, connecting and the TLS handshake may take together.
const CONNECT_WAIT_MAX: Duration = Duration::from_secs(5);
/// How long a connection may lie idle. Node and uvicorn close theirs after 5 s; a request written into a closing
/// connection would fail without anybody's fault.
const IDLE_MAX: Duration = Duration::from_secs(4);
/// How many idle connections are kept per upstream.
const IDLE_CONNECTIONS_MAX: usize = 256;
/// The largest head of an answer, and the most that is read from a connection at once, in bytes.
const BUFFER_BYTES_MAX: usize = 256 * 1024;

/// A client for requests with such a body. Cheap to clone.
pub(crate) type Client<B> = legacy::Client<Connector, B>;
type Upstream = Client<RequestBody>;

/// The clients towards both kinds of upstreams.
#[derive(Clone)]
pub(crate) struct Upstreams {
    replicas: Upstream,
    remote: Upstream,
}

impl Upstreams {
    /// Replicas are where the platform has put them. Servers elsewhere are where somebody says, which may be a private
    /// address only if `private` is set.
    pub(crate) fn new(private: bool) -> Self {
        let tls = tls();
        Self { replicas: client(tls.clone(), true), remote: client(tls, private) }
    }

    pub(crate) fn to(&self, destination: &Destination) -> &Upstream {
        if destination.hosted { &self.replicas } else { &self.remote }
    }
}

/// A client that trusts the certificates of the operating system, and leads to private addresses only if `private` is
/// set.
pub(crate) fn client<B>(tls: rustls::ClientConfig, private: bool) -> Client<B>
where
    B: Body + Send,
    B::Data: Send,
{
    let mut http = HttpConnector::new_with_resolver(Resolver { names: GaiResolver::new(), private });
    http.enforce_http(false);
    // Without it, small messages wait for the acknowledgement of the one before: 40 ms each.
    http.set_nodelay(true);
    http.set_keepalive(Some(keep_alive::IDLE));
    http.set_keepalive_interval(Some(keep_alive::INTERVAL));
    http.set_keepalive_retries(Some(keep_alive::PROBES));
    let https =
        HttpsConnectorBuilder::new().with_tls_config(tls).https_or_http().enable_http1().wrap_connector(http);
    legacy::Client::builder(TokioExecutor::new())
        .pool_idle_timeout(IDLE_MAX)
        .pool_max_idle_per_host(IDLE_CONNECTIONS_MAX)
        .pool_timer(TokioTimer::new())
        .timer(TokioTimer::new())
        .http1_max_buf_size(BUFFER_BYTES_MAX)
        .build(Connector { https, private })
}

pub(crate) fn tls() -> rustls::ClientConfig {
    let builder = || {
        rustls::ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_safe_default_protocol_versions()
            .expect("ring has the default protocol versions")
    };
    match builder().with_native_roots() {
        Ok(builder) => builder.with_no_client_auth(),
        Err(error) => {
            tracing::warn!(%error, "no certificates of the operating system: https upstreams will be refused");
            builder().with_root_certificates(rustls::RootCertStore::empty()).with_no_client_auth()
        }
    }
}

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ConnectError {
    #[error(transparent)]
    AddressRefused(#[from] AddressRefusal),
    #[error("no connection within {} s", CONNECT_WAIT_MAX.as_secs())]
    TimedOut,
    #[error("connect")]
    Failed(#[source] Box<dyn Error + Send + Sync>),
}

/// What to tell the client after a request to the upstream has failed.
pub(crate) fn refusal(error: &ClientError) -> Refusal {
    if !error.is_connect() {
        return Refusal::UpstreamBroke;
    }
    let mut source = error.source();
    while let Some(error) = source {
        match error.downcast_ref() {
            Some(ConnectError::TimedOut) => return Refusal::UpstreamConnectTimeout,
            Some(ConnectError::AddressRefused(_)) => return Refusal::UpstreamAddressRefused,
            Some(ConnectError::Failed(_)) | None => {}
        }
        if error.is::<AddressRefusal>() {
            return Refusal::UpstreamAddressRefused;
        }
        source = error.source();
    }
    Refusal::UpstreamUnreachable
}

/// Connects within a bound, and only to allowed addresses.
#[derive(Clone)]
pub(crate) struct Connector {
    https: HttpsConnector<HttpConnector<Resolver>>,
    private: bool,
}

impl Service<Uri> for Connector {
    type Response = MaybeHttpsStream<TokioIo<TcpStream>>;
    type Error = ConnectError;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, ConnectError>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), ConnectError>> {
        self.https.poll_ready(context).map_err(ConnectError::Failed)
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        // Literal addresses never reach the resolver.
        let allowed = literal(&uri).map_or(Ok(()), |address| require_allowed(address, self.private));
        if let Err(refusal) = allowed {
            return Box::pin(std::future::ready(Err(refusal.into())));
        }
        let connecting = self.https.call(uri);
        Box::pin(async move {
            match tokio::time::timeout(CONNECT_WAIT_MAX, connecting).await {
                Ok(connected) => connected.map_err(ConnectError::Failed),
                Err(_) => Err(ConnectError::TimedOut),
            }
        })
    }
}

fn literal(uri: &Uri) -> Option<IpAddr> {
    uri.host()?.trim_start_matches('[').trim_end_matches(']').parse().ok()
}

/// Resolves names through the operating system and refuses those that lead to an address that is not allowed.
#[derive(Clone)]
pub(crate) struct Resolver {
    names: GaiResolver,
    private: bool,
}

impl Service<Name> for Resolver {
    type Response = std::vec::IntoIter<SocketAddr>;
    type Error = Box<dyn Error + Send + Sync>;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Self::Error>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.names.poll_ready(context).map_err(Into::into)
    }

    fn call(&mut self, name: Name) -> Self::Future {
        let (resolving, private) = (self.names.call(name), self.private);
        Box::pin(async move {
            let addresses: Vec<SocketAddr> = resolving.await?.collect();
            // One bad address spoils the name: whoever mixes them in means no good.
            for address in &addresses {
                require_allowed(address.ip(), private)?;
            }
            Ok(addresses.into_iter())
        })
    }
}
