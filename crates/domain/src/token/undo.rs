//! Which command takes a change of a token back.

use super::{Active, Command, Event, State};
use crate::patch::changes;
use crate::undo::{Impossible, NotUndone, unless_overtaken};

/// The command that makes of `now` what was `before` the event, as far as the event changed it.
///
/// # Errors
/// The change is never taken back, or it no longer applies.
pub fn undo(event: &Event, before: &State, now: &State) -> Result<Command, NotUndone> {
    match event {
        Event::Issued(_) => active(now).map(|_| Command::Revoke),
        Event::Edited(edited) => {
            let (before, now) = (active(before)?, active(now)?);
            let headers = edited.headers.as_ref();
            // Of the header fields, those that it changed.
            let there = headers.map(|after| changes(&before.headers, after)).unwrap_or_default();
            let back = headers.map(|after| changes(after, &before.headers)).unwrap_or_default();
            let is_untouched = is(edited.label.as_ref(), &now.label)
                && is(edited.expiry.as_ref(), &now.expiry)
                && is(edited.passthrough.as_ref(), &now.passthrough)
                && there.iter().all(|(name, value)| now.headers.get(name) == value.as_ref());
            let command = Command::Edit {
                label: edited.label.is_some().then(|| before.label.clone()),
                expiry: edited.expiry.is_some().then_some(before.expiry),
                headers: back,
                passthrough: edited.passthrough.is_some().then(|| before.passthrough.clone()),
            };
            unless_overtaken(is_untouched, command)
        }
        Event::Rotated(_) | Event::Revoked(_) | Event::Expired(_) => {
            Err(NotUndone::Impossible(Impossible::KeysShredded))
        }
    }
}

/// Whether something is as an event has set it, if the event has.
fn is<T: PartialEq>(set: Option<&T>, now: &T) -> bool {
    set.is_none_or(|set| set == now)
}

fn active(state: &State) -> Result<&Active, NotUndone> {
    state.active().ok_or(NotUndone::Gone)
}

#[cfg(test)]
mod tests;
