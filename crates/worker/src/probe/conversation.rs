//! One conversation with a server, in the words of its transport and era. Whatever it opens, it closes.

use std::time::Duration;

use domain::instance::RemoteTransport;
use http::HeaderMap;
use mcp::client::{Client, Dialer, Error, HttpSse, Limits, Stateless};
use mcp::message::code;
use mcp::protocol::Era;
use serde_json::value::{RawValue, to_raw_value};
use serde_json::{Map, Value};

/// How long the answer to one request may take.
pub(crate) const REQUEST_MAX: Duration = Duration::from_secs(5);
/// How long the answer to `initialize` may take: a server may have to start a process for it.
const INITIALIZE_MAX: Duration = Duration::from_secs(10);
/// The largest answer that is read, in bytes: lists of tools are long.
const ANSWER_BYTES_MAX: usize = 4 * 1024 * 1024;

const LIMITS: Limits =
    Limits { initialize: INITIALIZE_MAX, request: REQUEST_MAX, response_bytes: ANSWER_BYTES_MAX };

/// A server that has said something so far.
pub(crate) enum Conversation {
    /// An initialised session of Streamable HTTP.
    Session(Box<Client>),
    /// One of HTTP+SSE, which ends with its stream.
    HttpSse(Box<HttpSse>),
    /// A server without sessions that has said what it is.
    Stateless(Box<Stateless>),
}

/// Asks a server without sessions what it is. One that takes other revisions first says so, and is asked again: ours is
/// the only one of its era.
async fn discover(server: &Stateless) -> Result<(), Error> {
    let ask = || server.request("server/discover", Map::new());
    match ask().await {
        Err(error) if error.rpc_code() == Some(code::UNSUPPORTED_REVISION) => ask().await.map(drop),
        asked => asked.map(drop),
    }
}

impl Conversation {
    /// Shakes hands.
    ///
    /// # Errors
    /// There was no answer, or none of this transport and era.
    pub(crate) async fn open(
        dialer: &Dialer,
        (url, transport, era): (&str, RemoteTransport, Era),
        headers: HeaderMap,
    ) -> Result<Conversation, Error> {
        Ok(match (transport, era) {
            (RemoteTransport::Sse, _) => {
                Conversation::HttpSse(Box::new(HttpSse::open(dialer, url, headers, LIMITS).await?))
            }
            (RemoteTransport::StreamableHttp, Era::Sessions) => {
                Conversation::Session(Box::new(Client::connect_by(dialer, url, headers, LIMITS).await?))
            }
            (RemoteTransport::StreamableHttp, Era::Stateless) => {
                let server = Stateless::new(dialer, url, headers, LIMITS)?;
                discover(&server).await?;
                Conversation::Stateless(Box::new(server))
            }
        })
    }

    pub(crate) fn era(&self) -> Era {
        match self {
            Conversation::Session(_) | Conversation::HttpSse(_) => Era::Sessions,
            Conversation::Stateless(_) => Era::Stateless,
        }
    }

    /// Pings, where there is such a thing. A server that has an error for it is alive.
    ///
    /// # Errors
    /// There was no answer.
    pub(crate) async fn ping(&mut self) -> Result<(), Error> {
        let answer = match self {
            Conversation::Session(client) => client.request("ping", None).await,
            Conversation::HttpSse(session) => session.request("ping", None).await,
            // What it answers says as much.
            Conversation::Stateless(_) => return Ok(()),
        };
        match answer {
            Ok(_) | Err(Error::Rpc { .. }) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// A page of the list of tools.
    ///
    /// # Errors
    /// There was no answer, or an error.
    pub(crate) async fn list_tools(&mut self, params: Map<String, Value>) -> Result<Box<RawValue>, Error> {
        const METHOD: &str = "tools/list";
        let raw = to_raw_value(&params).expect("a JSON value always serialises");
        match self {
            Conversation::Session(client) => client.request(METHOD, Some(&raw)).await,
            Conversation::HttpSse(session) => session.request(METHOD, Some(&raw)).await,
            Conversation::Stateless(server) => server.request(METHOD, params).await,
        }
    }

    /// Ends the session, if there is one. A server that has answered is not ill for being slow to let go.
    pub(crate) async fn close(self) {
        let Conversation::Session(client) = self else { return };
        if let Err(error) = client.close().await {
            tracing::debug!(error = &error as &dyn std::error::Error, "end the session of a probe");
        }
    }
}
