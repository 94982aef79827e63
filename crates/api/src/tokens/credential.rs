//! The form of the credentials that the platform makes, and of those that people bring.
//!
//! `mcpcan_` followed by 44 characters of base62 (256 random bits, each half of 128 bits as 22 digits) and 6 more
//! (the CRC-32 of everything before them, also in base62). The prefix and the checksum let a secret scanner tell a
//! leaked token from any other text without asking anybody: `mcpcan_[0-9A-Za-z]{50}`. The checksum proves nothing
//! about the token; only the platform knows which of them it issued.
//!
//! A custom credential is a `b64token` (RFC 6750 section 2.1), because that is what follows `Bearer`. How hard it is to
//! guess, only its length tells; the digest that finds it is keyed, so whoever has the log cannot try values.

use domain::{Digest, Sealed, TokenId};
use store::Vault;
use zeroize::{Zeroize, Zeroizing};

use crate::error::Error;
use crate::settings::secret::SecretText;

const PREFIX: &str = "mcpcan_";

/// Digits of one half of the random part: 62^22 > 2^128.
const HALF_DIGITS: usize = 22;

/// Digits of the checksum: 62^6 > 2^32.
const CHECKSUM_DIGITS: usize = 6;

/// How many characters of the random part, and of the end, the masked form shows. Of 256 random bits it leaves more
/// than 200 unknown.
const SHOWN: usize = 4;

/// The shortest custom credential, in bytes.
pub(super) const CUSTOM_BYTES_MIN: usize = 20;

/// The longest custom credential, in bytes: it has to fit into one header field anywhere.
pub(super) const CUSTOM_BYTES_MAX: usize = 512;

/// The masked form of a custom credential shows one of so many characters, from its end.
const SHOWN_OF: usize = 10;

/// Whether a text is a `b64token`.
pub(super) fn is_b64token(text: &str) -> bool {
    let body = text.trim_end_matches('=');
    !body.is_empty() && body.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._~+/".contains(&b))
}

/// A credential in clear. Wiped from memory when dropped; it has no `Debug`.
struct Credential(Zeroizing<String>);

/// A new credential as commands carry it.
pub(super) struct SealedCredential {
    pub(super) digest: Digest,
    pub(super) masked: String,
    pub(super) sealed: Sealed,
}

impl SealedCredential {
    /// The credential that somebody brings, which keeps the rules, or a new random one.
    ///
    /// # Errors
    /// The operating system gave no random bytes, or the vault cannot seal.
    pub(super) async fn given_or_random(
        vault: &Vault,
        id: TokenId,
        given: Option<&SecretText>,
    ) -> Result<Self, Error> {
        match given {
            Some(SecretText(given)) => Self::seal(vault, id, given.as_bytes(), masked_custom(given)).await,
            None => Self::generate(vault, id).await,
        }
    }

    async fn generate(vault: &Vault, id: TokenId) -> Result<Self, Error> {
        let credential = Credential::generate().map_err(Error::NoRandomness)?;
        let masked = credential.masked();
        Self::seal(vault, id, credential.0.as_bytes(), masked).await
    }

    async fn seal(vault: &Vault, id: TokenId, secret: &[u8], masked: String) -> Result<Self, Error> {
        let (digest, sealed) = (vault.digest(secret), vault.seal(id.0, secret).await?);
        Ok(SealedCredential { digest, masked, sealed })
    }
}

impl Credential {
    /// A new random credential.
    ///
    /// # Errors
    /// The operating system gave no random bytes.
    fn generate() -> Result<Self, getrandom::Error> {
        let mut random = Zeroizing::new([0u8; 32]);
        getrandom::fill(random.as_mut_slice())?;
        Ok(Self::from_random(&random))
    }

    fn from_random(random: &[u8; 32]) -> Self {
        let (high, low) = random.split_at(16);
        let mut text = Zeroizing::new(PREFIX.to_owned());
        push_digits(&mut text, big_endian(high), HALF_DIGITS);
        push_digits(&mut text, big_endian(low), HALF_DIGITS);
        let checksum = crc32fast::hash(text.as_bytes());
        push_digits(&mut text, checksum.into(), CHECKSUM_DIGITS);
        Credential(text)
    }

    /// What lists show instead of the credential.
    fn masked(&self) -> String {
        let (start, end) = (&self.0[..PREFIX.len() + SHOWN], &self.0[self.0.len() - SHOWN..]);
        format!("{start}…{end}")
    }
}

/// What lists show instead of a custom credential.
fn masked_custom(custom: &str) -> String {
    let shown = (custom.len() / SHOWN_OF).min(SHOWN);
    format!("…{}", &custom[custom.len() - shown..])
}

fn big_endian(half: &[u8]) -> u128 {
    half.iter().fold(0, |number, byte| number << 8 | u128::from(*byte))
}

fn push_digits(text: &mut String, number: u128, width: usize) {
    let mut digits = base62::encode(number);
    text.extend(std::iter::repeat_n('0', width - digits.len()));
    text.push_str(&digits);
    digits.zeroize();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_credential_has_the_documented_form() {
        for random in [[0; 32], [255; 32], [7; 32], *b"0123456789abcdef0123456789abcdef"] {
            let credential = Credential::from_random(&random);
            let text = credential.0.as_str();
            assert_eq!(text.len(), 57, "{text}");
            let digits = text.strip_prefix("mcpcan_").unwrap();
            assert!(digits.bytes().all(|b| b.is_ascii_alphanumeric()), "{text}");
            let (body, checksum) = text.split_at(51);
            assert_eq!(base62::decode(checksum).unwrap(), crc32fast::hash(body.as_bytes()).into());
        }
    }

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

    #[test]
    fn no_random_bit_is_lost() {
        let random: [u8; 32] = std::array::from_fn(|i| u8::try_from(i).unwrap().wrapping_mul(37));
        let credential = Credential::from_random(&random);
        let halves = [&credential.0.as_str()[7..29], &credential.0.as_str()[29..51]];
        let back: Vec<u8> =
            halves.iter().flat_map(|half| base62::decode(half).unwrap().to_be_bytes()).collect();
        assert_eq!(back, random);
    }

    #[test]
    fn credentials_differ_and_the_masked_form_keeps_the_secret() {
        let (one, other) = (Credential::generate().unwrap(), Credential::generate().unwrap());
        assert_ne!(one.0.as_str(), other.0.as_str());
        let masked = one.masked();
        assert_eq!(masked.chars().count(), 7 + 4 + 1 + 4);
        assert!(!masked.contains(&one.0.as_str()[11..53]));
    }
}
