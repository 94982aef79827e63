//! Opens what of the log is sealed, off the request path: once per secret, not per request. `routes` and `tokens` say
//! what they wait for and take over what it was.

use std::collections::{BTreeMap, HashMap};
use std::error::Error;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use domain::Sealed;
use http::{HeaderMap, HeaderName, HeaderValue, header};
use parking_lot::Mutex;
use store::{OpenError, Vault};
use tokio::sync::Notify;
use uuid::Uuid;

use crate::refusal::Refusal;

/// How long to wait before what NATS could not give is asked for again.
const RETRY_DELAY: Duration = Duration::from_secs(1);

/// Header fields as the log has them.
#[derive(Clone, Default, PartialEq, Eq)]
pub(crate) struct SealedFields {
    pub(crate) headers: BTreeMap<String, Sealed>,
    /// A bearer token, besides the header fields.
    pub(crate) credential: Option<Sealed>,
}

impl SealedFields {
    pub(crate) fn is_empty(&self) -> bool {
        self.credential.is_none() && self.headers.is_empty()
    }
}

impl fmt::Debug for SealedFields {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SealedFields(…)")
    }
}

/// What has to be opened: whose key opens it, and what of the owner's it is. The last fields count.
#[derive(Debug, Default)]
pub(crate) struct Waiting {
    fields: Mutex<HashMap<(Uuid, Uuid), SealedFields>>,
    added: Notify,
}

impl Waiting {
    pub(crate) fn add(&self, owner: Uuid, part: Uuid, fields: SealedFields) {
        self.fields.lock().insert((owner, part), fields);
        self.added.notify_one();
    }

    /// Takes one out, in no order.
    pub(crate) fn take(&self) -> Option<((Uuid, Uuid), SealedFields)> {
        let mut fields = self.fields.lock();
        let key = fields.keys().next().copied()?;
        fields.remove_entry(&key)
    }
}

/// Somebody who waits for header fields.
pub(crate) trait Awaits {
    fn waiting(&self) -> &Waiting;

    /// Takes over opened fields, unless nobody waits for them any more.
    fn open(&self, owner: Uuid, part: Uuid, fields: &SealedFields, opened: Result<HeaderMap, Refusal>);
}

/// Opens whatever is asked for. Ends only when it is dropped.
pub(crate) async fn run(awaits: Arc<impl Awaits>, vault: Vault) {
    loop {
        open_waiting(&*awaits, &vault).await;
        awaits.waiting().added.notified().await;
    }
}

/// Opens what is asked for now. A gateway that is ready has nothing left to open.
pub(crate) async fn open_waiting(awaits: &impl Awaits, vault: &Vault) {
    while let Some(((owner, part), fields)) = awaits.waiting().take() {
        match open_fields(vault, owner, &fields).await {
            Ok(opened) => awaits.open(owner, part, &fields, Ok(opened)),
            Err(FieldsError::Open(OpenError::Unavailable(error))) => {
                tracing::warn!(error = &error as &dyn Error, %owner, "open header fields, trying again");
                // Newer fields that have come in the meantime count.
                awaits.waiting().fields.lock().entry((owner, part)).or_insert(fields);
                tokio::time::sleep(RETRY_DELAY).await;
            }
            Err(error) => {
                tracing::error!(error = &error as &dyn Error, %owner, "open header fields");
                awaits.open(owner, part, &fields, Err(Refusal::UpstreamMisconfigured));
            }
        }
    }
}

#[derive(Debug, thiserror::Error)]
enum FieldsError {
    #[error("open a header value")]
    Open(#[source] OpenError),
    #[error("`{0}` is no header name, or its value is no header value")]
    Invalid(String),
}

async fn open_fields(vault: &Vault, owner: Uuid, fields: &SealedFields) -> Result<HeaderMap, FieldsError> {
    let mut headers = HeaderMap::with_capacity(fields.headers.len() + 1);
    for (name, sealed) in &fields.headers {
        let value = open_value(vault, owner, name, "", sealed).await?;
        let name = name.parse::<HeaderName>().map_err(|_| FieldsError::Invalid(name.clone()))?;
        headers.insert(name, value);
    }
    if let Some(sealed) = &fields.credential {
        let value = open_value(vault, owner, header::AUTHORIZATION.as_str(), "Bearer ", sealed).await?;
        headers.insert(header::AUTHORIZATION, value);
    }
    Ok(headers)
}

async fn open_value(
    vault: &Vault,
    owner: Uuid,
    name: &str,
    prefix: &str,
    sealed: &Sealed,
) -> Result<HeaderValue, FieldsError> {
    let secret = vault.open(owner, sealed).await.map_err(FieldsError::Open)?;
    let value = [prefix.as_bytes(), &secret].concat();
    let mut value = HeaderValue::try_from(value).map_err(|_| FieldsError::Invalid(name.to_owned()))?;
    value.set_sensitive(true);
    Ok(value)
}
