//! New credentials: of the platform's making, or of people's own.
//!
//! A custom credential is a `b64token` (RFC 6750 section 2.1), because that is what follows `Bearer`. The credential of
//! Basic is what follows the scheme: a username and a password as RFC 7617 encodes them, or any other text. How hard
//! a custom credential is to guess, nobody knows: its digest is a slow one, so that a copy of the log stays no help even
//! to somebody who also has the master key, after the sealed credential was shredded.

use domain::token::Kind;
use domain::token::credential::{Generated, RANDOM_BYTES, encode_basic, is_generated};
use domain::{Digest, InstanceId, Sealed, TokenId};
use store::Vault;
use uuid::Uuid;
use zeroize::Zeroizing;

use super::custom::{Custom, NewCredential};
use crate::error::Error;
use crate::settings::secret::SecretText;

/// The most characters of a custom credential that its masked form shows.
const SHOWN_MAX: usize = 4;

/// The shortest custom credential, in bytes.
pub(super) const CUSTOM_BYTES_MIN: usize = 16;

/// The longest custom credential, in bytes: it has to fit into one header field anywhere.
pub(super) const CUSTOM_BYTES_MAX: usize = 512;

/// The longest username, in bytes.
pub(super) const USERNAME_BYTES_MAX: usize = 128;

/// The shortest password, in characters (NIST SP 800-63B section 5.1.1.2).
pub(super) const PASSWORD_CHARS_MIN: usize = 8;

/// The longest password, in bytes.
pub(super) const PASSWORD_BYTES_MAX: usize = 256;

/// The masked form of a custom credential shows one of so many characters, from its end.
const SHOWN_OF: usize = 10;

/// Whether a text is a `b64token`.
pub(super) fn is_b64token(text: &str) -> bool {
    let body = text.trim_end_matches('=');
    !body.is_empty() && body.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._~+/".contains(&b))
}

/// A new credential as commands carry it.
pub(super) struct SealedCredential {
    pub(super) digest: Digest,
    pub(super) masked: String,
    pub(super) sealed: Sealed,
}

/// Whose a new credential is.
#[derive(Clone, Copy)]
pub(super) struct Owner {
    pub(super) token: TokenId,
    pub(super) instance: InstanceId,
    pub(super) kind: Kind,
}

impl SealedCredential {
    /// The credential that somebody brings, which keeps the rules, or a new random one.
    ///
    /// # Errors
    /// The operating system gave no random bytes, or the vault cannot seal.
    pub(super) async fn new(vault: &Vault, owner: Owner, wanted: NewCredential) -> Result<Self, Error> {
        match wanted {
            NewCredential::Random => {
                let credential = generate()?;
                Self::seal(vault, owner, credential.as_str(), credential.masked()).await
            }
            NewCredential::Value(SecretText(value)) => {
                Self::seal(vault, owner, &value, masked_custom(&value)).await
            }
            NewCredential::Basic { username, password } => {
                let credential = match password {
                    Some(SecretText(password)) => encode_basic(&username, &password),
                    None => encode_basic(&username, generate()?.as_str()),
                };
                Self::seal(vault, owner, &credential, masked_basic(&username)).await
            }
        }
    }

    async fn seal(vault: &Vault, owner: Owner, credential: &str, masked: String) -> Result<Self, Error> {
        let sealed = vault.seal(owner.token.0, credential.as_bytes()).await?;
        let digest = if is_generated(owner.kind, credential) {
            vault.digest(credential.as_bytes())
        } else {
            slow_digest(vault, owner.instance, Zeroizing::new(credential.to_owned())).await
        };
        Ok(SealedCredential { digest, masked, sealed })
    }
}

fn generate() -> Result<Generated, Error> {
    let mut random = Zeroizing::new([0; RANDOM_BYTES]);
    getrandom::fill(random.as_mut_slice()).map_err(Error::NoRandomness)?;
    Ok(Generated::from_random(&random))
}

/// What tells two requests with other custom credentials apart, and helps nobody to guess one.
pub(super) async fn fingerprint(vault: &Vault, custom: &Custom) -> Option<Digest> {
    let secret = custom.in_one()?;
    Some(slow_digest(vault, InstanceId(Uuid::nil()), secret).await)
}

/// Beside the threads that serve requests: it takes them long.
async fn slow_digest(vault: &Vault, instance: InstanceId, secret: Zeroizing<String>) -> Digest {
    let vault = vault.clone();
    let digesting = tokio::task::spawn_blocking(move || vault.slow_digest(instance, secret.as_bytes()));
    digesting.await.expect("a digest does not panic")
}

/// What lists show instead of a custom credential.
fn masked_custom(custom: &str) -> String {
    let shown = (custom.len() / SHOWN_OF).min(SHOWN_MAX);
    format!("…{}", &custom[custom.len() - shown..])
}

/// What lists show instead of a username with its password.
fn masked_basic(username: &str) -> String {
    format!("{username}:…")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_custom_credential_is_a_b64token_and_its_masked_form_keeps_it() {
        for good in ["a", "AZaz09-._~+/", "YWJjZA=="] {
            assert!(is_b64token(good), "{good}");
        }
        for bad in ["", "=", "a=b", "a b", "ä", "a\"", "a,b", "a:b"] {
            assert!(!is_b64token(bad), "{bad}");
        }
        assert_eq!(masked_custom(&"abcdefghij".repeat(2)), "…ij");
        assert_eq!(masked_custom(&"abcdefghij".repeat(50)), "…ghij");
    }
}
