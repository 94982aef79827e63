//! Stored forms of an instance's events.

use domain::InstanceId;
use domain::instance::{Event, InstanceDecider};

use super::{Form, FormError, Stored, data, form, unknown};

impl Stored for InstanceDecider {
    const SNAPSHOT_VERSION: u16 = 1;

    fn write(event: &Event) -> Form {
        match event {
            Event::Created(event) => form(1, event),
            Event::Started(event) => form(1, event),
            Event::Stopped(event) => form(1, event),
            Event::Restarted(event) => form(1, event),
            Event::Deleted(event) => form(1, event),
            Event::ReplicaStarting(event) => form(1, event),
            Event::ReplicaHandshaking(event) => form(1, event),
            Event::ReplicaReady(event) => form(1, event),
            Event::ReplicaFailed(event) => form(1, event),
            Event::ReplicaStopped(event) => form(1, event),
        }
    }

    fn read(name: &str, version: u16, payload: &[u8]) -> Result<Event, FormError> {
        match (name, version) {
            ("instance.created", 1) => data(name, version, payload).map(Event::Created),
            ("instance.started", 1) => data(name, version, payload).map(Event::Started),
            ("instance.stopped", 1) => data(name, version, payload).map(Event::Stopped),
            ("instance.restarted", 1) => data(name, version, payload).map(Event::Restarted),
            ("instance.deleted", 1) => data(name, version, payload).map(Event::Deleted),
            ("instance.replica_starting", 1) => data(name, version, payload).map(Event::ReplicaStarting),
            ("instance.replica_handshaking", 1) => {
                data(name, version, payload).map(Event::ReplicaHandshaking)
            }
            ("instance.replica_ready", 1) => data(name, version, payload).map(Event::ReplicaReady),
            ("instance.replica_failed", 1) => data(name, version, payload).map(Event::ReplicaFailed),
            ("instance.replica_stopped", 1) => data(name, version, payload).map(Event::ReplicaStopped),
            _ => unknown(name, version),
        }
    }

    fn of(id: InstanceId, event: Event) -> domain::Event {
        domain::Event::Instance { id, event }
    }
}
