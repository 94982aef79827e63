//! An event as people see it: what is sealed in the log, or a digest, is masked.

use std::collections::BTreeMap;

use domain::instance::{Access, Created, Hosted, Remote, ReplicaReady};
use domain::token::{Issued, Rotated};
use domain::{CommandId, Digest, Event, Recorded, Sealed, instance, instance_name, token};
use jiff::Timestamp;
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Map, Value};

/// How much of an event is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shown {
    /// What is sealed, or a digest, is masked.
    Masked,
    /// Everything that the log has: sealed secrets as they are sealed.
    Raw,
}

/// What stands for a sealed secret or a digest.
const MASK: &str = "…";

/// An event with its place and its cause.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct EventDocument<'a> {
    sequence: u64,
    at: Timestamp,
    aggregate: &'static str,
    id: String,
    #[serde(flatten)]
    #[schemars(with = "NameAndData")]
    event: Body,
    actor: String,
    command_id: CommandId,
    causation_id: &'a str,
    traceparent: Option<&'a str>,
}

/// The form of a body, whichever event it is.
#[derive(JsonSchema)]
#[expect(dead_code, reason = "only its form counts")]
struct NameAndData {
    /// The event's name: `instance.created`.
    name: String,
    /// What it says, as `schemas/events/` has it; what is sealed in the log, or a digest, is masked.
    data: Map<String, Value>,
}

#[derive(Debug, Serialize)]
#[serde(untagged)]
enum Body {
    Instance(instance::Event),
    InstanceName(instance_name::Event),
    Token(token::Event),
}

impl<'a> EventDocument<'a> {
    pub(crate) fn new(recorded: &'a Recorded, shown: Shown) -> Self {
        let metadata = &recorded.metadata;
        EventDocument {
            sequence: recorded.sequence,
            at: metadata.at,
            aggregate: recorded.event.aggregate(),
            id: recorded.event.aggregate_id(),
            event: match shown {
                Shown::Masked => masked(&recorded.event),
                Shown::Raw => whole(&recorded.event),
            },
            actor: metadata.actor.to_string(),
            command_id: metadata.command_id,
            causation_id: &metadata.causation_id,
            traceparent: metadata.traceparent.as_deref(),
        }
    }
}

fn masked(event: &Event) -> Body {
    match event {
        Event::Instance { event, .. } => Body::Instance(mask_instance(event)),
        Event::InstanceName { event, .. } => Body::InstanceName(event.clone()),
        Event::Token { event, .. } => Body::Token(mask_token(event)),
    }
}

fn whole(event: &Event) -> Body {
    match event {
        Event::Instance { event, .. } => Body::Instance(event.clone()),
        Event::InstanceName { event, .. } => Body::InstanceName(event.clone()),
        Event::Token { event, .. } => Body::Token(event.clone()),
    }
}

/// Every event is named: a new one compiles only when somebody has decided what of it may be seen.
fn mask_instance(event: &instance::Event) -> instance::Event {
    match event {
        instance::Event::Created(created) => instance::Event::Created(Created {
            name: created.name.clone(),
            access: mask_access(&created.access),
        }),
        instance::Event::ReplicaReady(ready) => instance::Event::ReplicaReady(ReplicaReady {
            replica: ready.replica,
            endpoint: ready.endpoint.clone(),
            credential: ready.credential.as_ref().map(|_| Sealed(MASK.to_owned())),
            server: ready.server.clone(),
        }),
        instance::Event::Started(_)
        | instance::Event::Stopped(_)
        | instance::Event::Restarted(_)
        | instance::Event::Deleted(_)
        | instance::Event::ReplicaStarting(_)
        | instance::Event::ReplicaHandshaking(_)
        | instance::Event::ReplicaFailed(_)
        | instance::Event::ReplicaStopped(_) => event.clone(),
    }
}

fn mask_access(access: &Access) -> Access {
    match access {
        Access::Hosted(hosted) => Access::Hosted(Hosted {
            transport: hosted.transport,
            command: hosted.command.clone(),
            env: mask_all(&hosted.env),
        }),
        Access::Proxy(remote) => Access::Proxy(mask_remote(remote)),
        Access::Direct(remote) => Access::Direct(mask_remote(remote)),
    }
}

fn mask_remote(remote: &Remote) -> Remote {
    Remote { transport: remote.transport, url: remote.url.clone(), headers: mask_all(&remote.headers) }
}

fn mask_all(secrets: &BTreeMap<String, Sealed>) -> BTreeMap<String, Sealed> {
    secrets.keys().map(|name| (name.clone(), Sealed(MASK.to_owned()))).collect()
}

fn mask_token(event: &token::Event) -> token::Event {
    match event {
        token::Event::Issued(issued) => token::Event::Issued(Issued {
            instance: issued.instance,
            kind: issued.kind,
            label: issued.label.clone(),
            digest: Digest(MASK.to_owned()),
            masked: issued.masked.clone(),
            sealed: Sealed(MASK.to_owned()),
        }),
        token::Event::Rotated(rotated) => token::Event::Rotated(Rotated {
            digest: Digest(MASK.to_owned()),
            masked: rotated.masked.clone(),
            sealed: Sealed(MASK.to_owned()),
        }),
        token::Event::Edited(_) | token::Event::Revoked(_) => event.clone(),
    }
}
