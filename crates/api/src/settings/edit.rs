//! Requests that change some settings: JSON merge patches (RFC 7396). What is absent stays, whoever changed it last, and
//! what is null goes.

use std::collections::{BTreeMap, BTreeSet};

use domain::Name;
use domain::instance::{Capture, Change, Edit, HealthCheck, Process, Resource};
use serde::{Deserialize, Serialize};

use super::checked::{CheckedEdit, NewEdit};
use super::rules;
use super::rules::hosted::MountForm;
use super::secret::{SecretText, Secrets};
use super::whole::Transport;
use crate::error::Error;
use crate::extract::{Member, Object};
use crate::violation::Violations;

/// The body of `PATCH /instances/{instance}`.
#[derive(Debug, Deserialize, Serialize)]
#[serde(transparent)]
pub(crate) struct EditInstance(SomeSettings);

/// The body of `PATCH /templates/{template}`.
#[derive(Debug, Deserialize, Serialize)]
#[serde(transparent)]
pub(crate) struct EditTemplate(SomeSettings);

/// The body of `POST /templates/{template}/instantiate`: a name, and what shall be other than in the template.
#[derive(Debug, Deserialize, Serialize)]
#[serde(transparent)]
pub(crate) struct Instantiate(SomeSettings);

/// Entries of a map: null takes one away.
type Entries<T> = BTreeMap<String, Option<T>>;

/// Some settings.
#[derive(Debug, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
struct SomeSettings {
    name: Member<String>,
    labels: Member<Entries<String>>,
    notes: Member<String>,
    icon: Member<String>,
    logging: Member<Object<SomeLogging>>,
    health_check: Member<Object<SomeHealthCheck>>,
    command: Member<Object<SomeCommand>>,
    image: Member<String>,
    ports: Member<Vec<u32>>,
    mounts: Member<Entries<MountForm>>,
    resources: Member<BTreeMap<Resource, Option<u64>>>,
    process: Member<Process>,
    replicas: Member<u16>,
    transport: Member<Transport>,
    url: Member<String>,
    headers: Member<Entries<SecretText>>,
}

#[derive(Debug, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
struct SomeLogging {
    capture: Member<Capture>,
    strict: Member<bool>,
}

#[derive(Debug, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
struct SomeHealthCheck {
    interval_seconds: Member<u32>,
    tools: Member<BTreeSet<String>>,
}

#[derive(Debug, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
struct SomeCommand {
    program: Member<String>,
    args: Member<Vec<String>>,
    env: Member<Entries<SecretText>>,
}

impl EditInstance {
    /// # Errors
    /// `Error::Invalid` or `Error::Unprocessable` with every rule that the request breaks.
    pub(crate) fn check(self) -> Result<CheckedEdit, Error> {
        let detail = "how many replicas run is changed by `POST /instances/{instance}/scale`";
        self.0.check_edit(detail)
    }
}

impl EditTemplate {
    /// # Errors
    /// `Error::Invalid` or `Error::Unprocessable` with every rule that the request breaks.
    pub(crate) fn check(self) -> Result<CheckedEdit, Error> {
        self.0.check_edit("how many replicas an instance starts with is said when it is created")
    }
}

impl Instantiate {
    /// The name, what is otherwise, and how many replicas run.
    ///
    /// # Errors
    /// `Error::Invalid` or `Error::Unprocessable` with every rule that the request breaks.
    pub(crate) fn check(self) -> Result<(Name, NewEdit, Option<u16>), Error> {
        let mut violations = Violations::default();
        let name = match &self.0.name {
            Member::Value(name) => rules::check_name(name, &mut violations),
            Member::Absent | Member::Null => {
                violations.add_at(&["name"], "a name is needed here");
                None
            }
        };
        let replicas = match self.0.replicas {
            Member::Value(replicas) => {
                rules::hosted::check_replicas(replicas, &mut violations);
                Some(replicas)
            }
            Member::Absent | Member::Null => None,
        };
        let edit = self.0.check_settings(&mut violations);
        violations.into_result()?;
        Ok((name.expect("what is missing was noted as a violation"), edit, replicas))
    }
}

impl SomeSettings {
    fn check_edit(mut self, about_replicas: &str) -> Result<CheckedEdit, Error> {
        let mut violations = Violations::default();
        if !matches!(self.replicas, Member::Absent) {
            violations.add_at(&["replicas"], about_replicas);
        }
        let renames = !matches!(self.name, Member::Absent);
        let name =
            needed(std::mem::take(&mut self.name), &["name"], "there has to be a name", &mut violations)
                .and_then(|name| rules::check_name(&name, &mut violations));
        let edit = self.check_settings(&mut violations);
        if renames && edit.says_something() {
            // Two commands could succeed by half.
            let detail = "a rename is a request of its own: nothing else may stand beside it";
            violations.add_at(&["name"], detail);
        }
        violations.into_result()?;
        Ok(match name {
            Some(name) => CheckedEdit::Rename(name),
            None => CheckedEdit::Edit(Box::new(edit)),
        })
    }

    fn check_settings(self, violations: &mut Violations) -> NewEdit {
        let mut new = NewEdit::default();
        let edit = &mut new.edit;
        edit.labels = entries(self.labels, "labels", violations);
        rules::profile::check_labels(
            edit.labels.iter().filter_map(|(key, value)| Some((key, value.as_ref()?))),
            violations,
        );
        edit.notes = self.notes.or_default();
        rules::profile::check_notes(edit.notes.as_deref().unwrap_or_default(), violations);
        edit.icon = self.icon.or_default();
        rules::profile::check_icon(edit.icon.as_deref().unwrap_or_default(), violations);
        let logging = match self.logging {
            Member::Absent => SomeLogging::default(),
            Member::Null => SomeLogging { capture: Member::Null, strict: Member::Null },
            Member::Value(Object(logging)) => logging,
        };
        (edit.capture, edit.strict) = (logging.capture.or_default(), logging.strict.or_default());
        check_health_check(self.health_check, edit, violations);
        edit.image = self.image.into_change();
        if let Some(Change::Set(image)) = &edit.image {
            rules::image::check_image(image, violations);
        }
        edit.ports = self.ports.or_default().map(|ports| rules::hosted::check_ports(ports, violations));
        let mounts = entries(self.mounts, "mounts", violations);
        let set: Vec<_> = mounts.iter().filter_map(|(path, mount)| Some((path, mount.as_ref()?))).collect();
        rules::hosted::check_mounts(set.into_iter(), violations);
        edit.mounts = mounts.into_iter().map(|(path, mount)| (path, mount.map(Into::into))).collect();
        edit.resources = entries(self.resources, "resources", violations);
        for (resource, value) in &edit.resources {
            if let Some(value) = value {
                rules::hosted::check_resource(*resource, *value, violations);
            }
        }
        edit.process = self.process.or_default();
        check_command(self.command, &mut new, violations);
        check_remote(self.transport, self.url, self.headers, &mut new, violations);
        new
    }
}

fn check_health_check(
    health_check: Member<Object<SomeHealthCheck>>,
    edit: &mut Edit,
    violations: &mut Violations,
) {
    let SomeHealthCheck { interval_seconds, tools } = match health_check {
        Member::Absent => return,
        Member::Null => SomeHealthCheck { interval_seconds: Member::Null, tools: Member::Null },
        Member::Value(Object(health_check)) => health_check,
    };
    let default = HealthCheck::default();
    edit.check_interval_seconds = match interval_seconds {
        Member::Null => Some(default.interval_seconds),
        Member::Absent => None,
        Member::Value(seconds) => Some(seconds),
    };
    edit.check_tools = tools.or_default();
    let said = HealthCheck {
        interval_seconds: edit.check_interval_seconds.unwrap_or(default.interval_seconds),
        tools: edit.check_tools.clone().unwrap_or_default(),
    };
    rules::health::check(&said, violations);
}

fn check_command(command: Member<Object<SomeCommand>>, new: &mut NewEdit, violations: &mut Violations) {
    let detail =
        "name what shall go: `command.program` for an image's own entry point, an entry of `command.env`";
    let Some(Object(command)) = needed(command, &["command"], detail, violations) else { return };
    new.edit.program = command.program.into_change();
    if let Some(Change::Set(program)) = &new.edit.program {
        rules::check_program(program, violations);
    }
    new.edit.args = command.args.or_default();
    rules::check_args(new.edit.args.as_deref().unwrap_or_default(), violations);
    let env = entries(command.env, "command/env", violations);
    (new.env, new.edit.env) = split(env);
    rules::check_env(&new.env, violations);
}

fn check_remote(
    transport: Member<Transport>,
    url: Member<String>,
    headers: Member<Entries<SecretText>>,
    new: &mut NewEdit,
    violations: &mut Violations,
) {
    let transport = needed(transport, &["transport"], "there has to be a transport", violations);
    new.edit.transport = transport.and_then(|transport| transport.check_remote(violations));
    let url = needed(url, &["url"], "there has to be a url", violations);
    new.edit.url = url.and_then(|url| rules::check_url(&url, violations)).map(String::from);
    (new.headers, new.edit.headers) = split(entries(headers, "headers", violations));
    rules::check_headers(&new.headers, violations);
}

/// Null for all of them is refused: who sends it may not know what others have put there.
fn entries<K, V>(
    member: Member<BTreeMap<K, Option<V>>>,
    place: &str,
    violations: &mut Violations,
) -> BTreeMap<K, Option<V>> {
    let path: Vec<&str> = place.split('/').collect();
    let detail = "an object is needed here: each entry that shall go is null";
    needed(member, &path, detail, violations).unwrap_or_default()
}

/// The value, if there is one. Null is noted: there is nothing that could be taken away.
fn needed<T>(member: Member<T>, path: &[&str], detail: &str, violations: &mut Violations) -> Option<T> {
    match member {
        Member::Absent => None,
        Member::Null => {
            violations.add_at(path, detail);
            None
        }
        Member::Value(value) => Some(value),
    }
}

/// What is set, and what is taken away.
fn split<T>(entries: Entries<SecretText>) -> (Secrets, Entries<T>) {
    let (mut set, mut removed) = (Secrets::new(), Entries::new());
    for (name, secret) in entries {
        match secret {
            Some(secret) => drop(set.insert(name, secret)),
            None => drop(removed.insert(name, None)),
        }
    }
    (set, removed)
}
