//! Events in, row out.

use domain::token::{Expired, Issued, Revoked, Rotated};

use super::*;
use crate::testing::{fold, recorded};

const ID: TokenId = TokenId(Uuid::from_u128(9));

fn issued() -> domain::Event {
    let issued = Issued {
        instance: InstanceId(Uuid::from_u128(1)),
        kind: Kind::Bearer,
        label: "dev".to_owned(),
        digest: Digest("d1".to_owned()),
        masked: "mcp_…abcd".to_owned(),
        sealed: Sealed("s1".to_owned()),
        expiry: Expiry::Never,
        headers: BTreeMap::new(),
        passthrough: BTreeSet::new(),
    };
    domain::Event::Token { id: ID, event: Event::Issued(issued) }
}

#[test]
fn an_issued_token_is_found_by_its_digest() {
    let row = fold::<Tokens>(&recorded([issued()])).unwrap();
    assert_eq!(row.digest(), Some(&Digest("d1".to_owned())));
    assert_eq!((row.label.as_str(), row.revision, row.sequence), ("dev", 1, 1));
}

#[test]
fn a_revoked_token_is_shown_but_not_found() {
    let revoked = domain::Event::Token { id: ID, event: Event::Revoked(Revoked {}) };
    let log = recorded([issued(), revoked]);
    let row = fold::<Tokens>(&log).unwrap();
    assert_eq!(row.digest(), None);
    assert_eq!(row.state, TokenState::Revoked { at: log[1].metadata.at });
}

#[test]
fn an_edited_and_rotated_token_is_found_by_its_new_digest_only() {
    let edited = Event::Edited(Edited { label: Some("prod".to_owned()), ..Edited::default() });
    let rotated = Event::Rotated(Rotated {
        digest: Digest("d2".to_owned()),
        masked: "mcp_…efgh".to_owned(),
        sealed: Sealed("s2".to_owned()),
    });
    let change = |event| domain::Event::Token { id: ID, event };
    let row = fold::<Tokens>(&recorded([issued(), change(edited), change(rotated)])).unwrap();
    assert_eq!(row.digest(), Some(&Digest("d2".to_owned())));
    assert_eq!((row.label.as_str(), row.masked.as_str()), ("prod", "mcp_…efgh"));
}

#[test]
fn an_expired_token_is_shown_but_not_found_and_nobody_changed_it() {
    let at = Timestamp::UNIX_EPOCH;
    let expired = domain::Event::Token { id: ID, event: Event::Expired(Expired { at }) };
    let row = fold::<Tokens>(&recorded([issued(), expired])).unwrap();
    assert_eq!((row.digest(), &row.state), (None, &TokenState::Expired { at }));
    assert_eq!(row.revision, 1);
}
