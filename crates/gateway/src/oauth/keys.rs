//! The keys of issuers, fetched in the background: no request ever waits for one. The rules on upstream addresses hold
//! here, too, and redirects are not followed.

use std::collections::HashMap;
use std::error::Error;
use std::sync::{Arc, Weak};
use std::time::Duration;

use bytes::Bytes;
use domain::instance::Authorization;
use http::{Request, StatusCode, Uri};
use http_body_util::{BodyExt, Full, Limited};
use jsonwebtoken::jwk::{AlgorithmParameters, Jwk, PublicKeyUse};
use jsonwebtoken::{Algorithm, DecodingKey};
use parking_lot::{Mutex, RwLock};
use serde::Deserialize;
use serde_json::Value;
use tokio::sync::Notify;
use tokio::task::JoinSet;
use url::Url;

use crate::upstream::Client;

/// How often keys are fetched anew, in case the issuer has others.
const REFRESH_INTERVAL: Duration = Duration::from_secs(300);
/// How soon they may be fetched again, whoever asks: a key that is not known may be anybody's invention.
const REFRESH_PAUSE: Duration = Duration::from_secs(5);
/// How long a document may take.
const FETCH_WAIT_MAX: Duration = Duration::from_secs(10);
/// The largest document, in bytes.
const DOCUMENT_BYTES_MAX: usize = 256 * 1024;
/// How many keys of an issuer are kept.
const KEYS_MAX: usize = 64;

/// All issuers that some instance names.
#[derive(Default)]
pub(crate) struct Issuers {
    known: Mutex<HashMap<Name, Weak<Issuer>>>,
    /// Those whose keys nobody fetches yet.
    new: Mutex<Vec<Arc<Issuer>>>,
    added: Notify,
}

/// The issuer's identifier, and where its keys are if that is configured.
type Name = (String, Option<String>);

impl Issuers {
    /// The issuer that an instance names.
    pub(super) fn get(&self, authorization: &Authorization) -> Arc<Issuer> {
        let name = (authorization.issuer.clone(), authorization.jwks_url.clone());
        let mut known = self.known.lock();
        if let Some(issuer) = known.get(&name).and_then(Weak::upgrade) {
            return issuer;
        }
        known.retain(|_, issuer| issuer.strong_count() > 0);
        let issuer = Arc::new(Issuer { name: name.clone(), keys: RwLock::default(), wanted: Arc::default() });
        known.insert(name, Arc::downgrade(&issuer));
        self.new.lock().push(issuer.clone());
        self.added.notify_one();
        issuer
    }
}

impl std::fmt::Debug for Issuers {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Issuers(…)")
    }
}

/// An authorization server and its keys.
pub(crate) struct Issuer {
    name: Name,
    keys: RwLock<Option<Arc<Keys>>>,
    wanted: Arc<Notify>,
}

impl Issuer {
    /// Its keys; none until they were fetched once.
    pub(super) fn keys(&self) -> Option<Arc<Keys>> {
        self.keys.read().clone()
    }

    /// Asks for its keys to be fetched again soon.
    pub(super) fn look_again(&self) {
        self.wanted.notify_one();
    }
}

/// The public keys of an issuer.
#[derive(Default)]
pub(super) struct Keys {
    keys: Vec<Key>,
    /// Counts how often they were others.
    pub(super) generation: u64,
    source: Value,
}

struct Key {
    id: Option<String>,
    algorithm: Option<Algorithm>,
    key: DecodingKey,
}

impl Keys {
    /// The keys that may have made a signature.
    pub(super) fn of(&self, id: Option<&str>, algorithm: Algorithm) -> impl Iterator<Item = &DecodingKey> {
        let may_be = move |key: &&Key| {
            id.is_none_or(|id| key.id.as_deref().is_none_or(|known| known == id))
                && key.algorithm.is_none_or(|known| known == algorithm)
        };
        self.keys.iter().filter(may_be).map(|key| &key.key)
    }
}

/// Fetches the keys of all issuers. Ends only when it is dropped.
pub(crate) async fn run(issuers: Arc<Issuers>, client: Client<Full<Bytes>>) {
    let mut keeping = JoinSet::new();
    loop {
        for issuer in std::mem::take(&mut *issuers.new.lock()) {
            keeping.spawn(keep(Arc::downgrade(&issuer), issuer.wanted.clone(), client.clone()));
        }
        issuers.added.notified().await;
        while keeping.try_join_next().is_some() {}
    }
}

/// Fetches the keys of one issuer for as long as an instance names it.
async fn keep(issuer: Weak<Issuer>, wanted: Arc<Notify>, client: Client<Full<Bytes>>) {
    while let Some(issuer) = issuer.upgrade() {
        let wait = match fetch(&issuer.name, &client).await {
            Ok(source) => {
                replace(&issuer, source);
                REFRESH_INTERVAL
            }
            Err(error) => {
                let error = error.as_ref() as &dyn Error;
                tracing::warn!(error, issuer = issuer.name.0, "fetch the keys of an issuer");
                REFRESH_PAUSE
            }
        };
        drop(issuer);
        tokio::time::sleep(REFRESH_PAUSE).await;
        let _ = tokio::time::timeout(wait.saturating_sub(REFRESH_PAUSE), wanted.notified()).await;
    }
}

/// Takes over a key set, unless it is the one that is known.
fn replace(issuer: &Issuer, source: Value) {
    let mut known = issuer.keys.write();
    if known.as_ref().is_some_and(|known| known.source == source) {
        return;
    }
    let generation = known.as_ref().map_or(0, |known| known.generation + 1);
    let all = source.get("keys").and_then(Value::as_array).into_iter().flatten();
    let keys = all.take(KEYS_MAX).filter_map(key).collect();
    *known = Some(Arc::new(Keys { keys, generation, source }));
}

/// A key that can check signatures; none if it is of another kind.
fn key(document: &Value) -> Option<Key> {
    let jwk: Jwk = serde_json::from_value(document.clone()).ok()?;
    let is_public = !matches!(jwk.algorithm, AlgorithmParameters::OctetKey(_));
    let signs = matches!(jwk.common.public_key_use, None | Some(PublicKeyUse::Signature));
    let key = DecodingKey::from_jwk(&jwk).ok().filter(|_| is_public && signs)?;
    let algorithm = match jwk.common.key_algorithm {
        Some(algorithm) => Some(algorithm.to_string().parse().ok()?),
        None => None,
    };
    Some(Key { id: jwk.common.key_id, algorithm, key })
}

type FetchError = Box<dyn Error + Send + Sync>;

/// An issuer's metadata, as far as it counts here (RFC 8414 section 2).
#[derive(Deserialize)]
struct Metadata {
    issuer: String,
    jwks_uri: String,
}

async fn fetch((issuer, jwks_url): &Name, client: &Client<Full<Bytes>>) -> Result<Value, FetchError> {
    let url = match jwks_url {
        Some(url) => url.clone(),
        None => discover(issuer, client).await?,
    };
    let set: Value = get(&url, client).await?;
    if !set.get("keys").is_some_and(Value::is_array) {
        return Err("the document is no JSON Web Key Set (RFC 7517 section 5)".into());
    }
    Ok(set)
}

/// Where an issuer's keys are, by its own word.
async fn discover(issuer: &str, client: &Client<Full<Bytes>>) -> Result<String, FetchError> {
    let mut last: FetchError = "the issuer is no url".into();
    for url in metadata_urls(issuer) {
        match get::<Metadata>(&url, client).await {
            // RFC 8414 section 3.3: another's metadata would bring another's keys.
            Ok(metadata) if metadata.issuer != issuer => last = "the metadata is another issuer's".into(),
            Ok(metadata) => return Ok(metadata.jwks_uri),
            Err(error) => last = error,
        }
    }
    Err(last)
}

/// Where an issuer's metadata may be, in the order in which MCP asks for it (2025-11-25, Authorization Server Metadata
/// Discovery).
fn metadata_urls(issuer: &str) -> Vec<String> {
    let Ok(url) = issuer.parse::<Url>() else { return vec![] };
    let origin = url.origin().ascii_serialization();
    let path = url.path().trim_end_matches('/');
    let mut urls = vec![
        format!("{origin}/.well-known/oauth-authorization-server{path}"),
        format!("{origin}/.well-known/openid-configuration{path}"),
    ];
    if !path.is_empty() {
        urls.push(format!("{origin}{path}/.well-known/openid-configuration"));
    }
    urls
}

async fn get<T: serde::de::DeserializeOwned>(
    url: &str,
    client: &Client<Full<Bytes>>,
) -> Result<T, FetchError> {
    let uri: Uri = url.parse()?;
    if !matches!(uri.scheme_str(), Some("http" | "https")) {
        return Err("only http and https are fetched".into());
    }
    let request = Request::get(uri).header("accept", "application/json").body(Full::default())?;
    let fetching = async {
        let answer = client.request(request).await?;
        if answer.status() != StatusCode::OK {
            return Err(FetchError::from(format!("{url} answers {}", answer.status())));
        }
        let body = Limited::new(answer.into_body(), DOCUMENT_BYTES_MAX).collect().await?;
        Ok(serde_json::from_slice(&body.to_bytes())?)
    };
    tokio::time::timeout(FETCH_WAIT_MAX, fetching).await?
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn metadata_is_looked_for_where_issuers_put_it() {
        assert_eq!(
            metadata_urls("https://issuer.example/tenant"),
            [
                "https://issuer.example/.well-known/oauth-authorization-server/tenant",
                "https://issuer.example/.well-known/openid-configuration/tenant",
                "https://issuer.example/tenant/.well-known/openid-configuration",
            ]
        );
        assert_eq!(metadata_urls("https://issuer.example/").len(), 2);
        assert!(metadata_urls("nonsense").is_empty());
    }

    #[test]
    fn only_public_keys_for_signatures_are_kept() {
        let rsa = json!({"kty": "RSA", "kid": "a", "n": "AQAB", "e": "AQAB"});
        assert!(key(&rsa).is_some_and(|key| key.id.as_deref() == Some("a")));
        for other in [
            json!({"kty": "oct", "kid": "a", "k": "c2VjcmV0"}),
            json!({"kty": "RSA", "use": "enc", "n": "AQAB", "e": "AQAB"}),
            json!({"kty": "of another world"}),
            json!(7),
        ] {
            assert!(key(&other).is_none(), "{other}");
        }
    }
}
