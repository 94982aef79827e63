//! Stored forms of a template's events.

use domain::TemplateId;
use domain::template::{Event, TemplateDecider};

use super::{Form, FormError, Stored, data, form, unknown};

impl Stored for TemplateDecider {
    const SNAPSHOT_VERSION: u16 = 4;

    fn write(event: &Event) -> Form {
        match event {
            Event::Created(event) => form(4, event),
            Event::Renamed(event) => form(1, event),
            Event::Edited(event) => form(4, event),
            Event::Deleted(event) => form(1, event),
        }
    }

    fn read(name: &str, version: u16, payload: &[u8]) -> Result<Event, FormError> {
        match (name, version) {
            // Version 1 has no `process`, version 2 no `logging`, version 3 no `health_check`: they are what they are when
            // nothing is said.
            ("template.created", 1..=4) => data(name, version, payload).map(Event::Created),
            ("template.renamed", 1) => data(name, version, payload).map(Event::Renamed),
            ("template.edited", 1..=4) => data(name, version, payload).map(Event::Edited),
            ("template.deleted", 1) => data(name, version, payload).map(Event::Deleted),
            _ => unknown(name, version),
        }
    }

    fn of(id: TemplateId, event: Event) -> domain::Event {
        domain::Event::Template { id, event }
    }
}
