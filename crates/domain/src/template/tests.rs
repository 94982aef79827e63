//! The rules of templates in given/when/then form.

use std::collections::BTreeMap;

use proptest::prelude::*;
use uuid::Uuid;

use super::*;
use crate::Sealed;
use crate::decider::testing::given;
use crate::instance::{self, Access, Edit, Profile, Remote, RemoteTransport};

fn access() -> Access {
    Access::Proxy(Remote {
        transport: RemoteTransport::StreamableHttp,
        url: "https://example.com/mcp".to_owned(),
        headers: BTreeMap::new(),
    })
}

fn created() -> Event {
    let name = "search".parse().unwrap();
    Event::Created(Created { name, access: access(), profile: Profile::default(), from: None })
}

fn create() -> Command {
    let name = "search".parse().unwrap();
    Command::Create { name, access: access(), profile: Profile::default(), from: None }
}

#[test]
fn a_template_is_created_once_and_stays_deleted() {
    given::<TemplateDecider>([]).when(create()).then([created()]);
    given::<TemplateDecider>([created()]).when(create()).then_refused(Refusal::Exists);
    let past = [created(), Event::Deleted(Deleted {})];
    given::<TemplateDecider>(past.clone()).when(create()).then_refused(Refusal::Deleted);
    given::<TemplateDecider>(past).when(Command::Delete).then([]);
    given::<TemplateDecider>([]).when(Command::Delete).then_refused(Refusal::NotFound);
}

#[test]
fn a_template_is_edited_as_an_instance_is() {
    let notes =
        |notes: &str| Command::Edit(Box::new(Edit { notes: Some(notes.to_owned()), ..Edit::default() }));
    let profile = Profile { notes: "ours".to_owned(), ..Profile::default() };
    given::<TemplateDecider>([created()])
        .when(notes("ours"))
        .then([Event::Edited(Edited { access: access(), profile })]);
    given::<TemplateDecider>([created()]).when(notes("")).then([]);
    let foreign = Edit { args: Some(vec![]), ..Edit::default() };
    let refusal = instance::Refusal::NotOfMode { setting: "command".to_owned(), mode: "proxy".to_owned() };
    given::<TemplateDecider>([created()])
        .when(Command::Edit(Box::new(foreign)))
        .then_refused(Refusal::Settings { refusal });
}

#[test]
fn names_are_claimed_and_released_with_what_they_belong_to() {
    use claim::Command::{Claim, Release};
    let holder = TemplateId(Uuid::from_u128(7));
    let name = |text: &str| text.parse::<Name>().unwrap();
    let active = TemplateDecider::evolve(State::Absent, &created()).unwrap();
    let renamed = Event::Renamed(Renamed { from: name("search"), to: name("find") });
    let claims = name_claims(holder, &active, &renamed);
    assert_eq!(claims, [(name("find"), Claim { holder }), (name("search"), Release { holder })]);
    let claims = name_claims(holder, &active, &Event::Deleted(Deleted {}));
    assert_eq!(claims, [(name("search"), Release { holder })]);
}

fn any_command() -> impl Strategy<Value = Command> {
    let name = prop_oneof![Just("search"), Just("find")].prop_map(|name| name.parse::<Name>().unwrap());
    let header = prop_oneof![Just(None), Just(Some(Sealed("s1".to_owned())))];
    let notes = prop_oneof![Just(None), Just(Some("ours".to_owned())), Just(Some(String::new()))];
    // A proxied template has no arguments, so that some edits are refused.
    let args = prop_oneof![3 => Just(None), 1 => Just(Some(vec!["-v".to_owned()]))];
    let edit = (header, notes, args).prop_map(|(header, notes, args)| {
        let headers = BTreeMap::from([("a".to_owned(), header)]);
        Command::Edit(Box::new(Edit { headers, notes, args, ..Edit::default() }))
    });
    prop_oneof![
        2 => name.clone().prop_map(|name| Command::Create {
            name,
            access: access(),
            profile: Profile::default(),
            from: None,
        }),
        2 => name.prop_map(|name| Command::Rename { name }),
        3 => edit,
        1 => Just(Command::Delete),
    ]
}

proptest! {
    #[test]
    fn no_sequence_of_commands_leads_to_an_impossible_event_or_grants_a_wish_twice(
        commands in proptest::collection::vec(any_command(), 0..40)
    ) {
        let (mut state, mut claimed) = (State::default(), vec![]);
        let holder = TemplateId(Uuid::from_u128(7));
        for command in commands {
            let Ok(events) = TemplateDecider::decide(&state, command.clone()) else { continue };
            for event in events {
                for (name, claim) in name_claims(holder, &state, &event) {
                    match claim {
                        claim::Command::Claim { .. } => claimed.push(name),
                        claim::Command::Release { .. } => claimed.retain(|held| *held != name),
                    }
                }
                let before = TemplateDecider::revision(&state);
                state = TemplateDecider::evolve(state, &event)?;
                prop_assert!(state.active().is_none() || TemplateDecider::revision(&state) == before + 1);
            }
            let names: Vec<_> = state.active().map(|active| active.name.clone()).into_iter().collect();
            prop_assert_eq!(&claimed, &names, "it holds its own name and no other");
            if !matches!(command, Command::Create { .. }) {
                prop_assert_eq!(TemplateDecider::decide(&state, command), Ok(vec![]));
            }
        }
    }
}
