//! Events in, row out.

use domain::token::{Issued, Revoked};

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
