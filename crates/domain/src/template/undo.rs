//! Which command takes a change of a template back.

use super::{Active, Command, Event, State};
use crate::instance::Edit;
use crate::undo::{Impossible, NotUndone, unless_overtaken};

/// The command that makes of `now` what was `before` the event, as far as the event changed it.
///
/// # Errors
/// The change is never taken back, or it no longer applies.
pub fn undo(event: &Event, before: &State, now: &State) -> Result<Command, NotUndone> {
    match event {
        Event::Created(_) => active(now).map(|_| Command::Delete),
        Event::Renamed(renamed) => {
            let command = Command::Rename { name: renamed.from.clone() };
            unless_overtaken(active(now)?.name == renamed.to, command)
        }
        Event::Edited(edited) => {
            let (before, now) = (active(before)?, active(now)?);
            let (before, now) = ((&before.access, &before.profile), (&now.access, &now.profile));
            let back = Edit::back(before, (&edited.access, &edited.profile), now)?;
            Ok(Command::Edit(Box::new(back)))
        }
        Event::Deleted(_) => Err(NotUndone::Impossible(Impossible::KeysShredded)),
    }
}

fn active(state: &State) -> Result<&Active, NotUndone> {
    state.active().ok_or(NotUndone::Gone)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::super::{Created, Deleted, Edited, Renamed, TemplateDecider};
    use super::*;
    use crate::Decider;
    use crate::instance::{Access, CommandLine, Hosted, Profile, Source};

    fn access() -> Access {
        let command = CommandLine { program: "npx".to_owned(), args: vec![] };
        Access::Hosted(Hosted::new(Source::Command(command), BTreeMap::new()))
    }

    fn fold(events: &[Event]) -> State {
        events.iter().fold(State::default(), |state, event| TemplateDecider::evolve(state, event).unwrap())
    }

    #[test]
    fn each_change_of_a_template_has_its_way_back() {
        let noted = |notes: &str| {
            let profile = Profile { notes: notes.to_owned(), ..Profile::default() };
            Event::Edited(Edited { access: access(), profile })
        };
        let past = [
            Event::Created(Created {
                name: "a".parse().unwrap(),
                access: access(),
                profile: Profile::default(),
                from: None,
            }),
            Event::Renamed(Renamed { from: "a".parse().unwrap(), to: "b".parse().unwrap() }),
            noted("x"),
            noted("y"),
            Event::Deleted(Deleted {}),
        ];
        let undone =
            |end: usize, index: usize| undo(&past[index], &fold(&past[..index]), &fold(&past[..end]));
        assert_eq!(undone(1, 0), Ok(Command::Delete));
        assert_eq!(undone(2, 1), Ok(Command::Rename { name: "a".parse().unwrap() }));
        let back = Edit { notes: Some(String::new()), ..Edit::default() };
        assert_eq!(undone(3, 2), Ok(Command::Edit(Box::new(back))));
        assert_eq!(undone(4, 2), Err(NotUndone::Overtaken));
        assert_eq!(undone(5, 4), Err(NotUndone::Impossible(Impossible::KeysShredded)));
        assert_eq!(undone(5, 0), Err(NotUndone::Gone));
    }
}
