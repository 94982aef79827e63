//! Who is let in: the token of a request, found by what the request presents. `proxy` asks, before anything else of the
//! request counts.

use std::net::IpAddr;
use std::sync::Arc;

use domain::InstanceId;
use domain::token::Kind;
use domain::token::credential::is_generated;
use http::request::Parts;
use jiff::Timestamp;
use store::Vault;

use crate::credential::{self, Presented};
use crate::limits::{Failures, Limits};
use crate::oauth::{Protection, is_jwt};
use crate::refusal::Refusal;
use crate::tokens::{Grant, Tokens};
use crate::verified::Verified;

/// What decides who is let in.
pub(crate) struct Admission {
    tokens: Arc<Tokens>,
    vault: Vault,
    verified: Verified,
    failures: Failures,
}

/// Why a request is not let in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Denied {
    pub(crate) refusal: Refusal,
    /// How the credential was presented, if there was one.
    pub(crate) presented: Option<Kind>,
}

impl From<Refusal> for Denied {
    fn from(refusal: Refusal) -> Self {
        Self { refusal, presented: None }
    }
}

impl Admission {
    pub(crate) fn new(tokens: Arc<Tokens>, vault: Vault, limits: &Limits) -> Self {
        let (verified, failures) = (Verified::new(vault.clone()), Failures::new(limits.failures));
        Self { tokens, vault, verified, failures }
    }

    /// The token of a request to this instance. The work is the same whether or not the instance exists, for which the
    /// nil id stands.
    pub(crate) async fn admit(
        &self,
        client: IpAddr,
        parts: &Parts,
        instance: InstanceId,
        protection: Option<&Protection>,
    ) -> Result<Arc<Grant>, Denied> {
        credential::refuse_in_query(parts.uri.query(), |value| self.find(instance, value).is_some())?;
        let presented = credential::presented(&parts.headers)?;
        let now = Timestamp::now();
        let mut denied = None;
        for presented in &presented {
            match self.find(instance, presented.text).map(|grant| check(grant, presented, now)) {
                Some(Ok(grant)) => return Ok(grant),
                Some(Err(refusal)) => denied = denied.or(Some(deny(presented, refusal))),
                None => {}
            }
        }
        let jwt = presented.iter().find(|presented| presented.kind == Kind::Bearer && is_jwt(presented.text));
        if let Some((protection, presented)) = protection.zip(jwt) {
            match protection.accept(presented.text, now) {
                Ok(grant) => return Ok(grant),
                // It may be a good one: nobody is to count it as a failure.
                Err(Refusal::IssuerNotReady) => return Err(deny(presented, Refusal::IssuerNotReady)),
                Err(refusal) => denied = denied.or(Some(deny(presented, refusal))),
            }
        }
        // It has failed, or takes a digest that an address does not get as often as it likes.
        self.failures.note(client)?;
        let is_looked_at = |presented: &&Presented<'_>| {
            let is_jwt = protection.is_some() && jwt.is_some_and(|jwt| jwt == *presented);
            !is_jwt && !is_generated(presented.kind, presented.text)
        };
        for presented in presented.iter().filter(is_looked_at) {
            match self.verify(instance, presented, now).await {
                Ok(grant) => return Ok(grant),
                Err(refusal) => denied = denied.or(Some(deny(presented, refusal))),
            }
        }
        Err(denied.unwrap_or_else(|| deny(&presented[0], Refusal::TokenInvalid)))
    }

    /// The token with this credential, by the digests that take no time.
    fn find(&self, instance: InstanceId, credential: &str) -> Option<Arc<Grant>> {
        let fast = self.vault.digest(credential.as_bytes());
        let found = self.tokens.find(instance, fast);
        found.or_else(|| self.tokens.find(instance, self.verified.recall(instance, credential)?))
    }

    /// The token with this credential, by the digest that takes long.
    async fn verify(
        &self,
        instance: InstanceId,
        presented: &Presented<'_>,
        now: Timestamp,
    ) -> Result<Arc<Grant>, Refusal> {
        if self.verified.recall(instance, presented.text).is_some() {
            // It was good once, and `find` has found nothing.
            return Err(Refusal::TokenInvalid);
        }
        let digest = self.verified.digest(instance, presented.text).await?;
        let grant = self.tokens.find(instance, digest.clone()).ok_or(Refusal::TokenInvalid)?;
        self.verified.remember(instance, presented.text, digest);
        check(grant, presented, now)
    }
}

/// Whether a token counts now, and as it is presented.
fn check(grant: Arc<Grant>, presented: &Presented<'_>, now: Timestamp) -> Result<Arc<Grant>, Refusal> {
    if grant.is_over(now) {
        return Err(Refusal::TokenExpired);
    }
    if grant.kind != presented.kind {
        return Err(Refusal::TokenOfOtherKind);
    }
    Ok(grant)
}

fn deny(presented: &Presented<'_>, refusal: Refusal) -> Denied {
    Denied { refusal, presented: Some(presented.kind) }
}
