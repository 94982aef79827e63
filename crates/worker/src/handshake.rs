//! Whether a server answers: initialise a session, ping, end it.
//!
//! What goes wrong is told in the platform's own words. The error of the client may quote the server, and what a
//! server says may hold a secret; events are for ever.

use std::time::Duration;

use domain::instance::{FailureReason, ServerInfo};
use mcp::client::{Client, Error, Limits};
use serde::Deserialize;

/// How long a server may take from its start to the answer of `initialize`. Generous, because a launcher such as
/// `npx` may have to download the server first.
pub(crate) const HANDSHAKE_MAX: Duration = Duration::from_secs(120);
/// How long an initialised server may take to answer `ping`, and to be told that its session is over.
const PING_MAX: Duration = Duration::from_secs(10);
/// The largest answer that is read, in bytes. Instructions to the model may be long.
const ANSWER_BYTES_MAX: usize = 4 * 1024 * 1024;
/// The most characters that are kept of what a server says of itself.
const SERVER_TEXT_CHARS_MAX: usize = 200;

/// A server that has answered, and the session that is still open with it.
pub(crate) struct Answered {
    pub(crate) server: ServerInfo,
    client: Client,
}

/// Why a server did not answer as it should.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct NoAnswer {
    pub(crate) reason: FailureReason,
    pub(crate) detail: String,
}

#[derive(Default, Deserialize)]
struct InitializeResult {
    #[serde(default, rename = "serverInfo")]
    server_info: Implementation,
}

#[derive(Default, Deserialize)]
struct Implementation {
    #[serde(default)]
    name: String,
    #[serde(default)]
    version: String,
}

/// Initialises a session at an endpoint and pings, with `headers` in every request.
///
/// # Errors
/// The server did not answer in time, or not in MCP.
pub(crate) async fn shake_hands(endpoint: &str, headers: http::HeaderMap) -> Result<Answered, NoAnswer> {
    let limits = Limits { initialize: HANDSHAKE_MAX, request: PING_MAX, response_bytes: ANSWER_BYTES_MAX };
    let client = Client::connect_within(endpoint, headers, limits).await.map_err(NoAnswer::from)?;
    let server = server_info(&client);
    if let Err(error) = client.request("ping", None).await {
        // The ping is what counts; that its session could not be ended adds nothing.
        let _ = client.close().await;
        return Err(error.into());
    }
    Ok(Answered { server, client })
}

impl Answered {
    /// Ends the session. A server that has answered is not failed for being slow to let go.
    pub(crate) async fn close(self) -> ServerInfo {
        if let Err(error) = self.client.close().await {
            tracing::debug!(error = &error as &dyn std::error::Error, "end the session of the handshake");
        }
        self.server
    }
}

impl From<Error> for NoAnswer {
    fn from(error: Error) -> Self {
        let (reason, detail) = match error {
            Error::Timeout { what, limit } => {
                (FailureReason::HandshakeTimeout, format!("no answer to {what} within {} s", limit.as_secs()))
            }
            Error::Unreachable(_) => {
                (FailureReason::ProtocolError, "the connection broke during the handshake".to_owned())
            }
            Error::Status { code, .. } => {
                (FailureReason::ProtocolError, format!("the handshake was answered with HTTP status {code}"))
            }
            Error::Protocol(_) => (
                FailureReason::ProtocolError,
                "the handshake was answered with something that is not MCP".to_owned(),
            ),
            Error::Rpc { code, .. } => (
                FailureReason::ProtocolError,
                format!("the handshake was refused with JSON-RPC error {code}"),
            ),
        };
        NoAnswer { reason, detail }
    }
}

/// What the server says of itself. A server that says nothing is a server all the same.
fn server_info(client: &Client) -> ServerInfo {
    let said: InitializeResult = serde_json::from_str(client.initialize_result().get()).unwrap_or_default();
    let bounded = |text: String| text.chars().take(SERVER_TEXT_CHARS_MAX).collect();
    ServerInfo {
        name: bounded(said.server_info.name),
        version: bounded(said.server_info.version),
        protocol_version: client.revision().as_str().to_owned(),
        revisions: vec![],
    }
}
