//! Access tokens by client credentials (RFC 6749, section 4.4): got when a call needs one, kept until shortly before they end.

use std::collections::HashMap;
use std::time::Duration;

use openapi::{Content, Request, RequestBody};
use serde::Deserialize;
use tokio::sync::Mutex;
use tokio::time::Instant;
use url::form_urlencoded;

use super::backend::Backend;

/// A token is not used any more when it has only this long to live.
const MARGIN: Duration = Duration::from_secs(30);
/// How long a token is kept whose server does not say how long it lives.
const LIFE_UNKNOWN: Duration = Duration::from_secs(300);
/// The longest that a token is kept, whatever its server says.
const LIFE_MAX: Duration = Duration::from_secs(24 * 3600);

#[derive(Default)]
pub(super) struct Tokens {
    kept: Mutex<HashMap<(String, String), (String, Instant)>>,
}

#[derive(Deserialize)]
struct Granted {
    access_token: String,
    expires_in: Option<u64>,
}

impl Tokens {
    /// A token for a scheme's scopes.
    ///
    /// # Errors
    /// There is none; says why, without the credential.
    pub(super) async fn get(
        &self,
        backend: &Backend,
        token_url: &str,
        credential: &str,
        scopes: &[String],
    ) -> Result<String, String> {
        let key = (token_url.to_owned(), scopes.join(" "));
        // Held while a token is got: calls that need the same one wait for it instead of asking beside.
        let mut kept = self.kept.lock().await;
        if let Some((token, until)) = kept.get(&key)
            && *until > Instant::now()
        {
            return Ok(token.clone());
        }
        let granted = ask(backend, token_url, credential, &key.1).await?;
        let life = granted.expires_in.map_or(LIFE_UNKNOWN, Duration::from_secs).min(LIFE_MAX);
        let until = Instant::now() + life.saturating_sub(MARGIN);
        kept.insert(key, (granted.access_token.clone(), until));
        Ok(granted.access_token)
    }

    /// Forgets a scheme's tokens: the API does not take one of them any more.
    pub(super) async fn forget(&self, token_url: &str) {
        self.kept.lock().await.retain(|(url, _), _| url != token_url);
    }
}

async fn ask(backend: &Backend, token_url: &str, credential: &str, scopes: &str) -> Result<Granted, String> {
    let (id, secret) = credential.split_once(':').unwrap_or((credential, ""));
    let mut form = form_urlencoded::Serializer::new(String::new());
    form.append_pair("grant_type", "client_credentials");
    if !scopes.is_empty() {
        form.append_pair("scope", scopes);
    }
    let body = Content::Bytes(form.finish().into_bytes());
    let mut request = Request {
        method: "POST".to_owned(),
        url: token_url.to_owned(),
        headers: vec![("accept".to_owned(), "application/json".to_owned())],
        body: RequestBody::Whole("application/x-www-form-urlencoded".to_owned(), body),
    };
    // Id and secret are encoded like a form first (RFC 6749, section 2.3.1).
    let encoded = |text: &str| form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>();
    let basic = openapi::Scheme { kind: openapi::SchemeKind::Basic };
    openapi::apply(&mut request, &basic, &format!("{}:{}", encoded(id), encoded(secret)))?;
    let received = backend.send(request).await.map_err(|reason| format!("no access token: {reason}"))?;
    if received.status != 200 {
        return Err(format!("no access token: its server answers with HTTP {}", received.status));
    }
    serde_json::from_slice(&received.body)
        .map_err(|_| "no access token: its server answers something else".to_owned())
}
