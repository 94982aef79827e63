//! The form of the credentials that the platform makes.
//!
//! `mcpcan_` followed by 44 characters of base62 (256 random bits, each half of 128 bits as 22 digits) and 6 more
//! (the CRC-32 of everything before them, also in base62). The prefix and the checksum let a secret scanner tell a
//! leaked token from any other text without asking anybody: `mcpcan_[0-9A-Za-z]{50}`. The checksum proves nothing
//! about the token; only the platform knows which of them it issued.

use domain::{Digest, Sealed, TokenId};
use store::Vault;
use zeroize::{Zeroize, Zeroizing};

use crate::error::Error;

const PREFIX: &str = "mcpcan_";

/// Digits of one half of the random part: 62^22 > 2^128.
const HALF_DIGITS: usize = 22;

/// Digits of the checksum: 62^6 > 2^32.
const CHECKSUM_DIGITS: usize = 6;

/// How many characters of the random part, and of the end, the masked form shows. Of 256 random bits it leaves more
/// than 200 unknown.
const SHOWN: usize = 4;

/// A credential in clear. Wiped from memory when dropped; it has no `Debug`.
struct Credential(Zeroizing<String>);

/// A new credential as commands carry it.
pub(super) struct SealedCredential {
    pub(super) digest: Digest,
    pub(super) masked: String,
    pub(super) sealed: Sealed,
}

impl SealedCredential {
    /// A new random credential of a token.
    ///
    /// # Errors
    /// The operating system gave no random bytes, or the vault cannot seal.
    pub(super) async fn generate(vault: &Vault, id: TokenId) -> Result<Self, Error> {
        let credential = Credential::generate().map_err(Error::NoRandomness)?;
        let secret = credential.0.as_bytes();
        let (digest, sealed) = (vault.digest(secret), vault.seal(id.0, secret).await?);
        Ok(SealedCredential { digest, masked: credential.masked(), sealed })
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
