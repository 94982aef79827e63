//! Which commands a token accepts, and what they lead to.

use std::collections::{BTreeMap, BTreeSet};

use super::{Active, Command, Edited, Event, Expired, Expiry, Issued, Refusal, Revoked, Rotated, State};
use super::{HEADERS_MAX, PASSTHROUGH_MAX};
use crate::patch::patch;
use crate::sealed::SEALED_BYTES_MAX;
use crate::{Sealed, instance};

/// Whether a token can be issued for an instance in this state.
///
/// # Errors
/// There is no such instance, or its clients do not come through the gateway.
pub fn require_reachable(instance: &instance::State) -> Result<(), Refusal> {
    match instance.live().map(|live| &live.access) {
        Some(instance::Access::Hosted(_) | instance::Access::Proxy(_)) => Ok(()),
        Some(instance::Access::Direct(_)) => Err(Refusal::DirectHasNone),
        None => Err(Refusal::InstanceNotFound),
    }
}

pub(super) fn decide(state: &State, command: Command) -> Result<Vec<Event>, Refusal> {
    match command {
        Command::Issue { instance, kind, label, digest, masked, sealed, expiry, headers, passthrough } => {
            match state {
                State::Absent => {
                    require_bounded(&headers, &passthrough)?;
                    let issued = Issued {
                        instance,
                        kind,
                        label,
                        digest,
                        masked,
                        sealed,
                        expiry,
                        headers,
                        passthrough,
                    };
                    Ok(vec![Event::Issued(issued)])
                }
                State::Active(_) | State::Revoked | State::Expired => Err(Refusal::Exists),
            }
        }
        Command::Edit { label, expiry, headers, passthrough } => {
            edit(active(state)?, label, expiry, &headers, passthrough)
        }
        Command::Rotate { digest, masked, sealed, previous_until } => {
            let active = active(state)?;
            let is_current = active.digest == digest;
            // The same credential again, without an overlap, still ends the overlap of an earlier rotation.
            if is_current && (active.previous.is_none() || previous_until.is_some()) {
                return Ok(vec![]);
            }
            Ok(vec![Event::Rotated(Rotated { digest, masked, sealed, previous_until })])
        }
        Command::Revoke => match state {
            State::Active(_) => Ok(vec![Event::Revoked(Revoked {})]),
            // It is refused already, which is all that was wished.
            State::Revoked | State::Expired => Ok(vec![]),
            State::Absent => Err(Refusal::NotFound),
        },
        Command::Expire { now } => match state {
            State::Active(active) => match active.expiry {
                Expiry::At(at) if at <= now => Ok(vec![Event::Expired(Expired { at })]),
                Expiry::At(_) | Expiry::Never => Err(Refusal::NotDue),
            },
            State::Revoked | State::Expired => Ok(vec![]),
            State::Absent => Err(Refusal::NotFound),
        },
    }
}

fn edit(
    active: &Active,
    label: Option<String>,
    expiry: Option<Expiry>,
    headers: &BTreeMap<String, Option<Sealed>>,
    passthrough: Option<BTreeSet<String>>,
) -> Result<Vec<Event>, Refusal> {
    let mut all = active.headers.clone();
    patch(&mut all, headers);
    let edited = Edited {
        label: label.filter(|label| *label != active.label),
        expiry: expiry.filter(|expiry| *expiry != active.expiry),
        headers: Some(all).filter(|all| *all != active.headers),
        passthrough: passthrough.filter(|passthrough| *passthrough != active.passthrough),
    };
    if edited == Edited::default() {
        return Ok(vec![]);
    }
    require_bounded(
        edited.headers.as_ref().unwrap_or(&active.headers),
        edited.passthrough.as_ref().unwrap_or(&active.passthrough),
    )?;
    Ok(vec![Event::Edited(edited)])
}

fn require_bounded(
    headers: &BTreeMap<String, Sealed>,
    passthrough: &BTreeSet<String>,
) -> Result<(), Refusal> {
    if headers.len() > HEADERS_MAX {
        return Err(Refusal::TooMany { what: "header fields".to_owned(), max: HEADERS_MAX });
    }
    if passthrough.len() > PASSTHROUGH_MAX {
        return Err(Refusal::TooMany {
            what: "header fields that are passed on".to_owned(),
            max: PASSTHROUGH_MAX,
        });
    }
    if headers.values().map(|sealed| sealed.0.len()).sum::<usize>() > SEALED_BYTES_MAX {
        return Err(Refusal::TooLarge { max: SEALED_BYTES_MAX });
    }
    Ok(())
}

/// The token, if it still can be changed.
fn active(state: &State) -> Result<&Active, Refusal> {
    match state {
        State::Active(active) => Ok(active),
        State::Revoked => Err(Refusal::Revoked),
        State::Expired => Err(Refusal::Expired),
        State::Absent => Err(Refusal::NotFound),
    }
}
