//! The form of the credentials that the platform makes, which tells them from those that people make up.
//!
//! `mcpcan_` followed by 44 characters of base62 (256 random bits, each half of 128 bits as 22 digits) and 6 more
//! (the CRC-32 of everything before them, also in base62). The prefix and the checksum let a secret scanner tell a
//! leaked token from any other text without asking anybody: `mcpcan_[0-9A-Za-z]{50}`. The checksum proves nothing
//! about the token; only the platform knows which of them it issued.
//!
//! A credential of this form cannot be guessed, so a fast keyed digest finds it. How hard another one is to guess,
//! nobody knows: its digest is a slow one. Whoever makes or looks up a digest asks [`is_generated`].

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use zeroize::{Zeroize, Zeroizing};

use super::Kind;

/// How many random bytes a credential is made of.
pub const RANDOM_BYTES: usize = 32;

const PREFIX: &str = "mcpcan_";

/// Digits of one half of the random part: 62^22 > 2^128.
const HALF_DIGITS: usize = 22;

/// Digits of the checksum: 62^6 > 2^32.
const CHECKSUM_DIGITS: usize = 6;

/// How many characters of the random part, and of the end, the masked form shows. Of 256 random bits it leaves more
/// than 200 unknown.
const SHOWN: usize = 4;

/// A credential of the platform's making, in clear. Wiped from memory when dropped; it has no `Debug`.
pub struct Generated(Zeroizing<String>);

impl Generated {
    /// The credential that these random bytes make.
    pub fn from_random(random: &[u8; RANDOM_BYTES]) -> Self {
        let (high, low) = random.split_at(RANDOM_BYTES / 2);
        let mut text = Zeroizing::new(PREFIX.to_owned());
        push_digits(&mut text, big_endian(high), HALF_DIGITS);
        push_digits(&mut text, big_endian(low), HALF_DIGITS);
        let checksum = checksum(&text);
        text.push_str(&checksum);
        Generated(text)
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// What lists show instead of the credential.
    pub fn masked(&self) -> String {
        let (start, end) = (&self.0[..PREFIX.len() + SHOWN], &self.0[self.0.len() - SHOWN..]);
        format!("{start}…{end}")
    }
}

/// Whether a credential, as it is presented, has the form of the platform's own; one of Basic, whether its password has.
pub fn is_generated(kind: Kind, credential: &str) -> bool {
    match kind {
        Kind::Bearer | Kind::ApiKey | Kind::XApiKey => has_the_form(credential),
        Kind::Basic => decode_basic(credential).is_some_and(|(_, password)| has_the_form(&password)),
    }
}

/// A username and a password as RFC 7617 section 2 encodes them.
pub fn encode_basic(username: &str, password: &str) -> Zeroizing<String> {
    let pair = Zeroizing::new(format!("{username}:{password}"));
    Zeroizing::new(STANDARD.encode(pair.as_bytes()))
}

/// The username and the password in a credential of Basic, if RFC 7617 encodes them.
pub fn decode_basic(credential: &str) -> Option<(String, Zeroizing<String>)> {
    let pair = Zeroizing::new(STANDARD.decode(credential).ok()?);
    let (username, password) = std::str::from_utf8(&pair).ok()?.split_once(':')?;
    Some((username.to_owned(), Zeroizing::new(password.to_owned())))
}

fn has_the_form(text: &str) -> bool {
    let body_bytes = PREFIX.len() + 2 * HALF_DIGITS;
    let Some((body, end)) = text.split_at_checked(body_bytes) else { return false };
    let is_base62 = |digits: &str| digits.bytes().all(|byte| byte.is_ascii_alphanumeric());
    body.strip_prefix(PREFIX).is_some_and(is_base62) && end == checksum(body).as_str()
}

fn checksum(text: &str) -> Zeroizing<String> {
    let mut digits = Zeroizing::new(String::with_capacity(CHECKSUM_DIGITS));
    push_digits(&mut digits, crc32fast::hash(text.as_bytes()).into(), CHECKSUM_DIGITS);
    digits
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
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn every_credential_has_the_documented_form() {
        for random in [[0; 32], [255; 32], [7; 32], *b"0123456789abcdef0123456789abcdef"] {
            let credential = Generated::from_random(&random);
            let text = credential.as_str();
            assert_eq!(text.len(), 57, "{text}");
            let digits = text.strip_prefix("mcpcan_").unwrap();
            assert!(digits.bytes().all(|b| b.is_ascii_alphanumeric()), "{text}");
            let (body, checksum) = text.split_at(51);
            assert_eq!(base62::decode(checksum).unwrap(), crc32fast::hash(body.as_bytes()).into());
            let masked = credential.masked();
            assert_eq!(masked.chars().count(), 7 + 4 + 1 + 4);
            assert!(!masked.contains(&text[11..53]));
        }
    }

    #[test]
    fn no_random_bit_is_lost() {
        let random: [u8; 32] = std::array::from_fn(|i| u8::try_from(i).unwrap().wrapping_mul(37));
        let credential = Generated::from_random(&random);
        let halves = [&credential.as_str()[7..29], &credential.as_str()[29..51]];
        let back: Vec<u8> =
            halves.iter().flat_map(|half| base62::decode(half).unwrap().to_be_bytes()).collect();
        assert_eq!(back, random);
    }

    #[test]
    fn only_the_platforms_own_form_is_told_apart() {
        let credential = Generated::from_random(&[7; 32]);
        let text = credential.as_str();
        assert!(is_generated(Kind::Bearer, text) && is_generated(Kind::XApiKey, text));
        assert!(is_generated(Kind::Basic, &encode_basic("ann", text)));
        assert!(!is_generated(Kind::Basic, text) && !is_generated(Kind::Bearer, &encode_basic("ann", text)));
        for other in [text.replacen('m', "n", 1), text[..56].to_owned(), format!("{text}0"), String::new()] {
            assert!(!is_generated(Kind::Bearer, &other), "{other}");
        }
    }

    proptest! {
        #[test]
        fn another_character_anywhere_is_another_form(random: [u8; 32], at in 0..57_usize, by in 1..62_u8) {
            let mut text = Generated::from_random(&random).as_str().to_owned().into_bytes();
            let digits = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
            let old = digits.iter().position(|digit| *digit == text[at]).unwrap_or(0);
            text[at] = digits[(old + usize::from(by)) % digits.len()];
            prop_assert!(!is_generated(Kind::ApiKey, std::str::from_utf8(&text).unwrap()));
        }

        #[test]
        fn a_pair_is_decoded_as_it_was_encoded(username in "[^:]{0,20}", password in ".{0,20}", junk in ".{0,40}") {
            let (name, secret) = decode_basic(&encode_basic(&username, &password)).unwrap();
            prop_assert_eq!((name, &**secret), (username, &*password));
            is_generated(Kind::Basic, &junk);
            is_generated(Kind::Bearer, &junk);
        }
    }
}
