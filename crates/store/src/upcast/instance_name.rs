//! Stored forms of a name's events.

use domain::instance_name::{Event, InstanceName, NameDecider};

use super::{Form, FormError, Stored, data, form, unknown};

impl Stored for NameDecider {
    const SNAPSHOT_VERSION: u16 = 1;

    fn write(event: &Event) -> Form {
        match event {
            Event::Claimed(event) => form(1, event),
            Event::Released(event) => form(1, event),
        }
    }

    fn read(name: &str, version: u16, payload: &[u8]) -> Result<Event, FormError> {
        match (name, version) {
            ("instance_name.claimed", 1) => data(name, version, payload).map(Event::Claimed),
            ("instance_name.released", 1) => data(name, version, payload).map(Event::Released),
            _ => unknown(name, version),
        }
    }

    fn of(id: InstanceName, event: Event) -> domain::Event {
        domain::Event::InstanceName { id, event }
    }
}
