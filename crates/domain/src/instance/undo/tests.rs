//! Given a past: what undoing one of its events gives.

use std::collections::BTreeMap;

use super::super::{
    AccessChanged, CommandLine, Created, Deleted, Edited, Hosted, InstanceDecider, Profile, Remote,
    RemoteTransport, Renamed, Restarted, Scaled, Source, Started, Stopped,
};
use super::*;
use crate::Decider;

fn hosted(args: &[&str]) -> Access {
    let args = args.iter().map(|arg| (*arg).to_owned()).collect();
    Access::Hosted(Hosted::new(
        Source::Command(CommandLine { program: "npx".to_owned(), args }),
        BTreeMap::new(),
    ))
}

fn proxy() -> Access {
    let url = "https://mcp.example/".to_owned();
    Access::Proxy(Remote { transport: RemoteTransport::StreamableHttp, url, headers: BTreeMap::new() })
}

fn created() -> Event {
    Event::Created(Created {
        name: "a".parse().unwrap(),
        access: hosted(&["v1"]),
        profile: Profile::default(),
        template: None,
    })
}

fn notes(notes: &str) -> Profile {
    Profile { notes: notes.to_owned(), ..Profile::default() }
}

fn edited(args: &[&str], profile: Profile, generation: u64) -> Event {
    Event::Edited(Edited { access: hosted(args), profile, generation })
}

fn fold(events: &[Event]) -> State {
    events.iter().fold(State::default(), |state, event| InstanceDecider::evolve(state, event).unwrap())
}

/// What undoing an event of a past gives. Where it gives a command, the command must be accepted, too.
#[track_caller]
fn undone(past: &[Event], index: usize) -> Result<Command, NotUndone> {
    let (before, now) = (fold(&past[..index]), fold(past));
    let command = undo(&past[index], &before, &now)?;
    InstanceDecider::decide(&now, command.clone()).expect("a command that undoes is accepted");
    Ok(command)
}

#[test]
fn a_creation_is_undone_by_deleting() {
    assert_eq!(undone(&[created()], 0), Ok(Command::Delete));
    assert_eq!(undone(&[created(), Event::Deleted(Deleted {})], 0), Err(NotUndone::Gone));
}

#[test]
fn an_edit_is_undone_where_nobody_edited_since() {
    let first = edited(&["v2"], notes("x"), 2);
    let back = Edit { args: Some(vec!["v1".to_owned()]), notes: Some(String::new()), ..Edit::default() };
    assert_eq!(undone(&[created(), first.clone()], 1), Ok(Command::Edit(Box::new(back.clone()))));

    // Something else was edited since: it stays as it is.
    let labels = BTreeMap::from([("k".to_owned(), "v".to_owned())]);
    let other = edited(&["v2"], Profile { labels, ..notes("x") }, 2);
    let past = [created(), first.clone(), other];
    assert_eq!(undone(&past, 1), Ok(Command::Edit(Box::new(back))));
    let forget = BTreeMap::from([("k".to_owned(), None)]);
    assert_eq!(undone(&past, 2), Ok(Command::Edit(Box::new(Edit { labels: forget, ..Edit::default() }))));

    // The same was edited since.
    let again = edited(&["v3"], notes("x"), 3);
    assert_eq!(undone(&[created(), first.clone(), again], 1), Err(NotUndone::Overtaken));
    let elsewhere = Event::AccessChanged(AccessChanged { access: proxy(), generation: 3 });
    assert_eq!(undone(&[created(), first, elsewhere], 1), Err(NotUndone::Overtaken));
}

#[test]
fn names_scales_and_ways_are_given_back() {
    let renamed = |from: &str, to: &str| {
        Event::Renamed(Renamed { from: from.parse().unwrap(), to: to.parse().unwrap() })
    };
    let past = [created(), renamed("a", "b")];
    assert_eq!(undone(&past, 1), Ok(Command::Rename { name: "a".parse().unwrap() }));
    let past = [created(), renamed("a", "b"), renamed("b", "c")];
    assert_eq!(undone(&past, 1), Err(NotUndone::Overtaken));

    let scaled = |replicas| Event::Scaled(Scaled { replicas });
    assert_eq!(undone(&[created(), scaled(3)], 1), Ok(Command::Scale { replicas: 1 }));
    assert_eq!(undone(&[created(), scaled(3), scaled(4)], 1), Err(NotUndone::Overtaken));
    assert_eq!(undone(&[created(), scaled(3), scaled(4)], 2), Ok(Command::Scale { replicas: 3 }));

    let changed = Event::AccessChanged(AccessChanged { access: proxy(), generation: 2 });
    let back = Ok(Command::ChangeAccess { access: hosted(&["v1"]) });
    assert_eq!(undone(&[created(), changed.clone()], 1), back);
    let again = Event::AccessChanged(AccessChanged { access: hosted(&["v2"]), generation: 3 });
    assert_eq!(undone(&[created(), changed, again], 1), Err(NotUndone::Overtaken));
}

#[test]
fn what_was_stopped_starts_and_what_was_started_stops() {
    let (stopped, started) =
        (Event::Stopped(Stopped {}), |generation| Event::Started(Started { generation }));
    assert_eq!(undone(&[created(), stopped.clone()], 1), Ok(Command::Start));
    let past = [created(), stopped.clone(), started(2)];
    assert_eq!(undone(&past, 1), Err(NotUndone::Overtaken));
    assert_eq!(undone(&past, 2), Ok(Command::Stop));
    let past = [created(), stopped.clone(), started(2), stopped.clone()];
    assert_eq!(undone(&past, 1), Err(NotUndone::Overtaken), "the later stop is to be undone");
    assert_eq!(undone(&past, 2), Err(NotUndone::Overtaken));
    assert_eq!(undone(&past, 3), Ok(Command::Start));
    let restarted = Event::Restarted(Restarted { generation: 2 });
    let past = [created(), restarted];
    assert_eq!(undone(&past, 1), Err(NotUndone::Impossible(Impossible::Restart)));
}

#[test]
fn what_is_gone_stays_gone() {
    let past = [created(), Event::Stopped(Stopped {}), Event::Deleted(Deleted {})];
    assert_eq!(undone(&past, 1), Err(NotUndone::Gone));
    assert_eq!(undone(&past, 2), Err(NotUndone::Impossible(Impossible::KeysShredded)));
}
