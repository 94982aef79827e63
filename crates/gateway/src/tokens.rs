//! The tokens in memory, found by the keyed digest of the credential. `store`'s follower of the `tokens` view calls
//! `change`; every request calls `find`; `opening` adds the header fields of tokens that have some. `watch_clock` ends
//! what is open when a token's time is over: nobody has to say so.

mod row;

use std::collections::{BTreeSet, HashMap};
use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use domain::token::Kind;
use domain::{Digest, InstanceId, TokenId};
use http::{HeaderMap, HeaderName};
use jiff::Timestamp;
use parking_lot::RwLock;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;
use views::TokenRow;

use crate::limits::Uses;
use crate::opening::{Awaits, SealedFields, Waiting};
use crate::refusal::Refusal;
use row::grants;

/// The clock is looked at again after this long, in case somebody has set it.
const CLOCK_LOOK_INTERVAL: Duration = Duration::from_secs(60);

/// A credential of a token that is accepted for the instance it was found with, or was until its time was over.
#[derive(Clone, Debug)]
pub(crate) struct Grant {
    pub(crate) token: TokenId,
    pub(crate) kind: Kind,
    pub(crate) label: String,
    /// The client's own header fields that reach the upstream, though others' of that name do not.
    pub(crate) passthrough: Vec<HeaderName>,
    pub(crate) life: Arc<Life>,
    credential: Credential,
    /// When it ends by itself: the token's end, or before that the end of a rotation's overlap.
    end: Option<Timestamp>,
    /// Whether `watch_clock` ends its life then.
    is_watched: bool,
    fields: SealedFields,
    /// What the token has open here, with whichever of its credentials.
    pub(crate) uses: Arc<Uses>,
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
    /// The life of what also ends with something else.
    fn within(ended: CancellationToken) -> Self {
        Self { ended, expired: AtomicBool::new(false) }
    }

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
    /// Whether the platform sends upstreams a field of this name for the token, given in lower case.
    pub(crate) fn has_secret_field(&self, name: &str) -> bool {
        self.fields.headers.keys().any(|known| known.eq_ignore_ascii_case(name))
    }

    /// What an access token of an issuer grants. No clock watches over it: whoever holds on to it asks [`Grant::over`].
    pub(crate) fn of_principal(
        token: TokenId,
        instance: InstanceId,
        label: String,
        end: Timestamp,
        ended: CancellationToken,
        uses: Arc<Uses>,
    ) -> Self {
        Self {
            token,
            kind: Kind::Bearer,
            label,
            passthrough: vec![],
            life: Arc::new(Life::within(ended)),
            credential: (instance, Digest(String::new())),
            end: Some(end),
            is_watched: false,
            fields: SealedFields::default(),
            uses,
            opened: Some(Ok(HeaderMap::new())),
        }
    }

    /// Resolves when the token's time is over, if nobody else says so.
    pub(crate) async fn over(&self) {
        match self.end.filter(|_| !self.is_watched) {
            Some(end) => {
                let wait = Duration::try_from(end.duration_since(Timestamp::now())).unwrap_or_default();
                tokio::time::sleep(wait).await;
            }
            None => std::future::pending().await,
        }
    }

    /// Whether the token's time is over.
    pub(crate) fn is_over(&self, now: Timestamp) -> bool {
        self.end.is_some_and(|end| end <= now) || self.life.ended.is_cancelled()
    }

    fn shares_life(&self, other: &Grant) -> bool {
        Arc::ptr_eq(&self.life, &other.life)
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
    ends_changed: Notify,
}

#[derive(Debug, Default)]
struct Index {
    by_credential: HashMap<Credential, Arc<Grant>>,
    /// The credentials of each token: the current one, and one that a rotation has left for a while.
    by_id: HashMap<Uuid, Vec<Arc<Grant>>>,
    /// What ends by itself, earliest first.
    ends: BTreeSet<(Timestamp, Uuid, Digest)>,
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
        let known = index.remove(id);
        let grants = row.map(|row| grants(row, &known)).unwrap_or_default();
        for gone in known.iter().filter(|known| !grants.iter().any(|grant| grant.shares_life(known))) {
            gone.life.ended.cancel();
        }
        let Some(current) = grants.first() else { return };
        let is_asked_for = known.first().is_some_and(|known| known.fields == current.fields);
        if current.opened.is_none() && !is_asked_for {
            self.waiting.add(id, Uuid::nil(), current.fields.clone());
        }
        index.insert(id, grants.into_iter().map(Arc::new).collect());
        self.ends_changed.notify_one();
    }

    /// Ends what was opened with a token at the moment when its time is over. Ends only when it is dropped.
    pub(crate) async fn watch_clock(&self) -> Infallible {
        loop {
            let wait = self.end_expired(Timestamp::now());
            tokio::select! {
                () = self.ends_changed.notified() => {}
                () = tokio::time::sleep(wait) => {}
            }
        }
    }

    /// Ends the lives that are over; gives the time until the next.
    fn end_expired(&self, now: Timestamp) -> Duration {
        let mut index = self.index.write();
        while let Some((at, id, digest)) = index.ends.first().cloned().filter(|(at, ..)| *at <= now) {
            index.ends.remove(&(at, id, digest.clone()));
            let grants = index.by_id.get(&id).into_iter().flatten();
            for grant in grants.filter(|grant| grant.credential.1 == digest) {
                grant.life.expire();
            }
        }
        let Some((next, ..)) = index.ends.first() else { return CLOCK_LOOK_INTERVAL };
        Duration::try_from(next.duration_since(now)).unwrap_or_default().min(CLOCK_LOOK_INTERVAL)
    }
}

impl Awaits for Tokens {
    fn waiting(&self) -> &Waiting {
        &self.waiting
    }

    fn open(&self, owner: Uuid, _: Uuid, fields: &SealedFields, opened: Result<HeaderMap, Refusal>) {
        let mut index = self.index.write();
        let is_waited_for = |known: &Arc<Grant>| known.fields == *fields;
        if !index.by_id.get(&owner).is_some_and(|known| known.iter().all(is_waited_for)) {
            return;
        }
        let with_fields =
            |known: Arc<Grant>| Arc::new(Grant { opened: Some(opened.clone()), ..Grant::clone(&known) });
        let known = index.remove(owner);
        index.insert(owner, known.into_iter().map(with_fields).collect());
    }
}

impl Index {
    fn insert(&mut self, id: Uuid, grants: Vec<Arc<Grant>>) {
        for grant in &grants {
            if let Some(end) = grant.end {
                self.ends.insert((end, id, grant.credential.1.clone()));
            }
            // A credential of an expired token may be another token's by now, which counts.
            let holder = self.by_credential.get(&grant.credential);
            let expired = grant.life.ended.is_cancelled();
            if !(expired && holder.is_some_and(|holder| holder.token != grant.token)) {
                self.by_credential.insert(grant.credential.clone(), grant.clone());
            }
        }
        self.by_id.insert(id, grants);
    }

    /// Takes out all that there is of a token. Nothing ends by that.
    fn remove(&mut self, id: Uuid) -> Vec<Arc<Grant>> {
        let known = self.by_id.remove(&id).unwrap_or_default();
        for grant in &known {
            if let Some(end) = grant.end {
                self.ends.remove(&(end, id, grant.credential.1.clone()));
            }
            let holder = self.by_credential.get(&grant.credential);
            if holder.is_some_and(|holder| holder.token == grant.token) {
                self.by_credential.remove(&grant.credential);
            }
        }
        known
    }
}

#[cfg(test)]
mod tests;
