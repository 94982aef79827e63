//! Opens what of an upstream is sealed, off the request path: once per upstream, not per request.

use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use domain::{InstanceId, Sealed};
use http::{HeaderMap, HeaderName, HeaderValue, header};
use store::{OpenError, Vault};

use super::{Routes, SealedUpstream};
use crate::refusal::Refusal;

/// How long to wait before what NATS could not give is asked for again.
const RETRY_DELAY: Duration = Duration::from_secs(1);

/// Opens whatever `routes` asks for. Ends only when it is dropped.
pub(crate) async fn run(routes: Arc<Routes>, vault: Vault) {
    loop {
        open_waiting(&routes, &vault).await;
        routes.sealed_added.notified().await;
    }
}

/// Opens what `routes` asks for now. A gateway that is ready has nothing left to open.
pub(crate) async fn open_waiting(routes: &Routes, vault: &Vault) {
    while let Some((id, upstream)) = next(routes) {
        match open_headers(vault, id, &upstream).await {
            Ok(headers) => routes.open(id, upstream, Ok(headers)),
            Err(HeadersError::Open(OpenError::Unavailable(error))) => {
                tracing::warn!(error = &error as &dyn Error, instance = %id, "open an upstream, trying again");
                // A newer upstream that has come in the meantime counts.
                routes.sealed.lock().entry(id).or_insert(upstream);
                tokio::time::sleep(RETRY_DELAY).await;
            }
            Err(error) => {
                tracing::error!(error = &error as &dyn Error, instance = %id, "open an upstream");
                routes.open(id, upstream, Err(Refusal::UpstreamMisconfigured));
            }
        }
    }
}

fn next(routes: &Routes) -> Option<(InstanceId, SealedUpstream)> {
    let mut sealed = routes.sealed.lock();
    let id = sealed.keys().next().copied()?;
    sealed.remove_entry(&id)
}

#[derive(Debug, thiserror::Error)]
enum HeadersError {
    #[error("open a header value")]
    Open(#[source] OpenError),
    #[error("`{0}` is no header name, or its value is no header value")]
    Invalid(String),
}

async fn open_headers(
    vault: &Vault,
    id: InstanceId,
    upstream: &SealedUpstream,
) -> Result<HeaderMap, HeadersError> {
    let mut headers = HeaderMap::with_capacity(upstream.headers.len() + 1);
    for (name, sealed) in &upstream.headers {
        let value = open_value(vault, id, name, "", sealed).await?;
        let name = name.parse::<HeaderName>().map_err(|_| HeadersError::Invalid(name.clone()))?;
        headers.insert(name, value);
    }
    if let Some(sealed) = &upstream.credential {
        let value = open_value(vault, id, header::AUTHORIZATION.as_str(), "Bearer ", sealed).await?;
        headers.insert(header::AUTHORIZATION, value);
    }
    Ok(headers)
}

async fn open_value(
    vault: &Vault,
    id: InstanceId,
    name: &str,
    prefix: &str,
    sealed: &Sealed,
) -> Result<HeaderValue, HeadersError> {
    let secret = vault.open(id.0, sealed).await.map_err(HeadersError::Open)?;
    let value = [prefix.as_bytes(), &secret].concat();
    let mut value = HeaderValue::try_from(value).map_err(|_| HeadersError::Invalid(name.to_owned()))?;
    value.set_sensitive(true);
    Ok(value)
}
