//! An event as people see it: what is sealed in the log, or a digest, is masked.

use std::collections::BTreeMap;

use domain::claim::{self, Credentials, InstanceNames, TemplateNames};
use domain::instance::{Access, Hosted, Remote};
use domain::{
    Command, CommandId, Digest, Event, Recorded, Sealed, instance, retention_plan, template, token,
};
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
    InstanceName(claim::Event<InstanceNames>),
    Token(token::Event),
    Credential(claim::Event<Credentials>),
    Template(template::Event),
    TemplateName(claim::Event<TemplateNames>),
    RetentionPlan(retention_plan::Event),
}

impl<'a> EventDocument<'a> {
    pub(crate) fn new(recorded: &'a Recorded, shown: Shown) -> Self {
        let metadata = &recorded.metadata;
        EventDocument {
            sequence: recorded.sequence,
            at: metadata.at,
            aggregate: recorded.event.aggregate(),
            id: match shown {
                Shown::Masked => masked_id(&recorded.event),
                Shown::Raw => recorded.event.aggregate_id(),
            },
            event: match shown {
                Shown::Masked => Body::of(mask(recorded.event.clone())),
                Shown::Raw => Body::of(recorded.event.clone()),
            },
            actor: metadata.actor.to_string(),
            command_id: metadata.command_id,
            causation_id: &metadata.causation_id,
            traceparent: metadata.traceparent.as_deref(),
        }
    }
}

impl Body {
    fn of(event: Event) -> Self {
        match event {
            Event::Instance { event, .. } => Body::Instance(event),
            Event::InstanceName { event, .. } => Body::InstanceName(event),
            Event::Token { event, .. } => Body::Token(event),
            Event::Credential { event, .. } => Body::Credential(event),
            Event::Template { event, .. } => Body::Template(event),
            Event::TemplateName { event, .. } => Body::TemplateName(event),
            Event::RetentionPlan { event, .. } => Body::RetentionPlan(event),
        }
    }
}

fn mask(event: Event) -> Event {
    match event {
        Event::Instance { id, event } => Event::Instance { id, event: mask_instance(event) },
        Event::Token { id, event } => Event::Token { id, event: mask_token(event) },
        Event::Template { id, event } => Event::Template { id, event: mask_template(event) },
        Event::InstanceName { .. }
        | Event::Credential { .. }
        | Event::TemplateName { .. }
        | Event::RetentionPlan { .. } => event,
    }
}

/// A credential's id holds its digest.
pub(crate) fn masked_id(event: &Event) -> String {
    match event {
        Event::Credential { id, .. } => format!("{}_{MASK}", id.instance),
        Event::Instance { .. }
        | Event::InstanceName { .. }
        | Event::Token { .. }
        | Event::Template { .. }
        | Event::TemplateName { .. }
        | Event::RetentionPlan { .. } => event.aggregate_id(),
    }
}

/// Every event is named: a new one compiles only when somebody has decided what of it may be seen.
fn mask_instance(event: instance::Event) -> instance::Event {
    use instance::Event as E;
    match event {
        E::Created(created) => {
            E::Created(instance::Created { access: mask_access(created.access), ..created })
        }
        E::Edited(edited) => E::Edited(instance::Edited { access: mask_access(edited.access), ..edited }),
        E::AccessChanged(changed) => {
            E::AccessChanged(instance::AccessChanged { access: mask_access(changed.access), ..changed })
        }
        E::ReplicaReady(ready) => E::ReplicaReady(instance::ReplicaReady {
            credential: ready.credential.map(|_| masked()),
            ..ready
        }),
        E::Renamed(_)
        | E::AuthorizationChanged(_)
        | E::Scaled(_)
        | E::Started(_)
        | E::Stopped(_)
        | E::Restarted(_)
        | E::Deleted(_)
        | E::ReplicaStarting(_)
        | E::ReplicaHandshaking(_)
        | E::ReplicaFailed(_)
        | E::ReplicaStopped(_)
        | E::HealthChanged(_) => event,
    }
}

fn mask_template(event: template::Event) -> template::Event {
    use template::Event as E;
    match event {
        E::Created(created) => {
            E::Created(template::Created { access: mask_access(created.access), ..created })
        }
        E::Edited(edited) => E::Edited(template::Edited { access: mask_access(edited.access), ..edited }),
        E::Renamed(_) | E::Deleted(_) => event,
    }
}

fn mask_access(access: Access) -> Access {
    match access {
        Access::Hosted(hosted) => Access::Hosted(Hosted { env: mask_all(hosted.env), ..hosted }),
        Access::Proxy(remote) => Access::Proxy(mask_remote(remote)),
        Access::Direct(remote) => Access::Direct(mask_remote(remote)),
    }
}

fn mask_remote(remote: Remote) -> Remote {
    Remote { headers: mask_all(remote.headers), ..remote }
}

fn mask_all(secrets: BTreeMap<String, Sealed>) -> BTreeMap<String, Sealed> {
    secrets.into_keys().map(|name| (name, masked())).collect()
}

fn masked() -> Sealed {
    Sealed(MASK.to_owned())
}

fn mask_token(event: token::Event) -> token::Event {
    use token::Event as E;
    match event {
        E::Issued(issued) => E::Issued(token::Issued {
            digest: Digest(MASK.to_owned()),
            sealed: masked(),
            headers: mask_all(issued.headers),
            ..issued
        }),
        E::Rotated(rotated) => {
            E::Rotated(token::Rotated { digest: Digest(MASK.to_owned()), sealed: masked(), ..rotated })
        }
        E::Edited(edited) => E::Edited(token::Edited { headers: edited.headers.map(mask_all), ..edited }),
        E::Revoked(_) | E::Expired(_) => event,
    }
}

/// A command as people may see it. Every command is named: a new one compiles only when somebody has decided what of it
/// may be seen.
pub(super) fn mask_command(command: Command) -> Command {
    match command {
        Command::Instance { id, command } => Command::Instance { id, command: mask_of_instance(command) },
        Command::Token { id, command } => Command::Token { id, command: mask_of_token(command) },
        Command::Template { id, command } => Command::Template { id, command: mask_of_template(command) },
        Command::RetentionPlan { .. } => command,
    }
}

fn mask_of_instance(command: instance::Command) -> instance::Command {
    use instance::Command as C;
    match command {
        C::Create { name, access, profile, template } => {
            C::Create { name, access: mask_access(access), profile, template }
        }
        C::Edit(edit) => C::Edit(Box::new(mask_edit(*edit))),
        C::ChangeAccess { access } => C::ChangeAccess { access: mask_access(access) },
        C::Rename { .. }
        | C::ChangeAuthorization { .. }
        | C::Scale { .. }
        | C::Start
        | C::Stop
        | C::Restart
        | C::Delete
        | C::Report { .. }
        | C::ReportHealth { .. } => command,
    }
}

fn mask_of_template(command: template::Command) -> template::Command {
    use template::Command as C;
    match command {
        C::Create { name, access, profile, from } => {
            C::Create { name, access: mask_access(access), profile, from }
        }
        C::Edit(edit) => C::Edit(Box::new(mask_edit(*edit))),
        C::Rename { .. } | C::Delete => command,
    }
}

fn mask_of_token(command: token::Command) -> token::Command {
    use token::Command as C;
    match command {
        C::Issue {
            instance,
            kind,
            label,
            digest: _,
            masked: shown,
            sealed: _,
            expiry,
            headers,
            passthrough,
        } => {
            let headers = mask_all(headers);
            let digest = Digest(MASK.to_owned());
            C::Issue {
                instance,
                kind,
                label,
                digest,
                masked: shown,
                sealed: masked(),
                expiry,
                headers,
                passthrough,
            }
        }
        C::Edit { label, expiry, headers, passthrough } => {
            C::Edit { label, expiry, headers: mask_changes(headers), passthrough }
        }
        C::Rotate { digest: _, masked: shown, sealed: _, previous_until } => {
            C::Rotate { digest: Digest(MASK.to_owned()), masked: shown, sealed: masked(), previous_until }
        }
        C::Revoke | C::Expire { .. } => command,
    }
}

fn mask_edit(edit: instance::Edit) -> instance::Edit {
    instance::Edit { env: mask_changes(edit.env), headers: mask_changes(edit.headers), ..edit }
}

fn mask_changes(changes: BTreeMap<String, Option<Sealed>>) -> BTreeMap<String, Option<Sealed>> {
    changes.into_iter().map(|(name, value)| (name, value.map(|_| masked()))).collect()
}
