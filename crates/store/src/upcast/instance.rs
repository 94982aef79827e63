//! Stored forms of an instance's events.

use std::collections::BTreeMap;

use domain::instance::{
    Access, CommandLine, Created, Event, Hosted, HostedTransport, InstanceDecider, Profile, Remote, Source,
};
use domain::{InstanceId, Name, Sealed};
use serde::Deserialize;

use super::{Form, FormError, Stored, data, form, unknown};

impl Stored for InstanceDecider {
    const SNAPSHOT_VERSION: u16 = 6;

    fn write(event: &Event) -> Form {
        match event {
            Event::Created(event) => form(5, event),
            Event::Renamed(event) => form(1, event),
            Event::Edited(event) => form(4, event),
            Event::AccessChanged(event) => form(2, event),
            Event::AuthorizationChanged(event) => form(1, event),
            Event::Scaled(event) => form(1, event),
            Event::Started(event) => form(1, event),
            Event::Stopped(event) => form(1, event),
            Event::Restarted(event) => form(1, event),
            Event::Deleted(event) => form(1, event),
            Event::ReplicaStarting(event) => form(1, event),
            Event::ReplicaHandshaking(event) => form(1, event),
            Event::ReplicaReady(event) => form(2, event),
            Event::ReplicaFailed(event) => form(1, event),
            Event::ReplicaStopped(event) => form(1, event),
            Event::HealthChanged(event) => form(1, event),
        }
    }

    fn read(name: &str, version: u16, payload: &[u8]) -> Result<Event, FormError> {
        match (name, version) {
            ("instance.created", 1) => data(name, version, payload).map(CreatedV1::lift).map(Event::Created),
            // What is new since is nothing where it is missing: these are read as they stand.
            ("instance.created", 2..=5) => data(name, version, payload).map(Event::Created),
            ("instance.renamed", 1) => data(name, version, payload).map(Event::Renamed),
            ("instance.edited", 1..=4) => data(name, version, payload).map(Event::Edited),
            ("instance.access_changed", 1 | 2) => data(name, version, payload).map(Event::AccessChanged),
            ("instance.authorization_changed", 1) => {
                data(name, version, payload).map(Event::AuthorizationChanged)
            }
            ("instance.scaled", 1) => data(name, version, payload).map(Event::Scaled),
            ("instance.started", 1) => data(name, version, payload).map(Event::Started),
            ("instance.stopped", 1) => data(name, version, payload).map(Event::Stopped),
            ("instance.restarted", 1) => data(name, version, payload).map(Event::Restarted),
            ("instance.deleted", 1) => data(name, version, payload).map(Event::Deleted),
            ("instance.replica_starting", 1) => data(name, version, payload).map(Event::ReplicaStarting),
            ("instance.replica_handshaking", 1) => {
                data(name, version, payload).map(Event::ReplicaHandshaking)
            }
            ("instance.replica_ready", 1 | 2) => data(name, version, payload).map(Event::ReplicaReady),
            ("instance.replica_failed", 1) => data(name, version, payload).map(Event::ReplicaFailed),
            ("instance.replica_stopped", 1) => data(name, version, payload).map(Event::ReplicaStopped),
            ("instance.health_changed", 1) => data(name, version, payload).map(Event::HealthChanged),
            _ => unknown(name, version),
        }
    }

    fn of(id: InstanceId, event: Event) -> domain::Event {
        domain::Event::Instance { id, event }
    }
}

/// Version 1 was written when a hosted instance was one replica of a command and nobody could note anything about it.
#[derive(Deserialize)]
struct CreatedV1 {
    name: Name,
    access: AccessV1,
}

#[derive(Deserialize)]
#[serde(tag = "mode", rename_all = "snake_case")]
enum AccessV1 {
    Hosted(HostedV1),
    Proxy(Remote),
    Direct(Remote),
}

#[derive(Deserialize)]
struct HostedV1 {
    transport: HostedTransport,
    command: CommandLine,
    #[serde(default)]
    env: BTreeMap<String, Sealed>,
}

impl CreatedV1 {
    fn lift(self) -> Created {
        let access = match self.access {
            AccessV1::Hosted(hosted) => Access::Hosted(hosted.lift()),
            AccessV1::Proxy(remote) => Access::Proxy(remote),
            AccessV1::Direct(remote) => Access::Direct(remote),
        };
        Created { name: self.name, access, profile: Profile::default(), template: None }
    }
}

impl HostedV1 {
    fn lift(self) -> Hosted {
        Hosted { transport: self.transport, ..Hosted::new(Source::Command(self.command), self.env) }
    }
}
