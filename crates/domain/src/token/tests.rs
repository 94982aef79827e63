//! The rules of tokens in given/when/then form.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use proptest::prelude::*;
use uuid::Uuid;

use super::*;
use crate::decider::testing::given;
use crate::{Digest, InstanceId, Sealed};

fn issue() -> Command {
    let Issued { instance, kind, label, digest, masked, sealed, expiry, headers, passthrough } = issued();
    Command::Issue { instance, kind, label, digest, masked, sealed, expiry, headers, passthrough }
}

fn issued() -> Issued {
    Issued {
        instance: InstanceId(Uuid::from_u128(1)),
        kind: Kind::Bearer,
        label: "dev".to_owned(),
        digest: Digest("d1".to_owned()),
        masked: "mcp_…abcd".to_owned(),
        sealed: Sealed("s1".to_owned()),
        expiry: Expiry::Never,
        headers: BTreeMap::new(),
        passthrough: BTreeSet::new(),
    }
}

#[test]
fn a_token_is_issued_for_an_instance() {
    given::<TokenDecider>([]).when(issue()).then([Event::Issued(issued())]);
}

#[test]
fn a_token_needs_an_instance_that_clients_reach_through_the_gateway() {
    use crate::instance::{self, Access, InstanceDecider, Profile, Remote, RemoteTransport};
    assert_eq!(require_reachable(&instance::State::Absent), Err(Refusal::InstanceNotFound));
    assert_eq!(require_reachable(&instance::State::Deleted), Err(Refusal::InstanceNotFound));
    let remote = || Remote {
        transport: RemoteTransport::StreamableHttp,
        url: "https://example.com/mcp".to_owned(),
        headers: BTreeMap::new(),
    };
    let instance = |access| {
        let name = "everything".parse().unwrap();
        let created = instance::Created { name, access, profile: Profile::default(), template: None };
        InstanceDecider::evolve(instance::State::Absent, &instance::Event::Created(created)).unwrap()
    };
    assert_eq!(require_reachable(&instance(Access::Proxy(remote()))), Ok(()));
    assert_eq!(require_reachable(&instance(Access::Direct(remote()))), Err(Refusal::DirectHasNone));
}

#[test]
fn an_active_token_can_be_revoked() {
    given::<TokenDecider>([Event::Issued(issued())]).when(Command::Revoke).then([Event::Revoked(Revoked {})]);
}

#[test]
fn revoking_again_changes_nothing() {
    given::<TokenDecider>([Event::Issued(issued()), Event::Revoked(Revoked {})])
        .when(Command::Revoke)
        .then([]);
}

#[test]
fn a_revoked_token_never_comes_back() {
    given::<TokenDecider>([Event::Issued(issued()), Event::Revoked(Revoked {})])
        .when(issue())
        .then_refused(Refusal::Exists);
}

#[test]
fn an_unknown_token_cannot_be_revoked() {
    given::<TokenDecider>([]).when(Command::Revoke).then_refused(Refusal::NotFound);
}

fn rotated(digest: &str) -> Rotated {
    Rotated {
        digest: Digest(digest.to_owned()),
        masked: "mcp_…efgh".to_owned(),
        sealed: Sealed("s2".to_owned()),
        previous_until: None,
    }
}

fn overlapping(digest: &str) -> Rotated {
    Rotated { previous_until: Some(NOON), ..rotated(digest) }
}

fn rotate(digest: &str) -> Command {
    rotate_as(rotated(digest))
}

fn rotate_as(rotated: Rotated) -> Command {
    let Rotated { digest, masked, sealed, previous_until } = rotated;
    Command::Rotate { digest, masked, sealed, previous_until }
}

fn edit(label: Option<&str>, expiry: Option<Expiry>) -> Command {
    let label = label.map(str::to_owned);
    Command::Edit { label, expiry, headers: BTreeMap::new(), passthrough: None }
}

#[test]
fn an_edit_changes_what_it_names_while_the_token_is_active() {
    let labelled = || Event::Edited(Edited { label: Some("prod".to_owned()), ..Edited::default() });
    given::<TokenDecider>([Event::Issued(issued())]).when(edit(Some("prod"), None)).then([labelled()]);
    given::<TokenDecider>([Event::Issued(issued()), labelled()]).when(edit(Some("prod"), None)).then([]);
    given::<TokenDecider>([Event::Issued(issued()), Event::Revoked(Revoked {})])
        .when(edit(Some("prod"), None))
        .then_refused(Refusal::Revoked);
    given::<TokenDecider>([Event::Issued(issued())])
        .when(edit(Some("dev"), Some(Expiry::At(NOON))))
        .then([expires(NOON)]);
}

const NOON: Timestamp = Timestamp::UNIX_EPOCH;
const BEFORE: Timestamp = Timestamp::MIN;

fn expires(at: Timestamp) -> Event {
    Event::Edited(Edited { expiry: Some(Expiry::At(at)), ..Edited::default() })
}

#[test]
fn a_token_expires_when_its_time_is_over_and_not_before() {
    let past = [Event::Issued(issued()), expires(NOON)];
    given::<TokenDecider>(past.clone())
        .when(Command::Expire { now: NOON })
        .then([Event::Expired(Expired { at: NOON })]);
    given::<TokenDecider>(past.clone()).when(Command::Expire { now: BEFORE }).then_refused(Refusal::NotDue);
    given::<TokenDecider>([Event::Issued(issued())])
        .when(Command::Expire { now: NOON })
        .then_refused(Refusal::NotDue);
    let over = [past[0].clone(), past[1].clone(), Event::Expired(Expired { at: NOON })];
    given::<TokenDecider>(over.clone()).when(Command::Expire { now: NOON }).then([]);
    given::<TokenDecider>(over.clone()).when(Command::Revoke).then([]);
    given::<TokenDecider>(over).when(edit(None, Some(Expiry::Never))).then_refused(Refusal::Expired);
}

#[test]
fn header_fields_are_set_and_taken_away_one_by_one() {
    let change = |name: &str, value: Option<&str>| Command::Edit {
        label: None,
        expiry: None,
        headers: BTreeMap::from([(name.to_owned(), value.map(|value| Sealed(value.to_owned())))]),
        passthrough: None,
    };
    let edited = |fields: &[(&str, &str)]| {
        let fields = fields.iter().map(|(name, value)| ((*name).to_owned(), Sealed((*value).to_owned())));
        Event::Edited(Edited { headers: Some(fields.collect()), ..Edited::default() })
    };
    given::<TokenDecider>([Event::Issued(issued()), edited(&[("a", "1")])])
        .when(change("b", Some("2")))
        .then([edited(&[("a", "1"), ("b", "2")])]);
    given::<TokenDecider>([Event::Issued(issued()), edited(&[("a", "1")])])
        .when(change("a", None))
        .then([edited(&[])]);
    given::<TokenDecider>([Event::Issued(issued())]).when(change("a", None)).then([]);
}

#[test]
fn a_credential_is_claimed_as_long_as_it_is_accepted() {
    use claim::Command::{Claim, Release};
    let holder = TokenId(Uuid::from_u128(9));
    let credential =
        |digest: &str| CredentialId { instance: issued().instance, digest: Digest(digest.to_owned()) };
    let active = TokenDecider::evolve(State::Absent, &Event::Issued(issued())).unwrap();
    let claims = credential_claims(holder, &State::Absent, &Event::Issued(issued()));
    assert_eq!(claims, [(credential("d1"), Claim { holder })]);
    let claims = credential_claims(holder, &active, &Event::Rotated(rotated("d2")));
    assert_eq!(claims, [(credential("d2"), Claim { holder }), (credential("d1"), Release { holder })]);
    let claims = credential_claims(holder, &active, &Event::Revoked(Revoked {}));
    assert_eq!(claims, [(credential("d1"), Release { holder })]);
}

#[test]
fn a_rotation_puts_another_credential_in_place() {
    let past = [Event::Issued(issued()), Event::Rotated(rotated("d2"))];
    given::<TokenDecider>([Event::Issued(issued())]).when(rotate("d2")).then([Event::Rotated(rotated("d2"))]);
    given::<TokenDecider>(past.clone()).when(rotate("d2")).then([]);
    given::<TokenDecider>(past).when(rotate("d3")).then([Event::Rotated(rotated("d3"))]);
    given::<TokenDecider>([Event::Issued(issued()), Event::Revoked(Revoked {})])
        .when(rotate("d2"))
        .then_refused(Refusal::Revoked);
    given::<TokenDecider>([]).when(rotate("d2")).then_refused(Refusal::NotFound);
}

#[test]
fn the_credential_before_stays_claimed_through_an_overlap_and_none_before_that() {
    use claim::Command::{Claim, Release};
    let holder = TokenId(Uuid::from_u128(9));
    let claimed = |past: &[Event], rotated: Rotated| {
        let fold = |state, event: &Event| TokenDecider::evolve(state, event).unwrap();
        let before = past.iter().fold(State::Absent, fold);
        let claims = credential_claims(holder, &before, &Event::Rotated(rotated));
        claims.into_iter().map(|(of, command)| (of.digest.0, command)).collect::<Vec<_>>()
    };
    let (claim, release) = (Claim { holder }, Release { holder });
    let of = |digest: &str, command| (digest.to_owned(), command);
    let first = [Event::Issued(issued())];
    assert_eq!(claimed(&first, overlapping("d2")), [of("d2", claim)]);
    let past = [Event::Issued(issued()), Event::Rotated(overlapping("d2"))];
    assert_eq!(claimed(&past, overlapping("d3")), [of("d3", claim), of("d1", release)]);
    assert_eq!(claimed(&past, overlapping("d1")), [of("d1", claim)], "and back again");
    assert_eq!(claimed(&past, rotated("d3")), [of("d3", claim), of("d2", release), of("d1", release)]);
    assert_eq!(claimed(&past, rotated("d2")), [of("d2", claim), of("d1", release)]);
}

#[test]
fn the_same_rotation_again_ends_an_overlap_unless_it_asks_for_one() {
    let past = [Event::Issued(issued()), Event::Rotated(overlapping("d2"))];
    given::<TokenDecider>(past.clone()).when(rotate_as(overlapping("d2"))).then([]);
    given::<TokenDecider>(past).when(rotate("d2")).then([Event::Rotated(rotated("d2"))]);
}

fn any_command() -> impl Strategy<Value = Command> {
    let header = prop_oneof![Just(None), Just(Some(Sealed("s1".to_owned())))];
    let expiry = prop_oneof![Just(None), Just(Some(Expiry::Never)), Just(Some(Expiry::At(NOON)))];
    prop_oneof![
        Just(issue()),
        prop_oneof![Just("d1"), Just("d2")].prop_map(rotate),
        prop_oneof![Just("d1"), Just("d2")].prop_map(|digest| rotate_as(overlapping(digest))),
        (expiry, header).prop_map(|(expiry, header)| Command::Edit {
            label: None,
            expiry,
            headers: BTreeMap::from([("a".to_owned(), header)]),
            passthrough: None,
        }),
        Just(Command::Revoke),
        prop_oneof![Just(BEFORE), Just(NOON)].prop_map(|now| Command::Expire { now }),
    ]
}

proptest! {
    #[test]
    fn no_sequence_of_commands_leads_to_an_impossible_event_or_grants_a_wish_twice(
        commands in proptest::collection::vec(any_command(), 0..40)
    ) {
        let mut state = State::default();
        for command in commands {
            let Ok(events) = TokenDecider::decide(&state, command.clone()) else { continue };
            for event in events {
                state = TokenDecider::evolve(state, &event)?;
            }
            if !matches!(command, Command::Issue { .. }) {
                prop_assert_eq!(TokenDecider::decide(&state, command), Ok(vec![]));
            }
        }
    }
}
