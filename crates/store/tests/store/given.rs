//! Commands and events for the tests.

use std::collections::BTreeMap;

use domain::instance::{Access, CommandLine, Created, Event, Hosted, Source};
use domain::{InstanceId, Metadata, TokenId};
pub(crate) use store::testing::given;
use uuid::Uuid;

pub(crate) fn instance_id() -> InstanceId {
    InstanceId(Uuid::now_v7())
}

pub(crate) fn token_id() -> TokenId {
    TokenId(Uuid::now_v7())
}

pub(crate) fn metadata() -> Metadata {
    given().metadata()
}

pub(crate) fn hosted() -> Access {
    let command = CommandLine { program: "npx".to_owned(), args: vec!["-y".to_owned()] };
    Access::Hosted(Hosted::new(Source::Command(command), BTreeMap::new()))
}

pub(crate) fn created(name: &str) -> Event {
    Event::Created(Created::new(name.parse().expect("a legal name"), hosted()))
}
