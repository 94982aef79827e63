//! The rules of names in given/when/then form.

use uuid::Uuid;

use super::*;
use crate::decider::testing::given;

const FIRST: InstanceId = InstanceId(Uuid::from_u128(1));
const SECOND: InstanceId = InstanceId(Uuid::from_u128(2));

#[test]
fn a_free_name_can_be_claimed() {
    given::<NameDecider>([])
        .when(Command::Claim { instance: FIRST })
        .then([Event::Claimed(Claimed { instance: FIRST })]);
}

#[test]
fn a_name_belongs_to_one_instance() {
    given::<NameDecider>([Event::Claimed(Claimed { instance: FIRST })])
        .when(Command::Claim { instance: SECOND })
        .then_refused(Refusal::Taken { holder: FIRST });
}

#[test]
fn claiming_again_changes_nothing() {
    given::<NameDecider>([Event::Claimed(Claimed { instance: FIRST })])
        .when(Command::Claim { instance: FIRST })
        .then([]);
}

#[test]
fn only_the_holder_releases_a_name() {
    given::<NameDecider>([Event::Claimed(Claimed { instance: FIRST })])
        .when(Command::Release { instance: SECOND })
        .then([]);
}

#[test]
fn a_released_name_can_be_claimed_by_another() {
    given::<NameDecider>([
        Event::Claimed(Claimed { instance: FIRST }),
        Event::Released(Released { instance: FIRST }),
    ])
    .when(Command::Claim { instance: SECOND })
    .then([Event::Claimed(Claimed { instance: SECOND })]);
}

#[test]
fn names_are_lower_case_dns_labels() {
    for good in ["a", "everything", "my-server-2", "0", &"x".repeat(63)] {
        assert_eq!(good.parse::<InstanceName>().map(|name| name.to_string()), Ok(good.to_owned()));
    }
    for (bad, reason) in [
        ("", InvalidName::Length),
        (&*"x".repeat(64), InvalidName::Length),
        ("Everything", InvalidName::Character),
        ("a.b", InvalidName::Character),
        ("ä", InvalidName::Character),
        ("-a", InvalidName::Hyphen),
        ("a-", InvalidName::Hyphen),
        ("0192d3a4-0000-7000-8000-000000000001", InvalidName::LooksLikeId),
        ("0192d3a400007000800000000000000f", InvalidName::LooksLikeId),
    ] {
        assert_eq!(bad.parse::<InstanceName>(), Err(reason), "{bad}");
    }
}
