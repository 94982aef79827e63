//! Events in, row out.

use std::time::Duration;

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
        previous_until: None,
    });
    let change = |event| domain::Event::Token { id: ID, event };
    let row = fold::<Tokens>(&recorded([issued(), change(edited), change(rotated)])).unwrap();
    assert_eq!(row.digest(), Some(&Digest("d2".to_owned())));
    assert_eq!((row.label.as_str(), row.masked.as_str()), ("prod", "mcp_…efgh"));
}

#[test]
fn a_rotation_with_an_overlap_keeps_the_credential_before_and_none_before_that() {
    let until = Timestamp::UNIX_EPOCH;
    let rotated = |digest: &str, previous_until| domain::Event::Token {
        id: ID,
        event: Event::Rotated(Rotated {
            digest: Digest(digest.to_owned()),
            masked: String::new(),
            sealed: Sealed(String::new()),
            previous_until,
        }),
    };
    let previous = |digest: &str| Some(Previous { digest: Digest(digest.to_owned()), until });
    let after = |events: Vec<domain::Event>| match fold::<Tokens>(&recorded(events)).unwrap().state {
        TokenState::Active { previous, .. } => previous,
        state @ (TokenState::Revoked { .. } | TokenState::Expired { .. }) => panic!("{state:?}"),
    };
    assert_eq!(after(vec![issued(), rotated("d2", Some(until))]), previous("d1"));
    let twice = vec![issued(), rotated("d2", Some(until)), rotated("d3", Some(until))];
    assert_eq!(after(twice), previous("d2"));
    assert_eq!(after(vec![issued(), rotated("d2", Some(until)), rotated("d2", None)]), None);
}

#[test]
fn an_expired_token_is_shown_but_not_found_and_nobody_changed_it() {
    let at = Timestamp::UNIX_EPOCH;
    let expired = domain::Event::Token { id: ID, event: Event::Expired(Expired { at }) };
    let row = fold::<Tokens>(&recorded([issued(), expired])).unwrap();
    let digest = Digest("d1".to_owned());
    assert_eq!((row.digest(), &row.state), (None, &TokenState::Expired { at, digest }));
    assert_eq!(row.revision, 1);
}

#[test]
fn the_next_end_is_that_of_the_newest_rows() {
    let time = |seconds| Timestamp::from_second(seconds).unwrap();
    let row = |token: u128, expiry, revision| {
        let row = fold::<Tokens>(&recorded([issued()])).unwrap();
        TokenRow { id: TokenId(Uuid::from_u128(token)), expiry, revision, ..row }
    };
    let mut expiries = Expiries::default();
    let mut change = |row: &TokenRow| expiries.change(row.id.0, Some(row));
    change(&row(1, Expiry::At(time(30)), 1));
    change(&row(2, Expiry::At(time(20)), 1));
    change(&row(3, Expiry::Never, 1));
    change(&row(2, Expiry::At(time(40)), 2));
    let wait = |expiries: &Expiries| expiries.wait(time(0), Duration::from_secs(100)).as_secs();
    assert_eq!((wait(&expiries), expiries.due(time(29))), (30, vec![]));
    assert_eq!(expiries.wait(time(31), Duration::from_secs(100)), Duration::ZERO);

    let due = expiries.due(time(40));
    assert_eq!(due.iter().map(|due| due.token.0.as_u128()).collect::<Vec<_>>(), [1, 2]);
    expiries.change(due[0].token.0, Some(&row(1, Expiry::At(time(50)), 2)));
    due.iter().for_each(|due| expiries.forget(due));
    assert_eq!(wait(&expiries), 50, "another end was set in the meantime");
    expiries.change(due[0].token.0, None);
    assert_eq!(wait(&expiries), 100);
}
