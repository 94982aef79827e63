//! Stored forms of a retention plan's events.

use domain::InstanceId;
use domain::retention_plan::{Event, RetentionPlanDecider};

use super::{Form, FormError, Stored, data, form, unknown};

impl Stored for RetentionPlanDecider {
    const SNAPSHOT_VERSION: u16 = 1;

    fn write(event: &Event) -> Form {
        match event {
            Event::Set(event) => form(1, event),
            Event::Reset(event) => form(1, event),
        }
    }

    fn read(name: &str, version: u16, payload: &[u8]) -> Result<Event, FormError> {
        match (name, version) {
            ("retention_plan.set", 1) => data(name, version, payload).map(Event::Set),
            ("retention_plan.reset", 1) => data(name, version, payload).map(Event::Reset),
            _ => unknown(name, version),
        }
    }

    fn of(id: InstanceId, event: Event) -> domain::Event {
        domain::Event::RetentionPlan { id, event }
    }
}
