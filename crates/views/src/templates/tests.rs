//! Events in, row out.

use std::collections::BTreeMap;

use domain::instance::{Remote, RemoteTransport};
use domain::template::{Created, Deleted, Edited, Renamed};

use super::*;
use crate::testing::{fold, recorded};

const ID: TemplateId = TemplateId(Uuid::from_u128(5));

fn access(url: &str) -> Access {
    let transport = RemoteTransport::StreamableHttp;
    Access::Proxy(Remote { transport, url: url.to_owned(), headers: BTreeMap::new() })
}

fn created() -> Event {
    Event::Created(Created {
        name: "search".parse().unwrap(),
        access: access("https://example.com/mcp"),
        profile: Profile::default(),
        from: None,
    })
}

fn row(events: impl IntoIterator<Item = Event>) -> Option<TemplateRow> {
    let events = events.into_iter().map(|event| domain::Event::Template { id: ID, event });
    fold::<Templates>(&recorded(events))
}

#[test]
fn a_template_shows_its_last_name_and_settings() {
    let renamed = Renamed { from: "search".parse().unwrap(), to: "find".parse().unwrap() };
    let edited = Edited { access: access("https://example.org/mcp"), profile: Profile::default() };
    let row = row([created(), Event::Renamed(renamed), Event::Edited(edited)]).unwrap();
    assert_eq!((row.name.as_str(), &row.access), ("find", &access("https://example.org/mcp")));
    assert_eq!((row.revision, row.sequence), (3, 3));
    assert!(row.updated_at > row.created_at);
}

#[test]
fn a_deleted_template_is_gone() {
    assert_eq!(row([created(), Event::Deleted(Deleted {})]), None);
}
