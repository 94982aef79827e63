//! What a client needs to reach an instance: the `mcpServers` JSON that AI clients take as it is, and `snippet`s for
//! those that want another form.

mod snippet;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use domain::instance::{Access, Remote, RemoteTransport};
use domain::token::Kind;
use domain::{Name, Sealed};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use store::OpenError;
use url::Url;
use uuid::Uuid;
use views::{InstanceRow, TokenRow, TokenState};
use zeroize::Zeroizing;

use crate::app::App;
use crate::directory::is_active;
use crate::error::Error;
use crate::extract::{Path, Query};
pub(crate) use snippet::SnippetsDocument;

/// How long a client should wait for an answer.
const TIMEOUT: Duration = Duration::from_secs(30);

/// How long a client should wait for the next event of a stream.
const SSE_READ_TIMEOUT: Duration = Duration::from_secs(60);

/// `{"mcpServers": {"<name>": {…}}}`, with the credentials in clear.
#[derive(Serialize, JsonSchema)]
pub(crate) struct ClientConfig {
    #[serde(rename = "mcpServers")]
    servers: BTreeMap<Name, Server>,
}

/// How one server is reached. The names are those that clients know.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct Server {
    #[serde(rename = "type")]
    transport: RemoteTransport,
    url: Url,
    #[schemars(with = "BTreeMap<String, String>")]
    headers: BTreeMap<String, Zeroizing<String>>,
    timeout: u64,
    sse_read_timeout: u64,
}

impl ClientConfig {
    fn new(instance: &InstanceRow, way: Way, headers: BTreeMap<String, Zeroizing<String>>) -> Self {
        let server = Server {
            transport: way.transport,
            url: way.url,
            headers,
            timeout: milliseconds(TIMEOUT),
            sse_read_timeout: milliseconds(SSE_READ_TIMEOUT),
        };
        ClientConfig { servers: BTreeMap::from([(instance.name.clone(), server)]) }
    }

    /// The preferred way through the gateway with a credential.
    ///
    /// # Errors
    /// The instance is direct: no way leads through the gateway.
    pub(crate) fn through_gateway(
        app: &App,
        instance: &InstanceRow,
        token: &TokenRow,
        credential: &str,
    ) -> Result<Self, Error> {
        let way = ways(instance, &app.config.gateway_url).into_iter().next();
        Ok(Self::with_token(instance, way.ok_or(Error::DirectHasNoTokens)?, token, credential))
    }

    fn with_token(instance: &InstanceRow, way: Way, token: &TokenRow, credential: &str) -> Self {
        let (name, value) = match token.kind {
            Kind::Bearer => ("Authorization", Zeroizing::new(format!("Bearer {credential}"))),
            Kind::Basic => ("Authorization", Zeroizing::new(format!("Basic {credential}"))),
            Kind::ApiKey => ("Api-Key", Zeroizing::new(credential.to_owned())),
            Kind::XApiKey => ("X-API-Key", Zeroizing::new(credential.to_owned())),
        };
        Self::new(instance, way, BTreeMap::from([(name.to_owned(), value)]))
    }

    /// The way to the server itself, with its own header fields.
    async fn direct(app: &App, instance: &InstanceRow, remote: &Remote) -> Result<Self, Error> {
        let mut headers = BTreeMap::new();
        for (name, sealed) in &remote.headers {
            let value = open(app, instance.id.0, sealed).await?.ok_or(Error::InstanceGone)?;
            headers.insert(name.clone(), value);
        }
        let url = remote.url.parse().expect("the url was parsed when the instance was created");
        Ok(Self::new(instance, Way { transport: remote.transport, url }, headers))
    }
}

fn milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).expect("the waits are minutes at most")
}

/// One way to an instance.
struct Way {
    transport: RemoteTransport,
    url: Url,
}

/// The transports that an instance offers at the gateway, the preferred one first; none for a direct one.
fn transports(access: &Access) -> &'static [RemoteTransport] {
    match access {
        // The bridge speaks both.
        Access::Hosted(_) => &[RemoteTransport::StreamableHttp, RemoteTransport::Sse],
        Access::Proxy(remote) => match remote.transport {
            RemoteTransport::StreamableHttp => &[RemoteTransport::StreamableHttp],
            RemoteTransport::Sse => &[RemoteTransport::Sse],
        },
        Access::Direct(_) => &[],
    }
}

/// How clients reach an instance through the gateway, the preferred way first. By id, so that a configuration that was
/// handed out stays right.
fn ways(instance: &InstanceRow, gateway_url: &Url) -> Vec<Way> {
    let id = instance.id.to_string();
    let way = |transport: &RemoteTransport| {
        let endpoint = match transport {
            RemoteTransport::StreamableHttp => "mcp",
            RemoteTransport::Sse => "sse",
        };
        let mut url = gateway_url.clone();
        let mut path = url.path_segments_mut().expect("the gateway's url was checked at start");
        path.pop_if_empty().extend(["mcp-gateway", &id, endpoint]);
        drop(path);
        Way { transport: *transport, url }
    };
    transports(&instance.access).iter().map(way).collect()
}

/// Where clients reach an instance through the gateway; none for a direct one.
pub(crate) fn gateway_endpoint(instance: &InstanceRow, gateway_url: &Url) -> Option<Url> {
    ways(instance, gateway_url).into_iter().next().map(|way| way.url)
}

/// The credential of a token in clear.
///
/// # Errors
/// `Error::TokenRevoked`, also when the revocation does not show yet and only the key is gone.
pub(crate) async fn open_credential(app: &App, token: &TokenRow) -> Result<Zeroizing<String>, Error> {
    let sealed = match &token.state {
        TokenState::Active { sealed, .. } => sealed,
        TokenState::Revoked { .. } => return Err(Error::TokenRevoked),
        TokenState::Expired { .. } => return Err(Error::TokenExpired),
    };
    open(app, token.id.0, sealed).await?.ok_or(Error::TokenRevoked)
}

/// A secret in clear; none when its key was shredded.
async fn open(app: &App, owner: Uuid, sealed: &Sealed) -> Result<Option<Zeroizing<String>>, Error> {
    let bytes = match app.store.vault().open(owner, sealed).await {
        Ok(bytes) => bytes,
        Err(OpenError::Shredded { .. }) => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    match std::str::from_utf8(&bytes) {
        Ok(text) => Ok(Some(Zeroizing::new(text.to_owned()))),
        Err(_) => Err(Error::SecretUnreadable(OpenError::Damaged { owner })),
    }
}

/// The query of `GET /instances/{instance}/config` and of the snippets.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ShowConfig {
    /// A token by id or label; without it the newest active one.
    token: Option<String>,
    /// One of the transports that the instance offers; without it the preferred one.
    transport: Option<RemoteTransport>,
}

/// `GET /instances/{instance}/config`
pub(crate) async fn show_config(
    State(app): State<App>,
    Path(reference): Path<String>,
    Query(query): Query<ShowConfig>,
) -> Result<Response, Error> {
    let instance = app.directory.find_instance(&reference)?;
    Ok(axum::Json(config(&app, &instance, query).await?).into_response())
}

/// `GET /instances/{instance}/config/snippets`
pub(crate) async fn show_snippets(
    State(app): State<App>,
    Path(reference): Path<String>,
    Query(query): Query<ShowConfig>,
) -> Result<Response, Error> {
    let instance = app.directory.find_instance(&reference)?;
    let offered = match &instance.access {
        Access::Direct(remote) => vec![remote.transport],
        Access::Hosted(_) | Access::Proxy(_) => transports(&instance.access).to_vec(),
    };
    let config = config(&app, &instance, query).await?;
    Ok(axum::Json(SnippetsDocument::new(offered, &config)).into_response())
}

async fn config(app: &App, instance: &InstanceRow, query: ShowConfig) -> Result<ClientConfig, Error> {
    let ShowConfig { token, transport } = query;
    let is_asked_for = |offered: RemoteTransport| transport.is_none_or(|transport| transport == offered);
    let not_offered = || Error::TransportNotOffered(instance.name.to_string());
    match (&instance.access, token) {
        (Access::Direct(_), Some(_)) => Err(Error::DirectHasNoTokens),
        (Access::Direct(remote), None) if is_asked_for(remote.transport) => {
            ClientConfig::direct(app, instance, remote).await
        }
        (Access::Direct(_), None) => Err(not_offered()),
        (Access::Hosted(_) | Access::Proxy(_), token) => {
            let token = match token {
                Some(token) => app.directory.find_token(instance.id, &token)?,
                None => newest_active(app, instance)?,
            };
            let way = ways(instance, &app.config.gateway_url)
                .into_iter()
                .find(|way| is_asked_for(way.transport))
                .ok_or_else(not_offered)?;
            let credential = open_credential(app, &token).await?;
            Ok(ClientConfig::with_token(instance, way, &token, &credential))
        }
    }
}

fn newest_active(app: &App, instance: &InstanceRow) -> Result<Arc<TokenRow>, Error> {
    let tokens = app.directory.tokens_of(instance.id);
    tokens
        .into_iter()
        .rfind(|token| is_active(token))
        .ok_or_else(|| Error::NoActiveToken(instance.name.to_string()))
}
