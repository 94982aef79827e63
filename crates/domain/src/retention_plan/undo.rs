//! Which command takes a change of a retention plan back.

use super::{Command, Event, State};
use crate::undo::{NotUndone, unless_overtaken};

/// The command that makes of `now` what was `before` the event.
///
/// # Errors
/// Somebody has changed the plan since.
pub fn undo(event: &Event, before: &State, now: &State) -> Result<Command, NotUndone> {
    let after = match event {
        Event::Set(set) => Some(set.days),
        Event::Reset(_) => None,
    };
    let command = match before.days {
        Some(days) => Command::Set { days },
        None => Command::Reset,
    };
    unless_overtaken(now.days == after, command)
}

#[cfg(test)]
mod tests {
    use super::super::{Days, Reset, Set};
    use super::*;

    #[test]
    fn a_plan_is_given_back_unless_it_was_changed_again() {
        let days = |access_log| Days { access_log, container_log: 1 };
        let state = |days| State { days, revision: 1 };
        let set = Event::Set(Set { days: days(2) });
        let (before, after) = (state(Some(days(1))), state(Some(days(2))));
        assert_eq!(undo(&set, &before, &after), Ok(Command::Set { days: days(1) }));
        assert_eq!(undo(&set, &State::default(), &after), Ok(Command::Reset));
        assert_eq!(undo(&set, &before, &state(Some(days(3)))), Err(NotUndone::Overtaken));
        let reset = Event::Reset(Reset {});
        assert_eq!(undo(&reset, &before, &state(None)), Ok(Command::Set { days: days(1) }));
    }
}
