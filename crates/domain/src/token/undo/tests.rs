//! Given a past: what undoing one of its events gives.

use std::collections::{BTreeMap, BTreeSet};

use super::super::{Edited, Expiry, Issued, Kind, Revoked, Rotated, TokenDecider};
use super::*;
use crate::{Decider, Digest, InstanceId, Sealed};

fn issued() -> Event {
    Event::Issued(Issued {
        instance: InstanceId(uuid::Uuid::nil()),
        kind: Kind::Bearer,
        label: "old".to_owned(),
        digest: Digest("d".to_owned()),
        masked: "m".to_owned(),
        sealed: Sealed("s".to_owned()),
        expiry: Expiry::Never,
        headers: headers(&[("a", "1"), ("b", "1")]),
        passthrough: BTreeSet::new(),
    })
}

fn headers(fields: &[(&str, &str)]) -> BTreeMap<String, Sealed> {
    fields.iter().map(|(name, value)| ((*name).to_owned(), Sealed((*value).to_owned()))).collect()
}

fn labelled(label: &str) -> Event {
    Event::Edited(Edited { label: Some(label.to_owned()), ..Edited::default() })
}

#[track_caller]
fn undone(past: &[Event], index: usize) -> Result<Command, NotUndone> {
    let fold = |events: &[Event]| {
        events.iter().fold(State::default(), |state, event| TokenDecider::evolve(state, event).unwrap())
    };
    let (before, now) = (fold(&past[..index]), fold(past));
    let command = undo(&past[index], &before, &now)?;
    TokenDecider::decide(&now, command.clone()).expect("a command that undoes is accepted");
    Ok(command)
}

fn edit(label: Option<&str>, headers: BTreeMap<String, Option<Sealed>>) -> Command {
    Command::Edit { label: label.map(str::to_owned), expiry: None, headers, passthrough: None }
}

#[test]
fn a_label_is_given_back_unless_it_was_changed_again() {
    assert_eq!(undone(&[issued(), labelled("new")], 1), Ok(edit(Some("old"), BTreeMap::new())));
    let past = [issued(), labelled("new"), labelled("newer")];
    assert_eq!(undone(&past, 1), Err(NotUndone::Overtaken));
    assert_eq!(undone(&past, 2), Ok(edit(Some("new"), BTreeMap::new())));
}

#[test]
fn of_header_fields_those_come_back_that_were_changed() {
    let first = Edited { headers: Some(headers(&[("a", "2"), ("b", "1"), ("c", "1")])), ..Edited::default() };
    let other = Edited { headers: Some(headers(&[("a", "2"), ("b", "9"), ("c", "1")])), ..Edited::default() };
    let same = Edited { headers: Some(headers(&[("a", "3"), ("b", "1"), ("c", "1")])), ..Edited::default() };
    let back = BTreeMap::from([("a".to_owned(), Some(Sealed("1".to_owned()))), ("c".to_owned(), None)]);
    let past = [issued(), Event::Edited(first.clone()), Event::Edited(other)];
    assert_eq!(undone(&past, 1), Ok(edit(None, back)));
    let past = [issued(), Event::Edited(first), Event::Edited(same)];
    assert_eq!(undone(&past, 1), Err(NotUndone::Overtaken));
}

#[test]
fn a_credential_that_was_replaced_or_revoked_is_gone() {
    let rotated = Event::Rotated(Rotated {
        digest: Digest("e".to_owned()),
        masked: "m".to_owned(),
        sealed: Sealed("s".to_owned()),
        previous_until: None,
    });
    let never = Err(NotUndone::Impossible(Impossible::KeysShredded));
    let past = [issued(), rotated, labelled("new"), Event::Revoked(Revoked {})];
    assert_eq!(undone(&past, 1), never);
    assert_eq!(undone(&past, 3), never);
    assert_eq!(undone(&past, 2), Err(NotUndone::Gone));
    assert_eq!(undone(&past, 0), Err(NotUndone::Gone));
    assert_eq!(undone(&past[..3], 0), Ok(Command::Revoke));
}
