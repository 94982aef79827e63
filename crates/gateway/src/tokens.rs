//! The tokens in memory, found by the keyed digest of the credential. `store`'s follower of the `tokens` view calls
//! `change`; every request calls `find`; `opening` adds the header fields of tokens that have some. `watch_clock` ends
//! what is open when a token's time is over: nobody has to say so.

use std::collections::HashMap;
use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use domain::token::Expiry;
use domain::{Digest, InstanceId, TokenId};
use http::{HeaderMap, HeaderName};
use jiff::Timestamp;
use parking_lot::RwLock;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;
use views::{Expiries, TokenRow, TokenState};

use crate::opening::{Awaits, SealedFields, Waiting};
use crate::refusal::Refusal;

/// The clock is looked at again after this long, in case somebody has set it.
const CLOCK_LOOK_INTERVAL: Duration = Duration::from_secs(60);

/// A token that is accepted for the instance it was found with, or was until its time was over.
#[derive(Clone, Debug)]
pub(crate) struct Grant {
    pub(crate) token: TokenId,
    pub(crate) label: String,
    /// The client's own header fields that reach the upstream, though others' of that name do not.
    pub(crate) passthrough: Vec<HeaderName>,
    pub(crate) life: Arc<Life>,
    credential: Credential,
    expiry: Expiry,
    fields: SealedFields,
    /// None while the header fields are being opened.
    opened: Option<Result<HeaderMap, Refusal>>,
}

/// How long a credential is accepted. Streams that were opened with it hang on it; edits of the token leave it.
#[derive(Debug, Default)]
pub(crate) struct Life {
    /// Cancelled when the credential is no longer accepted.
    pub(crate) ended: CancellationToken,
    expired: AtomicBool,
}

impl Life {
    fn expire(&self) {
        self.expired.store(true, Ordering::Release);
        self.ended.cancel();
    }

    /// What to tell those who presented the credential once it is no longer accepted.
    pub(crate) fn refusal(&self) -> Refusal {
        match self.expired.load(Ordering::Acquire) {
            true => Refusal::TokenExpired,
            false => Refusal::TokenInvalid,
        }
    }
}

impl Grant {
    /// Whether the token's time is over.
    pub(crate) fn is_over(&self, now: Timestamp) -> bool {
        self.expiry.is_over(now) || self.life.ended.is_cancelled()
    }

    /// The header fields for the upstream.
    pub(crate) fn headers(&self) -> Result<&HeaderMap, Refusal> {
        let opened = self.opened.as_ref().ok_or(Refusal::TokenNotReady)?;
        opened.as_ref().map_err(|refusal| *refusal)
    }
}

/// All tokens that were not revoked.
#[derive(Debug, Default)]
pub(crate) struct Tokens {
    index: RwLock<Index>,
    waiting: Waiting,
    expiries_changed: Notify,
}

#[derive(Debug, Default)]
struct Index {
    by_credential: HashMap<Credential, Arc<Grant>>,
    by_id: HashMap<Uuid, Arc<Grant>>,
    expiries: Expiries,
}

/// A credential counts only together with its instance. The digest is keyed, so how long a comparison takes says
/// nothing about any credential.
type Credential = (InstanceId, Digest);

impl Tokens {
    /// The token with this credential for this instance, if it is active or has expired.
    pub(crate) fn find(&self, instance: InstanceId, digest: Digest) -> Option<Arc<Grant>> {
        self.index.read().by_credential.get(&(instance, digest)).cloned()
    }

    /// Takes over what the view says of a token now.
    pub(crate) fn change(&self, id: Uuid, row: Option<&TokenRow>) {
        let mut index = self.index.write();
        let known = index.by_id.get(&id).cloned();
        let Some(grant) = row.and_then(|row| grant(row, known.as_deref())) else {
            index.remove(id);
            index.expiries.change(id, row);
            return;
        };
        if grant.opened.is_none() && known.is_none_or(|known| known.fields != grant.fields) {
            self.waiting.add(id, Uuid::nil(), grant.fields.clone());
        }
        index.insert(id, Arc::new(grant));
        index.expiries.change(id, row);
        self.expiries_changed.notify_one();
    }

    /// Ends what was opened with a token at the moment when its time is over. Ends only when it is dropped.
    pub(crate) async fn watch_clock(&self) -> Infallible {
        loop {
            let wait = self.end_expired(Timestamp::now());
            tokio::select! {
                () = self.expiries_changed.notified() => {}
                () = tokio::time::sleep(wait) => {}
            }
        }
    }

    /// Ends the lives that are over; gives the time until the next.
    fn end_expired(&self, now: Timestamp) -> Duration {
        let mut index = self.index.write();
        for expiring in index.expiries.due(now) {
            index.expiries.forget(&expiring);
            if let Some(grant) = index.by_id.get(&expiring.token.0) {
                grant.life.expire();
            }
        }
        index.expiries.wait(now, CLOCK_LOOK_INTERVAL)
    }
}

impl Awaits for Tokens {
    fn waiting(&self) -> &Waiting {
        &self.waiting
    }

    fn open(&self, owner: Uuid, _: Uuid, fields: &SealedFields, opened: Result<HeaderMap, Refusal>) {
        let mut index = self.index.write();
        let Some(known) = index.by_id.get(&owner).filter(|known| known.fields == *fields) else { return };
        let grant = Grant { opened: Some(opened), ..Grant::clone(known) };
        index.insert(owner, Arc::new(grant));
    }
}

/// What a row grants, if it still does. What is known of the token already lives on as far as it is the same.
fn grant(row: &TokenRow, known: Option<&Grant>) -> Option<Grant> {
    let (digest, active) = match &row.state {
        TokenState::Active { digest, .. } => (digest, true),
        TokenState::Expired { digest, .. } => (digest, false),
        TokenState::Revoked { .. } => return None,
    };
    let credential = (row.instance, digest.clone());
    let same = known.filter(|known| known.credential == credential);
    let life = match same {
        // Another label or another end is no other credential: what was opened with it goes on.
        Some(known) if !(active && known.life.ended.is_cancelled()) => known.life.clone(),
        _ => Arc::default(),
    };
    let headers = if active { row.headers.clone() } else { Default::default() };
    let fields = SealedFields { headers, credential: None };
    let opened = match known.filter(|known| known.fields == fields) {
        Some(known) => known.opened.clone(),
        None => fields.is_empty().then(|| Ok(HeaderMap::new())),
    };
    if !active {
        life.expire();
    }
    Some(Grant {
        token: row.id,
        label: row.label.clone(),
        passthrough: row.passthrough.iter().filter_map(|name| name.parse().ok()).collect(),
        life,
        credential,
        expiry: row.expiry,
        fields,
        opened,
    })
}

impl Index {
    fn insert(&mut self, id: Uuid, grant: Arc<Grant>) {
        let known = self.by_id.get(&id);
        if known.is_some_and(|known| !Arc::ptr_eq(&known.life, &grant.life)) {
            self.remove(id);
        }
        self.by_id.insert(id, grant.clone());
        // A credential of an expired token may be another token's by now, which counts.
        let holder = self.by_credential.get(&grant.credential);
        let expired = grant.life.ended.is_cancelled();
        if !(expired && holder.is_some_and(|holder| holder.token != grant.token)) {
            self.by_credential.insert(grant.credential.clone(), grant);
        }
    }

    fn remove(&mut self, id: Uuid) {
        let Some(grant) = self.by_id.remove(&id) else { return };
        grant.life.ended.cancel();
        let holder = self.by_credential.get(&grant.credential);
        if holder.is_some_and(|holder| holder.token == grant.token) {
            self.by_credential.remove(&grant.credential);
        }
    }
}

#[cfg(test)]
mod tests;
