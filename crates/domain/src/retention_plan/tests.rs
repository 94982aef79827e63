//! The rules of retention plans in given/when/then form.

use proptest::prelude::*;

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

fn any_command() -> impl Strategy<Value = Command> {
    let any_days = || prop_oneof![Just(0), Just(1), Just(7), Just(DAYS_MAX), Just(DAYS_MAX + 1)];
    prop_oneof![
        3 => (any_days(), any_days()).prop_map(|(access_log, container_log)| Command::Set {
            days: days(access_log, container_log),
        }),
        1 => Just(Command::Reset),
    ]
}

proptest! {
    #[test]
    fn no_sequence_of_commands_leads_to_an_impossible_event_or_an_illegal_plan(
        commands in proptest::collection::vec(any_command(), 0..40)
    ) {
        let mut state = State::default();
        for command in commands {
            let before = state.revision;
            let Ok(events) = RetentionPlanDecider::decide(&state, command) else { continue };
            for event in &events {
                state = RetentionPlanDecider::evolve(state, event)?;
            }
            let wanted = match command {
                Command::Set { days } => Some(days),
                Command::Reset => None,
            };
            prop_assert_eq!(state.days, wanted);
            prop_assert!(state.days.is_none_or(is_legal));
            prop_assert_eq!(state.revision, before + u64::try_from(events.len()).unwrap());
            prop_assert_eq!(RetentionPlanDecider::decide(&state, command), Ok(vec![]));
        }
    }
}
