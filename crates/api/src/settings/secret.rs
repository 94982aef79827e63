//! Values that may be credentials: in clear only between the request and the vault.

use std::collections::BTreeMap;
use std::fmt;

use domain::Sealed;
use domain::instance::Access;
use serde::{Deserialize, Serialize};
use store::Vault;
use uuid::Uuid;
use zeroize::Zeroizing;

use crate::error::Error;

/// A value that may be a credential. Serialized only into the request's keyed fingerprint.
#[derive(Deserialize, Serialize)]
#[serde(transparent)]
pub(crate) struct SecretText(pub(crate) Zeroizing<String>);

impl fmt::Debug for SecretText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretText(…)")
    }
}

impl SecretText {
    /// What is as long as the sealed secret, and holds nothing.
    pub(super) fn outline(&self) -> Sealed {
        Sealed("-".repeat(Vault::sealed_bytes(self.0.len())))
    }
}

/// Values by their names.
pub(crate) type Secrets = BTreeMap<String, SecretText>;

/// Seals every value under the key of an owner.
///
/// # Errors
/// The vault cannot be reached.
pub(crate) async fn seal_all(
    secrets: Secrets,
    owner: Uuid,
    vault: &Vault,
) -> Result<BTreeMap<String, Sealed>, Error> {
    let mut sealed = BTreeMap::new();
    for (name, SecretText(secret)) in secrets {
        sealed.insert(name, vault.seal(owner, secret.as_bytes()).await?);
    }
    Ok(sealed)
}

/// Seals those values that are set; the others are taken away.
///
/// # Errors
/// The vault cannot be reached.
pub(crate) async fn seal_some(
    secrets: BTreeMap<String, Option<SecretText>>,
    owner: Uuid,
    vault: &Vault,
) -> Result<BTreeMap<String, Option<Sealed>>, Error> {
    let mut sealed = BTreeMap::new();
    for (name, secret) in secrets {
        let value = match secret {
            Some(SecretText(secret)) => Some(vault.seal(owner, secret.as_bytes()).await?),
            None => None,
        };
        sealed.insert(name, value);
    }
    Ok(sealed)
}

/// Takes settings over from one owner to another: neither can read what the other learns later.
///
/// # Errors
/// The vault cannot be reached, or the first owner's key is gone.
pub(crate) async fn reseal(mut access: Access, from: Uuid, to: Uuid, vault: &Vault) -> Result<Access, Error> {
    let mut secrets = vec![];
    for sealed in access.secrets().values() {
        secrets.push(vault.open(from, sealed).await?);
    }
    // Only when all of them are open is a key made.
    for (sealed, secret) in access.secrets_mut().values_mut().zip(secrets) {
        *sealed = vault.seal(to, &secret).await?;
    }
    Ok(access)
}
