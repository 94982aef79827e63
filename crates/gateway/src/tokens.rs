//! The active tokens in memory, found by the keyed digest of the credential. `store`'s follower of the `tokens` view
//! calls `change`; every request calls `find`.

use std::collections::HashMap;
use std::sync::Arc;

use domain::{Digest, InstanceId, TokenId};
use parking_lot::RwLock;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;
use views::TokenRow;

/// A token that is accepted for the instance it was found with.
#[derive(Debug)]
pub(crate) struct Grant {
    pub(crate) token: TokenId,
    pub(crate) label: String,
    /// Cancelled when the credential is no longer accepted; streams that were opened with it end then.
    pub(crate) revoked: CancellationToken,
}

/// All active tokens.
#[derive(Debug, Default)]
pub(crate) struct Tokens(RwLock<Index>);

#[derive(Debug, Default)]
struct Index {
    by_credential: HashMap<Credential, Arc<Grant>>,
    by_id: HashMap<Uuid, Credential>,
}

/// A credential counts only together with its instance. The digest is keyed, so how long a comparison takes says
/// nothing about any credential.
type Credential = (InstanceId, Digest);

impl Tokens {
    /// The token with this credential for this instance, if it is active.
    pub(crate) fn find(&self, instance: InstanceId, digest: Digest) -> Option<Arc<Grant>> {
        self.0.read().by_credential.get(&(instance, digest)).cloned()
    }

    /// Takes over what the view says of a token now.
    pub(crate) fn change(&self, id: Uuid, row: Option<&TokenRow>) {
        let active = row.and_then(|row| row.digest().map(|digest| (row, digest)));
        let mut index = self.0.write();
        let Some((row, digest)) = active else {
            index.remove(id);
            return;
        };
        let credential = (row.instance, digest.clone());
        let same = index.by_id.get(&id) == Some(&credential);
        let known = same.then(|| index.by_credential.get(&credential)).flatten();
        let revoked = match known {
            Some(grant) if grant.label == row.label => return,
            // Another label is no other credential: what was opened with it goes on.
            Some(grant) => grant.revoked.clone(),
            None => {
                index.remove(id);
                CancellationToken::new()
            }
        };
        let grant = Grant { token: row.id, label: row.label.clone(), revoked };
        index.by_id.insert(id, credential.clone());
        index.by_credential.insert(credential, Arc::new(grant));
    }
}

impl Index {
    fn remove(&mut self, id: Uuid) {
        let Some(credential) = self.by_id.remove(&id) else { return };
        if let Some(grant) = self.by_credential.remove(&credential) {
            grant.revoked.cancel();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use domain::Sealed;
    use domain::token::{Expiry, Kind};
    use views::TokenState;

    use super::*;

    fn row(id: u128, instance: u128, state: TokenState) -> TokenRow {
        TokenRow {
            id: TokenId(Uuid::from_u128(id)),
            instance: InstanceId(Uuid::from_u128(instance)),
            kind: Kind::Bearer,
            label: "dev".to_owned(),
            masked: "mc…".to_owned(),
            state,
            expiry: Expiry::Never,
            headers: BTreeMap::new(),
            passthrough: BTreeSet::new(),
            issued_at: jiff::Timestamp::UNIX_EPOCH,
            revision: 1,
            sequence: 1,
        }
    }

    fn active(digest: &str) -> TokenState {
        TokenState::Active { digest: Digest(digest.to_owned()), sealed: Sealed(String::new()) }
    }

    #[test]
    fn a_token_is_found_for_its_own_instance_only() {
        let tokens = Tokens::default();
        tokens.change(Uuid::from_u128(1), Some(&row(1, 10, active("aa"))));
        let find = |instance: u128, digest: &str| {
            tokens.find(InstanceId(Uuid::from_u128(instance)), Digest(digest.to_owned()))
        };
        assert!(find(10, "aa").is_some_and(|grant| grant.label == "dev"));
        assert!(find(11, "aa").is_none());
        assert!(find(10, "ab").is_none());
    }

    #[test]
    fn another_label_ends_nothing_and_another_credential_does() {
        let tokens = Tokens::default();
        let id = Uuid::from_u128(1);
        let find = |digest: &str| tokens.find(InstanceId(Uuid::from_u128(10)), Digest(digest.to_owned()));
        tokens.change(id, Some(&row(1, 10, active("aa"))));
        let first = find("aa").expect("the token is active");
        tokens.change(id, Some(&TokenRow { label: "ci".to_owned(), ..row(1, 10, active("aa")) }));
        assert!(!first.revoked.is_cancelled());
        let edited = find("aa").expect("the token is active");
        assert_eq!(edited.label, "ci");
        tokens.change(id, Some(&row(1, 10, active("bb"))));
        assert!(first.revoked.is_cancelled() && edited.revoked.is_cancelled());
        assert!(find("aa").is_none());
        assert!(find("bb").is_some_and(|grant| !grant.revoked.is_cancelled()));
    }

    #[test]
    fn revoking_a_token_ends_what_was_opened_with_it() {
        let tokens = Tokens::default();
        let id = Uuid::from_u128(1);
        tokens.change(id, Some(&row(1, 10, active("aa"))));
        let instance = InstanceId(Uuid::from_u128(10));
        let grant = tokens.find(instance, Digest("aa".to_owned())).expect("the token is active");
        tokens.change(id, Some(&row(1, 10, active("aa"))));
        assert!(!grant.revoked.is_cancelled(), "the same row again changes nothing");
        tokens.change(id, Some(&row(1, 10, TokenState::Revoked { at: jiff::Timestamp::UNIX_EPOCH })));
        assert!(grant.revoked.is_cancelled());
        assert!(tokens.find(instance, Digest("aa".to_owned())).is_none());
    }
}
