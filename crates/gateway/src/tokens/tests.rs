//! Goal: a credential counts for as long as its newest row says, and what was opened with it ends then.

use std::collections::{BTreeMap, BTreeSet};

use domain::Sealed;
use domain::token::{Expiry, Previous};
use jiff::SignedDuration;
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
        issued_at: Timestamp::UNIX_EPOCH,
        revision: 1,
        sequence: 1,
    }
}

fn active(digest: &str) -> TokenState {
    TokenState::Active { digest: Digest(digest.to_owned()), sealed: Sealed(String::new()), previous: None }
}

/// Rotated from one digest to another, with an overlap.
fn rotated(digest: &str, before: &str, until: Timestamp) -> TokenState {
    let previous = Some(Previous { digest: Digest(before.to_owned()), until });
    TokenState::Active { digest: Digest(digest.to_owned()), sealed: Sealed(String::new()), previous }
}

fn expired(digest: &str) -> TokenState {
    TokenState::Expired { at: Timestamp::UNIX_EPOCH, digest: Digest(digest.to_owned()) }
}

fn change(tokens: &Tokens, row: &TokenRow) {
    tokens.change(row.id.0, Some(row));
}

/// The token of instance 10 with this digest.
fn find(tokens: &Tokens, digest: &str) -> Option<Arc<Grant>> {
    tokens.find(InstanceId(Uuid::from_u128(10)), Digest(digest.to_owned()))
}

fn found(tokens: &Tokens, digest: &str) -> Arc<Grant> {
    find(tokens, digest).expect("the token is known")
}

#[test]
fn a_token_is_found_for_its_own_instance_only() {
    let tokens = Tokens::default();
    change(&tokens, &row(1, 10, active("aa")));
    assert_eq!(found(&tokens, "aa").label, "dev");
    assert!(tokens.find(InstanceId(Uuid::from_u128(11)), Digest("aa".to_owned())).is_none());
    assert!(find(&tokens, "ab").is_none());
}

#[test]
fn another_label_ends_nothing_and_another_credential_does() {
    let tokens = Tokens::default();
    change(&tokens, &row(1, 10, active("aa")));
    let first = found(&tokens, "aa");
    change(&tokens, &TokenRow { label: "ci".to_owned(), ..row(1, 10, active("aa")) });
    let edited = found(&tokens, "aa");
    assert_eq!(edited.label, "ci");
    assert!(!first.life.ended.is_cancelled());
    change(&tokens, &row(1, 10, active("bb")));
    assert!(first.life.ended.is_cancelled() && edited.life.ended.is_cancelled());
    assert_eq!(first.life.refusal(), Refusal::TokenInvalid);
    assert!(find(&tokens, "aa").is_none());
    assert!(!found(&tokens, "bb").life.ended.is_cancelled());
}

#[test]
fn revoking_a_token_ends_what_was_opened_with_it() {
    let tokens = Tokens::default();
    change(&tokens, &row(1, 10, active("aa")));
    let grant = found(&tokens, "aa");
    change(&tokens, &row(1, 10, active("aa")));
    assert!(!grant.life.ended.is_cancelled(), "the same row again changes nothing");
    change(&tokens, &row(1, 10, TokenState::Revoked { at: Timestamp::UNIX_EPOCH }));
    assert!(grant.life.ended.is_cancelled());
    assert!(find(&tokens, "aa").is_none());
}

#[test]
fn a_token_is_over_at_the_moment_that_its_newest_row_says() {
    let tokens = Tokens::default();
    let now = Timestamp::now();
    let until = |seconds| Expiry::At(now + SignedDuration::from_secs(seconds));
    change(&tokens, &TokenRow { expiry: until(20), ..row(1, 10, active("aa")) });
    change(&tokens, &TokenRow { expiry: until(10), ..row(2, 10, active("bb")) });
    let (one, other) = (found(&tokens, "aa"), found(&tokens, "bb"));
    assert_eq!(tokens.end_expired(now), Duration::from_secs(10));
    change(&tokens, &TokenRow { expiry: until(30), ..row(2, 10, active("bb")) });
    assert_eq!(tokens.end_expired(now), Duration::from_secs(20));

    let later = now + SignedDuration::from_secs(20);
    assert!(found(&tokens, "aa").is_over(later), "no timer has to fire for that");
    assert_eq!(tokens.end_expired(later), Duration::from_secs(10));
    assert!(one.life.ended.is_cancelled() && !other.life.ended.is_cancelled());
    assert_eq!(one.life.refusal(), Refusal::TokenExpired);

    // A row that came late: the end had been put off in time.
    change(&tokens, &TokenRow { expiry: Expiry::Never, ..row(1, 10, active("aa")) });
    assert!(!found(&tokens, "aa").is_over(later));
}

#[test]
fn both_credentials_count_through_an_overlap_and_each_ends_in_its_own_time() {
    let tokens = Tokens::default();
    let now = Timestamp::now();
    let after = |seconds| now + SignedDuration::from_secs(seconds);
    change(&tokens, &row(1, 10, active("aa")));
    let old = found(&tokens, "aa");
    let overlapping = row(1, 10, rotated("bb", "aa", after(10)));
    change(&tokens, &TokenRow { expiry: Expiry::At(after(20)), ..overlapping.clone() });
    assert!(!old.life.ended.is_cancelled(), "what was opened with the old one goes on");
    let (old, new) = (found(&tokens, "aa"), found(&tokens, "bb"));
    assert_eq!(old.token, new.token);
    assert!(!old.is_over(after(9)) && old.is_over(after(10)) && !new.is_over(after(19)));
    assert_eq!(tokens.end_expired(now), Duration::from_secs(10));
    assert_eq!(tokens.end_expired(after(10)), Duration::from_secs(10));
    assert!(old.life.ended.is_cancelled() && !new.life.ended.is_cancelled());
    tokens.end_expired(after(20));
    assert!(new.life.ended.is_cancelled());

    change(&tokens, &TokenRow { expiry: Expiry::At(after(5)), ..overlapping });
    assert!(found(&tokens, "aa").is_over(after(5)), "no credential outlives its token");
    let again = found(&tokens, "aa");
    change(&tokens, &row(1, 10, active("cc")));
    assert!(again.life.ended.is_cancelled());
    assert!(find(&tokens, "aa").is_none() && find(&tokens, "bb").is_none());
}

#[test]
fn a_credential_of_an_expired_token_is_known_until_another_token_has_it() {
    let tokens = Tokens::default();
    change(&tokens, &row(1, 10, active("aa")));
    let grant = found(&tokens, "aa");
    change(&tokens, &row(1, 10, expired("aa")));
    assert_eq!((grant.life.ended.is_cancelled(), grant.life.refusal()), (true, Refusal::TokenExpired));
    assert!(found(&tokens, "aa").is_over(Timestamp::UNIX_EPOCH), "whatever the clock here says");
    change(&tokens, &row(2, 10, active("aa")));
    // Rows of two tokens may come in either order.
    change(&tokens, &row(1, 10, expired("aa")));
    change(&tokens, &row(1, 10, TokenState::Revoked { at: Timestamp::UNIX_EPOCH }));
    let holder = found(&tokens, "aa");
    assert_eq!(holder.token, TokenId(Uuid::from_u128(2)));
    assert!(!holder.is_over(Timestamp::now()));
}

#[test]
fn requests_wait_for_the_header_fields_of_the_newest_row() {
    let tokens = Tokens::default();
    let with = |value: &str| TokenRow {
        headers: BTreeMap::from([("x-team".to_owned(), Sealed(value.to_owned()))]),
        ..row(1, 10, active("aa"))
    };
    let opened = |value: &'static str| {
        HeaderMap::from_iter([(HeaderName::from_static("x-team"), http::HeaderValue::from_static(value))])
    };
    change(&tokens, &with("first"));
    let (first, late) = tokens.waiting.take().expect("the token waits");
    change(&tokens, &with("second"));
    assert!(matches!(found(&tokens, "aa").headers(), Err(Refusal::TokenNotReady)));
    tokens.open(first.0, first.1, &late, Ok(opened("first")));
    assert!(matches!(found(&tokens, "aa").headers(), Err(Refusal::TokenNotReady)), "those have changed");
    let (second, fields) = tokens.waiting.take().expect("the token waits");
    tokens.open(second.0, second.1, &fields, Ok(opened("second")));
    change(&tokens, &TokenRow { label: "ci".to_owned(), ..with("second") });
    let grant = found(&tokens, "aa");
    assert_eq!(grant.headers().expect("still open")["x-team"], "second");
    assert!(!grant.life.ended.is_cancelled());
}
