//! Digests of credentials that people have made up, which take long to make, and the memory of those that were good.
//!
//! A credential made by the platform is found by its fast digest. Anything else may be of a custom credential, whose
//! digest is slow on purpose (`store::Vault::slow_digest`): it is made off the threads that serve requests, few at a time,
//! and once per credential, because those that belong to a token are remembered. What is remembered says nothing
//! about whether the token still counts: the digest is looked up again with every request.

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use domain::{Digest, InstanceId};
use lru::LruCache;
use parking_lot::Mutex;
use store::Vault;
use tokio::sync::Semaphore;
use zeroize::Zeroizing;

use crate::refusal::Refusal;

/// How many digests are made at the same time: each takes a processor and 19 MiB for some 20 ms.
const AT_ONCE_MAX: usize = 2;
/// How many requests wait for theirs; more are told to come again.
const WAITING_MAX: usize = 64;
/// How many good credentials are remembered: about 200 bytes each.
const REMEMBERED_MAX: NonZeroUsize = NonZeroUsize::new(10_000).unwrap();
/// When to come again, in seconds.
const RETRY_AFTER: u32 = 1;

/// Names a credential in memory, under a key that is nowhere else and ends with the process.
type Name = [u8; 32];

/// Makes slow digests, and remembers those of good credentials.
pub(crate) struct Verified {
    vault: Vault,
    naming: [u8; 32],
    remembered: Mutex<LruCache<Name, Digest>>,
    permits: Arc<Semaphore>,
    waiting: AtomicUsize,
}

impl Verified {
    pub(crate) fn new(vault: Vault) -> Self {
        let mut naming = [0; 32];
        getrandom::fill(&mut naming).expect("the operating system gives random bytes");
        Self {
            vault,
            naming,
            remembered: Mutex::new(LruCache::new(REMEMBERED_MAX)),
            permits: Arc::new(Semaphore::new(AT_ONCE_MAX)),
            waiting: AtomicUsize::new(0),
        }
    }

    /// The slow digest of a credential that was good before.
    pub(crate) fn recall(&self, instance: InstanceId, credential: &str) -> Option<Digest> {
        self.remembered.lock().get(&self.name(instance, credential)).cloned()
    }

    /// Remembers the digest of a credential that is good.
    pub(crate) fn remember(&self, instance: InstanceId, credential: &str, digest: Digest) {
        self.remembered.lock().put(self.name(instance, credential), digest);
    }

    /// Makes the slow digest of a credential.
    ///
    /// # Errors
    /// Too many wait for theirs.
    pub(crate) async fn digest(&self, instance: InstanceId, credential: &str) -> Result<Digest, Refusal> {
        let _place = Place::take(&self.waiting)?;
        let permit = self.permits.clone().acquire_owned().await.expect("the semaphore is never closed");
        let (vault, credential) = (self.vault.clone(), Zeroizing::new(credential.to_owned()));
        let digesting = tokio::task::spawn_blocking(move || {
            let _permit = permit;
            vault.slow_digest(instance, credential.as_bytes())
        });
        Ok(digesting.await.expect("a digest does not panic"))
    }

    fn name(&self, instance: InstanceId, credential: &str) -> Name {
        let mut hasher = blake3::Hasher::new_keyed(&self.naming);
        *hasher.update(instance.0.as_bytes()).update(credential.as_bytes()).finalize().as_bytes()
    }
}

/// A place among those that wait; free again when it is dropped.
struct Place<'a>(&'a AtomicUsize);

impl<'a> Place<'a> {
    fn take(waiting: &'a AtomicUsize) -> Result<Self, Refusal> {
        let place = Self(waiting);
        match waiting.fetch_add(1, Ordering::Relaxed) < WAITING_MAX {
            true => Ok(place),
            false => Err(Refusal::Overloaded { retry_after: RETRY_AFTER }),
        }
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}
