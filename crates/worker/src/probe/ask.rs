//! Asks the places of an instance how they are: whether a connection can be made, and whether the answer is MCP.
//!
//! Each question is that of the right era: `server/discover` where there are no sessions, else `initialize` and `ping`,
//! after which the session is ended. Nothing of a probe is left behind.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use domain::Sealed;
use domain::instance::{Dimension, Health, ProblemClass, RemoteTransport};
use http::header::AUTHORIZATION;
use http::{HeaderMap, HeaderName, HeaderValue, Uri};
use mcp::address::{AddressRefusal, require_allowed};
use mcp::client::{Dialer, Error};
use mcp::protocol::Era;
use store::{OpenError, Store};
use tokio::net::{TcpStream, lookup_host};
use tokio::task::JoinSet;
use tokio::time::timeout;
use uuid::Uuid;

use super::class::{Wrong, health};
use super::conversation::Conversation;
use super::target::{Place, Target};
use super::tools;

/// How long looking up a name and connecting may take.
pub(crate) const CONNECT_MAX: Duration = Duration::from_secs(3);
/// So many addresses of a name are tried.
const ADDRESSES_MAX: usize = 2;

/// Asks.
pub(crate) struct Asker {
    store: Store,
    /// Whether servers elsewhere may have private addresses.
    private: bool,
    dialer: Dialer,
}

/// What came of asking an instance.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    pub(crate) health: Health,
    /// How many places were asked, and how many of them answered as they should.
    pub(crate) asked: usize,
    pub(crate) answered: usize,
    /// How long the slowest took.
    pub(crate) took: Duration,
    /// What a server elsewhere speaks, once it has shown it.
    pub(crate) era: Option<Era>,
    /// Whether only connections were tried.
    pub(crate) light: bool,
}

impl Asker {
    /// # Errors
    /// The certificates of the operating system cannot be used.
    pub(crate) fn new(store: Store, private: bool) -> Result<Asker, Error> {
        let names = Arc::new(move |name: String| {
            let found: Pin<Box<dyn Future<Output = _> + Send>> = Box::pin(async move {
                allowed(lookup_host((name, 0)).await?, private).map_err(std::io::Error::other)
            });
            found
        });
        Ok(Asker { store, private, dialer: Dialer::by_names(CONNECT_MAX, names)? })
    }

    /// Asks all places at the same time; in a light round, only whether a connection can be made. None if the platform
    /// itself is in no state to ask.
    pub(crate) async fn ask(self: Arc<Asker>, target: &Target, light: bool) -> Option<Asked> {
        let began = Instant::now();
        let mut places = JoinSet::new();
        for place in target.places.clone() {
            let (asker, owner, tools) = (Arc::clone(&self), target.instance.0, target.tools.clone());
            places.spawn(async move {
                if light {
                    return Some(asker.connect(&place).await.map(|()| place.era.unwrap_or(Era::Sessions)));
                }
                asker.ask_place(owner, &place, &tools).await
            });
        }
        let (mut answers, mut era) = (vec![], None);
        for answer in places.join_all().await {
            match answer? {
                Ok(spoken) => {
                    era = Some(spoken);
                    answers.push(Ok(()));
                }
                Err(wrong) => answers.push(Err(wrong)),
            }
        }
        let answered = answers.iter().filter(|answer| answer.is_ok()).count();
        let mut health = health(target.container, &answers);
        if light && health.mcp == Dimension::Ready {
            health.mcp = Dimension::Unknown;
        }
        Some(Asked { health, asked: answers.len(), answered, took: began.elapsed(), era, light })
    }

    async fn ask_place(
        &self,
        owner: Uuid,
        place: &Place,
        tools: &BTreeSet<String>,
    ) -> Option<Result<Era, Wrong>> {
        let headers = match self.open(owner, place).await {
            Ok(headers) => headers,
            // That NATS is away says nothing about the server.
            Err(OpenError::Unavailable(_)) => return None,
            Err(_) => {
                let detail = "a secret of the instance cannot be opened";
                return Some(Err(Wrong::unconnected(ProblemClass::NotAsked, detail)));
            }
        };
        let asked = async {
            self.connect(place).await?;
            self.converse(place, headers, tools).await
        };
        Some(asked.await)
    }

    /// The header fields of a place, opened.
    async fn open(&self, owner: Uuid, place: &Place) -> Result<HeaderMap, OpenError> {
        let mut headers = HeaderMap::new();
        for (name, sealed) in &place.headers {
            let value = self.secret(owner, sealed).await?;
            // What is no header field was refused when it was set.
            let field = (HeaderName::from_bytes(name.as_bytes()), HeaderValue::from_bytes(&value));
            if let (Ok(name), Ok(value)) = field {
                headers.insert(name, value);
            }
        }
        if let Some(credential) = &place.credential {
            let credential = self.secret(owner, credential).await?;
            if let Ok(bearer) = HeaderValue::from_bytes(&[b"Bearer ", &credential[..]].concat()) {
                headers.insert(AUTHORIZATION, bearer);
            }
        }
        Ok(headers)
    }

    async fn secret(&self, owner: Uuid, sealed: &Sealed) -> Result<Vec<u8>, OpenError> {
        Ok(self.store.vault().open(owner, sealed).await?.to_vec())
    }

    /// Whether a connection can be made.
    async fn connect(&self, place: &Place) -> Result<(), Wrong> {
        let Some((host, port)) = host_and_port(&place.url) else {
            return Err(Wrong::unconnected(ProblemClass::HostNotFound, "the address names no host"));
        };
        let found = match timeout(CONNECT_MAX, lookup_host((host, port))).await {
            Ok(Ok(found)) => found,
            Ok(Err(_)) | Err(_) => {
                return Err(Wrong::unconnected(ProblemClass::HostNotFound, "the name leads to no address"));
            }
        };
        let addresses = allowed(found, place.hosted || self.private)
            .map_err(|refusal| Wrong::unconnected(ProblemClass::AddressRefused, refusal.to_string()))?;
        let mut last = Err(Wrong::unconnected(ProblemClass::HostNotFound, "the name leads to no address"));
        // A name may have an address of each family, and only one that works.
        for address in addresses.into_iter().take(ADDRESSES_MAX) {
            last = try_connect(address).await;
            if last.is_ok() {
                break;
            }
        }
        last
    }

    /// Whether it speaks MCP. Of a server elsewhere it may be unknown which era it is of.
    async fn converse(
        &self,
        place: &Place,
        headers: HeaderMap,
        tools: &BTreeSet<String>,
    ) -> Result<Era, Wrong> {
        let is_sse = place.transport == RemoteTransport::Sse;
        // `server/discover` leaves nothing behind at a server that does not know it; `initialize` opens a session.
        let first = place.era.filter(|_| !is_sse).unwrap_or(Era::Stateless);
        let how = |era: Era| (place.url.as_str(), place.transport, era);
        let opened = Conversation::open(&self.dialer, how(first), headers.clone()).await;
        let mut conversation = match opened.map_err(Wrong::from) {
            Err(wrong) if place.era.is_none() && !is_sse && may_have_sessions(wrong.class) => {
                Conversation::open(&self.dialer, how(Era::Sessions), headers).await?
            }
            opened => opened?,
        };
        let era = conversation.era();
        let asked = question(&mut conversation, tools).await;
        conversation.close().await;
        asked.map(|()| era)
    }
}

/// Whether a server may say so that it does not know `server/discover`, or nothing at all.
fn may_have_sessions(class: ProblemClass) -> bool {
    use ProblemClass::{AnswerTimeout, ConnectionBroken, EndpointNotFound, ProtocolError, ServerError};
    matches!(class, AnswerTimeout | ConnectionBroken | EndpointNotFound | ProtocolError | ServerError)
}

async fn question(conversation: &mut Conversation, tools: &BTreeSet<String>) -> Result<(), Wrong> {
    conversation.ping().await?;
    tools::expect(tools, conversation).await
}

async fn try_connect(address: SocketAddr) -> Result<(), Wrong> {
    match timeout(CONNECT_MAX, TcpStream::connect(address)).await {
        Ok(Ok(_)) => Ok(()),
        Ok(Err(error)) if error.kind() == std::io::ErrorKind::ConnectionRefused => {
            Err(Wrong::unconnected(ProblemClass::PortNotListening, "the connection was refused"))
        }
        Ok(Err(_)) => Err(Wrong::unconnected(ProblemClass::ConnectionTimeout, "the host cannot be reached")),
        Err(_) => {
            let detail = format!("no connection within {} s", CONNECT_MAX.as_secs());
            Err(Wrong::unconnected(ProblemClass::ConnectionTimeout, detail))
        }
    }
}

/// The addresses, if all of them may be connected to: one bad address spoils the name, as it does at the gateway.
fn allowed(
    addresses: impl Iterator<Item = SocketAddr>,
    private: bool,
) -> Result<Vec<SocketAddr>, AddressRefusal> {
    addresses.map(|address| require_allowed(address.ip(), private).map(|()| address)).collect()
}

fn host_and_port(url: &str) -> Option<(String, u16)> {
    let uri: Uri = url.parse().ok()?;
    let default = if uri.scheme_str()? == "https" { 443 } else { 80 };
    let host = uri.host()?.trim_start_matches('[').trim_end_matches(']');
    Some((host.to_owned(), uri.port_u16().unwrap_or(default)))
}
