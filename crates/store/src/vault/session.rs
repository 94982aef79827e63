//! Session ids that a client holds and only the platform reads. No key of an owner and no IO: a gateway opens one with
//! each request, and any gateway with the platform's master key opens it.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chacha20poly1305::aead::{Aead, KeyInit, Payload};
use chacha20poly1305::{XChaCha20Poly1305, XNonce};

use super::{NONCE_BYTES, Vault};

/// What a sealed session id begins with: names its form.
const PREFIX: &str = "g1.";

impl Vault {
    /// Seals what a session id has to say. It opens only together with the same `context`. The text is visible ASCII.
    pub fn seal_session(&self, context: &[u8], session: &[u8]) -> String {
        let mut nonce = [0; NONCE_BYTES];
        getrandom::fill(&mut nonce).expect("the operating system gives random bytes");
        let sealed = XChaCha20Poly1305::new(self.sessions.as_slice().into())
            .encrypt(XNonce::from_slice(&nonce), Payload { msg: session, aad: context })
            .expect("a message in memory is shorter than the cipher's limit of 256 GiB");
        format!("{PREFIX}{}", URL_SAFE_NO_PAD.encode([nonce.as_slice(), &sealed].concat()))
    }

    /// Opens what [`Vault::seal_session`] has sealed; none if it was sealed in another context, or by nobody.
    pub fn open_session(&self, context: &[u8], text: &[u8]) -> Option<Vec<u8>> {
        let bytes = URL_SAFE_NO_PAD.decode(text.strip_prefix(PREFIX.as_bytes())?).ok()?;
        let (nonce, sealed) = bytes.split_at_checked(NONCE_BYTES)?;
        XChaCha20Poly1305::new(self.sessions.as_slice().into())
            .decrypt(XNonce::from_slice(nonce), Payload { msg: sealed, aad: context })
            .ok()
    }
}
