//! The rules of retention plans in given/when/then form.

use super::*;
use crate::decider::testing::given;

fn days(access_log: u16, container_log: u16) -> Days {
    Days { access_log, container_log }
}

#[test]
fn a_plan_is_set_and_reset() {
    let set = |days| Event::Set(Set { days });
    given::<RetentionPlanDecider>([]).when(Command::Set { days: days(30, 7) }).then([set(days(30, 7))]);
    given::<RetentionPlanDecider>([set(days(30, 7))]).when(Command::Set { days: days(30, 7) }).then([]);
    given::<RetentionPlanDecider>([set(days(30, 7))]).when(Command::Reset).then([Event::Reset(Reset {})]);
    given::<RetentionPlanDecider>([]).when(Command::Reset).then([]);
}

#[test]
fn rows_are_kept_for_a_day_at_least_and_for_years_at_most() {
    for illegal in [days(0, 3), days(7, 0), days(DAYS_MAX + 1, 3)] {
        given::<RetentionPlanDecider>([])
            .when(Command::Set { days: illegal })
            .then_refused(Refusal::Days { max: DAYS_MAX });
    }
}

#[test]
fn a_plan_needs_an_instance_that_has_or_had_rows() {
    assert_eq!(require_instance(&instance::State::Absent), Err(Refusal::InstanceNotFound));
    assert_eq!(require_instance(&instance::State::Deleted), Ok(()));
}
