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
