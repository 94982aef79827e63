//! The rules of templates in given/when/then form.

use std::collections::BTreeMap;

use uuid::Uuid;

use super::*;
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
