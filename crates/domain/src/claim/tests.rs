//! The rules of claims in given/when/then form.

use uuid::Uuid;

use super::*;
use crate::Digest;
use crate::decider::testing::given;

type Names = ClaimDecider<InstanceNames>;

const FIRST: InstanceId = InstanceId(Uuid::from_u128(1));
const SECOND: InstanceId = InstanceId(Uuid::from_u128(2));

fn claimed(holder: InstanceId) -> Event<InstanceNames> {
    Event::Claimed(Claim { holder })
}

fn released(holder: InstanceId) -> Event<InstanceNames> {
    Event::Released(Claim { holder })
}

#[test]
fn what_is_free_can_be_claimed() {
    given::<Names>([]).when(Command::Claim { holder: FIRST }).then([claimed(FIRST)]);
}

#[test]
fn what_is_claimed_belongs_to_one() {
    given::<Names>([claimed(FIRST)])
        .when(Command::Claim { holder: SECOND })
        .then_refused(Refusal::Taken { holder: FIRST });
}

#[test]
fn claiming_again_changes_nothing() {
    given::<Names>([claimed(FIRST)]).when(Command::Claim { holder: FIRST }).then([]);
}

#[test]
fn only_the_holder_releases() {
    given::<Names>([claimed(FIRST)]).when(Command::Release { holder: SECOND }).then([]);
    given::<Names>([claimed(FIRST)]).when(Command::Release { holder: FIRST }).then([released(FIRST)]);
}

#[test]
fn what_was_released_can_be_claimed_by_another() {
    given::<Names>([claimed(FIRST), released(FIRST)])
        .when(Command::Claim { holder: SECOND })
        .then([claimed(SECOND)]);
}

#[test]
fn a_credential_is_named_by_its_instance_and_its_digest() {
    let id = CredentialId { instance: FIRST, digest: Digest("00ff".to_owned()) };
    assert_eq!(id.to_string().parse(), Ok(id));
    for bad in ["", "00ff", "00000000-0000-0000-0000-000000000001_", "x_00ff", "_00ff"] {
        assert_eq!(bad.parse::<CredentialId>(), Err(MalformedCredentialId), "{bad}");
    }
}
