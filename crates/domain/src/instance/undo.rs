//! Which command takes a change of an instance back.

use super::{Access, Command, Edit, Event, Live, State};
use crate::undo::{Impossible, NotUndone, unless_overtaken};

/// The command that makes of `now` what was `before` the event, as far as the event changed it.
///
/// # Errors
/// The change is never taken back, or it no longer applies.
pub fn undo(event: &Event, before: &State, now: &State) -> Result<Command, NotUndone> {
    let impossible = |why| Err(NotUndone::Impossible(why));
    match event {
        Event::Created(_) => live(now).map(|_| Command::Delete),
        Event::Renamed(renamed) => {
            let command = Command::Rename { name: renamed.from.clone() };
            unless_overtaken(live(now)?.name == renamed.to, command)
        }
        Event::Edited(edited) => {
            let (before, now) = (live(before)?, live(now)?);
            let (before, now) = ((&before.access, &before.profile), (&now.access, &now.profile));
            let back = Edit::back(before, (&edited.access, &edited.profile), now)?;
            Ok(Command::Edit(Box::new(back)))
        }
        Event::AccessChanged(changed) => {
            let command = Command::ChangeAccess { access: live(before)?.access.clone() };
            unless_overtaken(live(now)?.access == changed.access, command)
        }
        Event::AuthorizationChanged(changed) => {
            let command = Command::ChangeAuthorization { authorization: live(before)?.authorization.clone() };
            unless_overtaken(live(now)?.authorization == changed.authorization, command)
        }
        Event::Scaled(scaled) => {
            let before = replicas(&live(before)?.access).ok_or(NotUndone::Overtaken)?;
            let is_untouched = replicas(&live(now)?.access) == Some(scaled.replicas);
            unless_overtaken(is_untouched, Command::Scale { replicas: before })
        }
        // A generation is opened by every start, and by nothing that leaves a stopped instance stopped.
        Event::Started(started) => match now {
            State::Running(live) => unless_overtaken(live.generation == started.generation, Command::Stop),
            State::Stopped(_) => Err(NotUndone::Overtaken),
            State::Absent | State::Deleted => Err(NotUndone::Gone),
        },
        Event::Stopped(_) => match now {
            State::Stopped(now) => {
                unless_overtaken(now.generation == live(before)?.generation, Command::Start)
            }
            State::Running(_) => Err(NotUndone::Overtaken),
            State::Absent | State::Deleted => Err(NotUndone::Gone),
        },
        Event::Restarted(_) => impossible(Impossible::Restart),
        Event::Deleted(_) => impossible(Impossible::KeysShredded),
        Event::ReplicaStarting(_)
        | Event::ReplicaHandshaking(_)
        | Event::ReplicaReady(_)
        | Event::ReplicaFailed(_)
        | Event::ReplicaStopped(_)
        | Event::HealthChanged(_) => impossible(Impossible::Fact),
    }
}

fn live(state: &State) -> Result<&Live, NotUndone> {
    state.live().ok_or(NotUndone::Gone)
}

fn replicas(access: &Access) -> Option<u16> {
    access.hosted().map(|hosted| hosted.replicas)
}

#[cfg(test)]
mod tests;
