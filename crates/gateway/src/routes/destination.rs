//! One place where requests of an instance go: a replica of a hosted server, or a remote server. Counts what is under
//! way there, and remembers for a moment that it took no connection.

use std::fmt;
use std::sync::Arc;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use domain::instance::RemoteTransport;
use http::uri::PathAndQuery;
use http::{HeaderMap, Uri};
use uuid::Uuid;

use super::breaker::{Breaker, milliseconds};
use crate::refusal::Refusal;

/// How long a replica that took no connection is left alone, as long as there is another: until then its worker has
/// usually noticed, and if not, one request in this time finds out.
const AVOIDED: Duration = Duration::from_secs(2);

/// Where a bridge begins event streams of HTTP+SSE.
const SSE_OF_BRIDGE: &str = "/sse";

static STARTED: LazyLock<Instant> = LazyLock::new(Instant::now);

/// Where requests go.
///
/// Header fields, path and query may hold credentials: they get into no log. Host and port do, where they tell an
/// administrator why there is no connection, but never into an answer to a client.
pub(crate) struct Destination {
    /// What a session names it by: the id of the replica, or one made of the remote server's address.
    pub(crate) id: Uuid,
    /// Whether the platform runs it.
    pub(crate) hosted: bool,
    /// Whether it is a bridge that speaks HTTP to an API, which header fields can be for.
    pub(crate) before_api: bool,
    pub(crate) uri: Uri,
    /// What is spoken at `uri`. A replica's bridge speaks HTTP+SSE too, at the address beside it.
    pub(crate) transport: RemoteTransport,
    /// The platform's header fields for the upstream; they replace the client's.
    pub(crate) headers: HeaderMap,
    in_flight: AtomicUsize,
    /// In milliseconds since `STARTED`.
    avoided_until: AtomicU64,
    breaker: Breaker,
}

impl Destination {
    pub(super) fn new(
        id: Uuid,
        (hosted, before_api): (bool, bool),
        uri: Uri,
        transport: RemoteTransport,
        headers: HeaderMap,
    ) -> Self {
        let (in_flight, avoided_until) = (AtomicUsize::new(0), AtomicU64::new(0));
        Self {
            id,
            hosted,
            before_api,
            uri,
            transport,
            headers,
            in_flight,
            avoided_until,
            breaker: Breaker::default(),
        }
    }

    /// Where Streamable HTTP is spoken.
    pub(crate) fn streamable_http(&self) -> Result<Uri, Refusal> {
        match self.transport {
            RemoteTransport::StreamableHttp => Ok(self.uri.clone()),
            RemoteTransport::Sse => Err(Refusal::StreamableHttpUnsupported),
        }
    }

    /// Where an event stream of HTTP+SSE begins.
    pub(crate) fn sse(&self) -> Result<Uri, Refusal> {
        match self.transport {
            RemoteTransport::Sse => Ok(self.uri.clone()),
            RemoteTransport::StreamableHttp if self.hosted => {
                Ok(self.at(PathAndQuery::from_static(SSE_OF_BRIDGE)))
            }
            RemoteTransport::StreamableHttp => Err(Refusal::HttpSseUnsupported),
        }
    }

    /// Another path and query of the same origin.
    pub(crate) fn at(&self, path_and_query: PathAndQuery) -> Uri {
        let mut parts = self.uri.clone().into_parts();
        parts.path_and_query = Some(path_and_query);
        Uri::from_parts(parts).expect("with scheme and host any path makes an address")
    }

    /// Lets a request through, unless this place has failed too often.
    ///
    /// # Errors
    /// How long it is left alone.
    pub(crate) fn admit(&self) -> Result<(), Duration> {
        self.breaker.admit(milliseconds(STARTED.elapsed()))
    }

    /// Notes that it has begun an answer.
    pub(crate) fn answered(&self) {
        self.breaker.succeeded();
    }

    /// Notes that it took no connection.
    pub(crate) fn took_no_connection(&self) {
        self.avoided_until.store(milliseconds(STARTED.elapsed() + AVOIDED), Ordering::Relaxed);
        self.breaker.failed(milliseconds(STARTED.elapsed()));
    }

    /// Notes that it ended a connection without an answer. A replica is not left alone for that: one call may have
    /// brought its server down, and its worker starts another.
    pub(crate) fn broke(&self) {
        if !self.hosted {
            self.breaker.failed(milliseconds(STARTED.elapsed()));
        }
    }

    /// How much speaks against sending a request here, to be compared.
    pub(super) fn burden(&self) -> (bool, usize) {
        (self.is_avoided(), self.in_flight.load(Ordering::Relaxed))
    }

    /// Whether it took no connection a moment ago, or fails again and again.
    pub(super) fn is_avoided(&self) -> bool {
        let now = milliseconds(STARTED.elapsed());
        self.avoided_until.load(Ordering::Relaxed) > now || self.breaker.is_open(now)
    }
}

impl fmt::Debug for Destination {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Destination(…)")
    }
}

/// A request that is under way. It counts until this is dropped, with the last byte of its answer.
#[derive(Debug)]
pub(crate) struct InFlight(Arc<Destination>);

impl InFlight {
    pub(crate) fn begin(destination: Arc<Destination>) -> Self {
        destination.in_flight.fetch_add(1, Ordering::Relaxed);
        Self(destination)
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.in_flight.fetch_sub(1, Ordering::Relaxed);
    }
}
