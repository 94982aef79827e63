//! Digests of credentials that people have made up, which may be guessed.
//!
//! A digest outlives its credential: it stays in the log when the key that the credential was sealed under is shredded.
//! Whoever had the log and the master key could then try likely passwords against a fast digest, billions a second. So
//! these are Argon2id (RFC 9106), salted by the instance, under a key of the vault: each guess costs memory and time,
//! also to the gateway, which therefore remembers the credentials that it has verified.

use argon2::{Algorithm, Argon2, Params, Version};
use domain::{Digest, InstanceId};
use zeroize::Zeroizing;

use super::{KEY_BYTES, Vault};

/// The cost of one digest: what OWASP's Password Storage Cheat Sheet asks of Argon2id at least, some 20 ms. It is part
/// of the digest: another cost is another form, with another prefix.
const MEMORY_KIB: u32 = 19 * 1024;
const PASSES: u32 = 2;
const LANES: u32 = 1;

/// What a slow digest begins with. No fast one does: those are hexadecimal.
const PREFIX: &str = "argon2id1";

impl Vault {
    /// The digest that a credential which may be guessed is found by, within its instance. Does no IO and takes tens of
    /// milliseconds of processor time and 19 MiB of memory: never on a thread that others wait for.
    pub fn slow_digest(&self, instance: InstanceId, credential: &[u8]) -> Digest {
        let salt = blake3::keyed_hash(&self.slow_digesting, instance.0.as_bytes());
        // Whatever the length, Argon2 gets as much; the key comes in before and after.
        let keyed = Zeroizing::new(*blake3::keyed_hash(&self.slow_digesting, credential).as_bytes());
        let params =
            Params::new(MEMORY_KIB, PASSES, LANES, Some(KEY_BYTES)).expect("the parameters are in range");
        let mut output = Zeroizing::new([0; KEY_BYTES]);
        Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
            .hash_password_into(keyed.as_slice(), salt.as_bytes(), output.as_mut_slice())
            .expect("salt and output have lengths that Argon2 takes");
        let digest = blake3::keyed_hash(&self.slow_digesting, output.as_slice());
        Digest(format!("{PREFIX}{}", digest.to_hex()))
    }
}
