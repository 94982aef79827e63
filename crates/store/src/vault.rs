//! Sealed secrets.
//!
//! Each owner (an aggregate) has a random key of its own. The key lies in the bucket `keys`, wrapped by a key that
//! is derived from the platform's master key; the secret lies in the log, sealed by the owner's key. Deleting the
//! owner's key makes every copy of its secrets unreadable. Both are XChaCha20-Poly1305 with the owner's id as
//! associated data, so that a sealed value cannot be passed off as another's.

mod keys;
mod session;
mod slow_digest;

pub use keys::Keys;

use std::fmt;
use std::io::Write as _;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chacha20poly1305::aead::{Aead, KeyInit, Payload};
use chacha20poly1305::{XChaCha20Poly1305, XNonce};
use domain::{Digest, Sealed};
use uuid::Uuid;
use zeroize::Zeroizing;

use crate::chain::ChainKey;
use crate::error::Unavailable;

/// The mode of the master key's file: its owner reads and writes it.
const KEY_MODE: u32 = 0o600;
/// The permissions of everybody else.
const OTHERS_MODE: u32 = 0o077;
/// The permissions among the bits of a mode.
const MODE: u32 = 0o777;

const KEY_BYTES: usize = 32;
const NONCE_BYTES: usize = 24;
/// What authenticates a sealed message.
const TAG_BYTES: usize = 16;
/// What a sealed text begins with: names its form.
const SEALED_PREFIX: &str = "s1.";

/// What the derived keys are for (BLAKE3 key derivation contexts: global, unique, never changed).
const WRAPPING_CONTEXT: &str = "mcpcan 2026-11-21 wrapping of secret keys v1";
const DIGEST_CONTEXT: &str = "mcpcan 2026-11-21 digests of credentials v1";
const SLOW_DIGEST_CONTEXT: &str = "mcpcan 2026-11-21 slow digests of credentials v1";
const SESSION_CONTEXT: &str = "mcpcan 2026-11-21 sealing of session ids v1";
const CHAIN_CONTEXT: &str = "mcpcan 2026-11-21 hash chain over the log v1";
const FINGERPRINT_CONTEXT: &str = "mcpcan 2026-11-21 fingerprint of the master key v1";

/// How many bytes of a digest name a master key: enough to tell two apart.
const FINGERPRINT_BYTES: usize = 16;

type Key = Zeroizing<[u8; KEY_BYTES]>;

/// The platform's master key: 256 random bits, kept in a file that only its owner reads.
#[derive(Clone)]
pub struct MasterKey(Key);

impl fmt::Debug for MasterKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MasterKey(…)")
    }
}

/// The master key's file is not what it should be.
#[derive(Debug, thiserror::Error)]
pub enum MasterKeyError {
    #[error("read or make master key file {path}")]
    File {
        path: PathBuf,
        #[source]
        source: std::io::Error,
    },
    #[error("master key file {path} does not hold 64 hexadecimal digits")]
    Malformed { path: PathBuf },
    #[error("master key file {path} has mode {mode:o}: take it from others with `chmod 600`")]
    Exposed { path: PathBuf, mode: u32 },
}

impl MasterKey {
    /// Reads the key, or makes one if there is no file yet (mode 0600).
    ///
    /// # Errors
    /// The file cannot be read or made, or holds something else.
    pub fn load_or_create(path: &Path) -> Result<Self, MasterKeyError> {
        let file_error = |source| MasterKeyError::File { path: path.to_owned(), source };
        match std::fs::read_to_string(path) {
            Ok(text) => {
                let mode = std::fs::metadata(path).map_err(file_error)?.permissions().mode();
                if mode & OTHERS_MODE != 0 {
                    return Err(MasterKeyError::Exposed { path: path.to_owned(), mode: mode & MODE });
                }
                Self::parse(&Zeroizing::new(text))
                    .ok_or_else(|| MasterKeyError::Malformed { path: path.to_owned() })
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                Self::create(path).map_err(file_error)
            }
            Err(error) => Err(file_error(error)),
        }
    }

    /// Makes a key that is on disk, whole, before anything is sealed under it: a process killed half-way leaves no
    /// half a key, and a power cut does not take it from under what it sealed.
    fn create(path: &Path) -> std::io::Result<Self> {
        let key = MasterKey(random_key());
        let text = Zeroizing::new(format!("{}\n", blake3::Hash::from_bytes(*key.0).to_hex()));
        let draft = path.with_extension(format!("draft-{}", std::process::id()));
        let options = &mut std::fs::OpenOptions::new();
        let mut file = options.write(true).create(true).truncate(true).mode(KEY_MODE).open(&draft)?;
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        // A link fails if somebody else has made a key in the meantime; renaming would put ours over theirs.
        let linked = std::fs::hard_link(&draft, path);
        std::fs::remove_file(&draft)?;
        linked?;
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
        std::fs::File::open(folder.unwrap_or(Path::new(".")))?.sync_all()?;
        Ok(key)
    }

    fn parse(text: &str) -> Option<Self> {
        let key = blake3::Hash::from_hex(text.trim_end()).ok()?;
        Some(MasterKey(Zeroizing::new(*key.as_bytes())))
    }
}

/// Why a sealed secret cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    #[error(transparent)]
    Unavailable(#[from] Unavailable),
    /// The owner was revoked or deleted.
    #[error("the key of {owner} was shredded")]
    Shredded { owner: Uuid },
    /// There never was one here: the log was imported without its keys.
    #[error("the key of {owner} is not here: the log was imported without keys")]
    Missing { owner: Uuid },
    /// Another master key, another owner, or damage.
    #[error("the sealed secret of {owner} does not open: is the master key the one it was sealed under?")]
    Damaged { owner: Uuid },
}

/// Seals and opens secrets, and digests credentials: what the master key is needed for. Cheap to clone.
#[derive(Clone)]
pub struct Vault {
    keys: Keys,
    wrapping: Key,
    digesting: Key,
    slow_digesting: Key,
    sessions: Key,
    chain: ChainKey,
    fingerprint: String,
}

impl fmt::Debug for Vault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Vault(…)")
    }
}

impl Vault {
    pub(crate) fn new(master: &MasterKey, keys: Keys) -> Self {
        let fingerprint =
            blake3::Hash::from_bytes(blake3::derive_key(FINGERPRINT_CONTEXT, master.0.as_slice()));
        Vault {
            fingerprint: fingerprint.to_hex()[..2 * FINGERPRINT_BYTES].to_owned(),
            keys,
            wrapping: Zeroizing::new(blake3::derive_key(WRAPPING_CONTEXT, master.0.as_slice())),
            digesting: Zeroizing::new(blake3::derive_key(DIGEST_CONTEXT, master.0.as_slice())),
            slow_digesting: Zeroizing::new(blake3::derive_key(SLOW_DIGEST_CONTEXT, master.0.as_slice())),
            sessions: Zeroizing::new(blake3::derive_key(SESSION_CONTEXT, master.0.as_slice())),
            chain: ChainKey::new(blake3::derive_key(CHAIN_CONTEXT, master.0.as_slice())),
        }
    }

    /// What the hash chain over the log is made with.
    pub(crate) fn chain_key(&self) -> &ChainKey {
        &self.chain
    }

    /// Names the master key and gives nothing away: where it is another, secrets do not open.
    pub fn fingerprint(&self) -> &str {
        &self.fingerprint
    }

    /// The digest that a credential of high entropy is found by. Does no IO. What people may have made up gets
    /// [`Vault::slow_digest`].
    pub fn digest(&self, credential: &[u8]) -> Digest {
        Digest(blake3::keyed_hash(&self.digesting, credential).to_hex().to_string())
    }

    /// Seals a secret of an owner. The owner's key is made on first use, and never again: whoever has ended, or was
    /// refused, has nothing to keep any more.
    ///
    /// # Errors
    /// NATS did not answer, or the owner's key was shredded, or wrapped by another master key.
    pub async fn seal(&self, owner: Uuid, secret: &[u8]) -> Result<Sealed, OpenError> {
        let key = self.key_or_create(owner).await?;
        let sealed = encrypt(&key, owner, secret);
        Ok(Sealed(format!("{SEALED_PREFIX}{}", URL_SAFE_NO_PAD.encode(sealed))))
    }

    /// How long a secret of so many bytes is once it is sealed.
    pub fn sealed_bytes(secret_bytes: usize) -> usize {
        let bytes = NONCE_BYTES + secret_bytes + TAG_BYTES;
        SEALED_PREFIX.len() + (4 * bytes).div_ceil(3)
    }

    /// Opens a secret of an owner.
    ///
    /// # Errors
    /// See [`OpenError`].
    pub async fn open(&self, owner: Uuid, sealed: &Sealed) -> Result<Zeroizing<Vec<u8>>, OpenError> {
        let key = self.key(owner).await?;
        sealed
            .0
            .strip_prefix(SEALED_PREFIX)
            .and_then(|text| URL_SAFE_NO_PAD.decode(text).ok())
            .and_then(|bytes| decrypt(&key, owner, &bytes))
            .ok_or(OpenError::Damaged { owner })
    }

    async fn key_or_create(&self, owner: Uuid) -> Result<Key, OpenError> {
        match self.key(owner).await {
            Err(OpenError::Missing { .. }) => {}
            known => return known,
        }
        let key = random_key();
        let wrapped = encrypt(&self.wrapping, owner, key.as_slice());
        if self.keys.create(owner, wrapped.into()).await? {
            return Ok(key);
        }
        // Somebody else made it in the meantime: theirs counts, unless it is gone already.
        self.key(owner).await
    }

    async fn key(&self, owner: Uuid) -> Result<Key, OpenError> {
        decrypt(&self.wrapping, owner, &self.keys.wrapped(owner).await?)
            .and_then(|key| <[u8; KEY_BYTES]>::try_from(key.as_slice()).ok())
            .map(Zeroizing::new)
            .ok_or(OpenError::Damaged { owner })
    }
}

fn random_key() -> Key {
    let mut key = Zeroizing::new([0; KEY_BYTES]);
    getrandom::fill(key.as_mut_slice()).expect("the operating system gives random bytes");
    key
}

/// Nonce and ciphertext. Nonces of 192 random bits do not repeat.
fn encrypt(key: &Key, owner: Uuid, message: &[u8]) -> Vec<u8> {
    let mut nonce = [0; NONCE_BYTES];
    getrandom::fill(&mut nonce).expect("the operating system gives random bytes");
    let cipher = XChaCha20Poly1305::new(key.as_slice().into());
    let payload = Payload { msg: message, aad: owner.as_bytes() };
    let sealed = cipher
        .encrypt(XNonce::from_slice(&nonce), payload)
        .expect("a message in memory is shorter than the cipher's limit of 256 GiB");
    [nonce.as_slice(), &sealed].concat()
}

fn decrypt(key: &Key, owner: Uuid, bytes: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    let (nonce, sealed) = bytes.split_at_checked(NONCE_BYTES)?;
    let cipher = XChaCha20Poly1305::new(key.as_slice().into());
    let payload = Payload { msg: sealed, aad: owner.as_bytes() };
    cipher.decrypt(XNonce::from_slice(nonce), payload).ok().map(Zeroizing::new)
}
