//! Opens the sealed header fields of proxied instances, off the request path: once per address, not per request.

use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use domain::InstanceId;
use domain::instance::Remote;
use http::{HeaderMap, HeaderName, HeaderValue};
use store::{OpenError, Vault};

use super::Routes;
use crate::refusal::Refusal;

/// How long to wait before what NATS could not give is asked for again.
const RETRY_DELAY: Duration = Duration::from_secs(1);

/// Opens what `routes` asks for. Ends only when it is dropped.
pub(crate) async fn run(routes: Arc<Routes>, vault: Vault) {
    loop {
        let next = {
            let mut sealed = routes.sealed.lock();
            sealed.keys().next().copied().and_then(|id| sealed.remove_entry(&id))
        };
        let Some((id, remote)) = next else {
            routes.sealed_added.notified().await;
            continue;
        };
        match open_headers(&vault, id, &remote).await {
            Ok(headers) => routes.open(id, remote, Ok(headers)),
            Err(HeadersError::Open(OpenError::Unavailable(error))) => {
                tracing::warn!(error = &error as &dyn Error, instance = %id, "opening header fields, trying again");
                // A newer remote that has come in the meantime counts.
                routes.sealed.lock().entry(id).or_insert(remote);
                tokio::time::sleep(RETRY_DELAY).await;
            }
            Err(error) => {
                tracing::error!(error = &error as &dyn Error, instance = %id, "opening header fields");
                routes.open(id, remote, Err(Refusal::UpstreamMisconfigured));
            }
        }
    }
}

#[derive(Debug, thiserror::Error)]
enum HeadersError {
    #[error("open a header value")]
    Open(#[source] OpenError),
    #[error("`{0}` is no header name, or its value is no header value")]
    Invalid(String),
}

async fn open_headers(vault: &Vault, id: InstanceId, remote: &Remote) -> Result<HeaderMap, HeadersError> {
    let mut headers = HeaderMap::with_capacity(remote.headers.len());
    for (name, sealed) in &remote.headers {
        let value = vault.open(id.0, sealed).await.map_err(HeadersError::Open)?;
        let invalid = || HeadersError::Invalid(name.clone());
        let name = name.parse::<HeaderName>().map_err(|_| invalid())?;
        let mut value = HeaderValue::from_bytes(&value).map_err(|_| invalid())?;
        value.set_sensitive(true);
        headers.insert(name, value);
    }
    Ok(headers)
}
