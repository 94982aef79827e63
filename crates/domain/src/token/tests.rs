//! The rules of tokens in given/when/then form.

use uuid::Uuid;

use super::*;
use crate::decider::testing::given;
use crate::{Digest, InstanceId, Sealed};

fn issue(instance_exists: bool) -> Command {
    let Issued { instance, kind, label, digest, masked, sealed } = issued();
    Command::Issue { instance, instance_exists, kind, label, digest, masked, sealed }
}

fn issued() -> Issued {
    Issued {
        instance: InstanceId(Uuid::from_u128(1)),
        kind: Kind::Bearer,
        label: "dev".to_owned(),
        digest: Digest("d1".to_owned()),
        masked: "mcp_…abcd".to_owned(),
        sealed: Sealed("s1".to_owned()),
    }
}

#[test]
fn a_token_is_issued_for_an_instance() {
    given::<TokenDecider>([]).when(issue(true)).then([Event::Issued(issued())]);
}

#[test]
fn a_token_needs_an_instance() {
    given::<TokenDecider>([]).when(issue(false)).then_refused(Refusal::InstanceNotFound);
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
        .when(issue(true))
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
    }
}

fn rotate(digest: &str) -> Command {
    let Rotated { digest, masked, sealed } = rotated(digest);
    Command::Rotate { digest, masked, sealed }
}

#[test]
fn a_label_can_be_changed_while_the_token_is_active() {
    let edit = || Command::Edit { label: "prod".to_owned() };
    let edited = || Event::Edited(Edited { label: "prod".to_owned() });
    given::<TokenDecider>([Event::Issued(issued())]).when(edit()).then([edited()]);
    given::<TokenDecider>([Event::Issued(issued()), edited()]).when(edit()).then([]);
    given::<TokenDecider>([Event::Issued(issued()), Event::Revoked(Revoked {})])
        .when(edit())
        .then_refused(Refusal::Revoked);
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
