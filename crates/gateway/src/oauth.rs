//! OAuth 2.1 resource server, per instance: JWT access tokens of the issuer that an instance names are let in beside its
//! own tokens (MCP 2025-11-25, Authorization; RFC 9068).
//!
//! ```text
//! routes ─▶ Protection ─▶ Issuer ◀─ keys::run (metadata and keys, in the background)
//! admission ─▶ Protection::accept ─▶ Grant        proxy ─▶ metadata (RFC 9728)
//! ```

mod claims;
mod keys;
pub(crate) mod metadata;

pub(crate) use keys::{Issuers, run};

use std::num::NonZeroUsize;
use std::sync::Arc;

use domain::instance::Authorization;
use domain::{InstanceId, TokenId};
use jiff::Timestamp;
use lru::LruCache;
use parking_lot::Mutex;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::limits::Uses;
use crate::refusal::Refusal;
use crate::tokens::Grant;
use claims::Claims;
use keys::Issuer;

/// The longest access token that is looked at, in bytes.
const TOKEN_BYTES_MAX: usize = 16 * 1024;
/// How many good access tokens of an instance are remembered, so that a signature is checked once.
const REMEMBERED_MAX: NonZeroUsize = NonZeroUsize::new(4096).unwrap();
/// The longest label of a grant, in characters.
const LABEL_CHARS_MAX: usize = 100;

/// Whose access tokens one instance accepts.
pub(crate) struct Protection {
    pub(crate) authorization: Authorization,
    instance: InstanceId,
    issuer: Arc<Issuer>,
    accepted: Mutex<LruCache<[u8; 32], Accepted>>,
    /// What each principal has open, with whichever of its access tokens.
    uses: Mutex<LruCache<Uuid, Arc<Uses>>>,
    /// Cancelled when the instance accepts others, or none.
    pub(crate) ended: CancellationToken,
}

#[derive(Clone)]
struct Accepted {
    grant: Arc<Grant>,
    /// The keys that it was checked with.
    generation: u64,
}

impl Protection {
    pub(crate) fn new(instance: InstanceId, authorization: Authorization, issuers: &Issuers) -> Self {
        Self {
            instance,
            issuer: issuers.get(&authorization),
            authorization,
            accepted: Mutex::new(LruCache::new(REMEMBERED_MAX)),
            uses: Mutex::new(LruCache::new(REMEMBERED_MAX)),
            ended: CancellationToken::new(),
        }
    }

    /// What an access token grants.
    ///
    /// # Errors
    /// It is not valid, not for this instance, over, does not allow enough, or there are no keys to check it with.
    pub(crate) fn accept(&self, token: &str, now: Timestamp) -> Result<Arc<Grant>, Refusal> {
        if token.len() > TOKEN_BYTES_MAX {
            return Err(Refusal::TokenInvalid);
        }
        let keys = self.issuer.keys().ok_or(Refusal::IssuerNotReady)?;
        let name = *blake3::hash(token.as_bytes()).as_bytes();
        if let Some(known) =
            self.accepted.lock().get(&name).filter(|known| known.generation == keys.generation)
        {
            return match known.grant.is_over(now) {
                true => Err(Refusal::TokenExpired),
                false => Ok(known.grant.clone()),
            };
        }
        let claims = match claims::verify(token, &keys, &self.authorization) {
            Err(claims::Invalid::UnknownKey) => {
                // The issuer may have new ones.
                self.issuer.look_again();
                return Err(Refusal::TokenInvalid);
            }
            Err(claims::Invalid::Expired) => return Err(Refusal::TokenExpired),
            Err(claims::Invalid::Other) => return Err(Refusal::TokenInvalid),
            Ok(claims) => claims,
        };
        if !claims.allows(&self.authorization.scopes) {
            return Err(Refusal::ScopeInsufficient);
        }
        let grant = Arc::new(self.grant(&claims)?);
        let accepted = Accepted { grant: grant.clone(), generation: keys.generation };
        self.accepted.lock().put(name, accepted);
        Ok(grant)
    }

    fn grant(&self, claims: &Claims) -> Result<Grant, Refusal> {
        let end = claims.end().ok_or(Refusal::TokenInvalid)?;
        let principal = claims.principal();
        // Sessions belong to whoever the token is about: they outlive one access token.
        let name = format!("{}\n{principal}", self.authorization.issuer);
        let token = TokenId(Uuid::new_v5(&self.instance.0, name.as_bytes()));
        let uses = self.uses.lock().get_or_insert(token.0, Arc::default).clone();
        let label = format!("oauth:{principal}").chars().take(LABEL_CHARS_MAX).collect();
        Ok(Grant::of_principal(token, self.instance, label, end, self.ended.child_token(), uses))
    }
}

impl std::fmt::Debug for Protection {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Protection").field("authorization", &self.authorization).finish_non_exhaustive()
    }
}

/// Whether a bearer credential has the form of a JWT: only then it is looked at as one.
pub(crate) fn is_jwt(credential: &str) -> bool {
    jsonwebtoken::decode_header(credential).is_ok()
}
