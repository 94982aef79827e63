//! Requests that say all settings there are: what goes with what. `rules` has the rules on single values.

use std::collections::{BTreeMap, BTreeSet};

use domain::Name;
use domain::instance::{
    Capture, CommandLine, HealthCheck, Hosted, Logging, Process, Profile, RemoteTransport, Source,
};
use serde::{Deserialize, Serialize};

use super::checked::{NewAccess, NewInstance, NewRemote, NewTemplate};
use super::rules;
use super::rules::hosted::{MountForm, ResourcesForm};
use super::secret::{SecretText, Secrets};
use crate::error::Error;
use crate::extract::Object;
use crate::violation::Violations;

/// The body of `POST /instances`.
#[derive(Debug, Deserialize, Serialize)]
#[serde(transparent)]
pub(crate) struct CreateInstance(Whole);

/// The body of `PUT /instances/{instance}/access`.
#[derive(Debug, Deserialize, Serialize)]
#[serde(transparent)]
pub(crate) struct ReplaceAccess(Whole);

/// The body of `POST /templates`.
#[derive(Debug, Deserialize, Serialize)]
#[serde(transparent)]
pub(crate) struct CreateTemplate(Whole);

/// All settings. What must be there is optional here, so that everything that is missing is named in one answer.
#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Whole {
    name: Option<String>,
    /// A template may have it, and then nothing else but a name: its settings are those of this instance.
    from: Option<String>,
    labels: Option<BTreeMap<String, String>>,
    notes: Option<String>,
    icon: Option<String>,
    /// Hosted and proxied instances may have it.
    logging: Option<Object<LoggingForm>>,
    /// Hosted and proxied instances may have it.
    health_check: Option<Object<HealthCheckForm>>,
    access: Option<AccessMode>,
    transport: Option<Transport>,
    /// Hosted instances have it, unless an image's own entry point is run, and no others.
    command: Option<Object<Command>>,
    /// Hosted instances may have the following, and no others.
    image: Option<String>,
    ports: Option<Vec<u32>>,
    mounts: Option<BTreeMap<String, MountForm>>,
    resources: Option<Object<ResourcesForm>>,
    process: Option<Process>,
    replicas: Option<u16>,
    /// Proxied and direct instances have it, and no others.
    url: Option<String>,
    /// Proxied and direct instances may have them.
    headers: Option<Secrets>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
enum AccessMode {
    Hosted,
    Proxy,
    Direct,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Transport {
    Stdio,
    Sse,
    StreamableHttp,
}

#[derive(Debug, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Command {
    program: Option<String>,
    #[serde(default)]
    args: Vec<String>,
    #[serde(default)]
    env: BTreeMap<String, SecretText>,
}

/// What is not said is as it is by default.
#[derive(Debug, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
struct LoggingForm {
    capture: Option<Capture>,
    strict: Option<bool>,
}

/// What is not said is as it is by default.
#[derive(Debug, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
struct HealthCheckForm {
    interval_seconds: Option<u32>,
    tools: Option<BTreeSet<String>>,
}

impl CreateInstance {
    /// # Errors
    /// `Error::Invalid` or `Error::Unprocessable` with every rule that the request breaks.
    pub(crate) fn check(self) -> Result<NewInstance, Error> {
        let mut violations = Violations::default();
        let detail = "an instance is made from a template: `POST /templates/{template}/instantiate`";
        self.0.refuse(|member| member == "from", detail, &mut violations);
        self.0.check(violations)
    }
}

impl CreateTemplate {
    /// The instance that the settings are taken from, as the request names it.
    pub(crate) fn from(&self) -> Option<&str> {
        self.0.from.as_deref()
    }

    /// # Errors
    /// `Error::Invalid` or `Error::Unprocessable` with every rule that the request breaks.
    pub(crate) fn check(self) -> Result<NewTemplate, Error> {
        let mut violations = Violations::default();
        let Some(instance) = self.0.from.clone() else {
            return self.0.check(violations).map(Box::new).map(NewTemplate::FromScratch);
        };
        let detail = "with `from`, the settings are those of the instance; edit the template then";
        self.0.refuse(|member| !["name", "from"].contains(&member), detail, &mut violations);
        let name = self.0.check_name(&mut violations);
        violations.into_result()?;
        let name = name.expect("what is missing was noted as a violation");
        Ok(NewTemplate::Of { name, instance })
    }
}

impl ReplaceAccess {
    /// # Errors
    /// `Error::Invalid` or `Error::Unprocessable` with every rule that the request breaks.
    pub(crate) fn check(self) -> Result<NewAccess, Error> {
        let mut violations = Violations::default();
        let is_foreign = |member: &str| {
            ["name", "from", "labels", "notes", "icon", "logging", "health_check"].contains(&member)
        };
        self.0.refuse(is_foreign, "this is no part of the access mode", &mut violations);
        let access = self.0.check_access(&mut violations);
        violations.into_result()?;
        Ok(access.expect("what is missing was noted as a violation"))
    }
}

impl Whole {
    /// Notes those members that are given and should not be.
    fn refuse(&self, is_foreign: impl Fn(&str) -> bool, detail: &str, violations: &mut Violations) {
        let given = [
            ("name", self.name.is_some()),
            ("from", self.from.is_some()),
            ("labels", self.labels.is_some()),
            ("notes", self.notes.is_some()),
            ("icon", self.icon.is_some()),
            ("logging", self.logging.is_some()),
            ("health_check", self.health_check.is_some()),
            ("access", self.access.is_some()),
            ("transport", self.transport.is_some()),
            ("command", self.command.is_some()),
            ("image", self.image.is_some()),
            ("ports", self.ports.is_some()),
            ("mounts", self.mounts.is_some()),
            ("resources", self.resources.is_some()),
            ("process", self.process.is_some()),
            ("replicas", self.replicas.is_some()),
            ("url", self.url.is_some()),
            ("headers", self.headers.is_some()),
        ];
        for (member, _) in given.into_iter().filter(|(member, given)| *given && is_foreign(member)) {
            violations.add_at(&[member], detail);
        }
    }

    fn check(mut self, mut violations: Violations) -> Result<NewInstance, Error> {
        let name = self.check_name(&mut violations);
        let profile = Profile {
            labels: self.labels.take().unwrap_or_default(),
            notes: self.notes.take().unwrap_or_default(),
            icon: self.icon.take().unwrap_or_default(),
            logging: self.check_logging(&mut violations),
            health_check: self.check_health_check(&mut violations),
        };
        rules::profile::check(&profile, &mut violations);
        let access = self.check_access(&mut violations);
        violations.into_result()?;
        let (name, access) = name.zip(access).expect("what is missing was noted as a violation");
        Ok(NewInstance { name, profile, access })
    }

    fn check_logging(&mut self, violations: &mut Violations) -> Logging {
        let Some(Object(logging)) = self.logging.take() else { return Logging::default() };
        if self.access == Some(AccessMode::Direct) {
            let detail = "clients of a direct instance never meet the gateway, which records";
            violations.add_beyond_form_at(&["logging"], detail);
        }
        let LoggingForm { capture, strict } = logging;
        Logging { capture: capture.unwrap_or_default(), strict: strict.unwrap_or_default() }
    }

    fn check_health_check(&mut self, violations: &mut Violations) -> HealthCheck {
        let default = HealthCheck::default();
        let Some(Object(form)) = self.health_check.take() else { return default };
        if self.access == Some(AccessMode::Direct) {
            let detail = "clients of a direct instance go there themselves: it is not probed";
            violations.add_beyond_form_at(&["health_check"], detail);
        }
        let HealthCheckForm { interval_seconds, tools } = form;
        let check = HealthCheck {
            interval_seconds: interval_seconds.unwrap_or(default.interval_seconds),
            tools: tools.unwrap_or_default(),
        };
        rules::health::check(&check, violations);
        check
    }

    fn check_name(&self, violations: &mut Violations) -> Option<Name> {
        required(self.name.as_deref(), &["name"], "a name", violations)
            .and_then(|name| rules::check_name(name, violations))
    }

    fn check_access(self, violations: &mut Violations) -> Option<NewAccess> {
        required(self.transport, &["transport"], "`stdio`, `sse` or `streamable-http`", violations);
        let mode = required(self.access, &["access"], "`hosted`, `proxy` or `direct`", violations)?;
        match mode {
            AccessMode::Hosted => self.check_hosted(violations),
            AccessMode::Proxy => self.check_remote(violations).map(NewAccess::Proxy),
            AccessMode::Direct => self.check_remote(violations).map(NewAccess::Direct),
        }
    }

    fn check_hosted(self, violations: &mut Violations) -> Option<NewAccess> {
        match self.transport {
            Some(Transport::Stdio) | None => {}
            Some(Transport::Sse | Transport::StreamableHttp) => {
                violations.add_at(&["transport"], "a hosted command speaks `stdio`");
            }
        }
        let detail = "a hosted instance has no url: the platform runs its command";
        self.refuse(|member| member == "url", detail, violations);
        let detail = "a hosted instance has no headers: use `command.env`";
        self.refuse(|member| member == "headers", detail, violations);
        let ports = rules::hosted::check_ports(self.ports.unwrap_or_default(), violations);
        let mounts = self.mounts.unwrap_or_default();
        rules::hosted::check_mounts(mounts.iter(), violations);
        let Object(resources) = self.resources.unwrap_or_default();
        rules::hosted::check_resources(&resources, violations);
        let replicas = self.replicas.unwrap_or(1);
        rules::hosted::check_replicas(replicas, violations);
        let (source, env) =
            check_source(self.image, self.command.map(|Object(command)| command), violations)?;
        let mounts = mounts.into_iter().map(|(path, mount)| (path, mount.into())).collect();
        let resources = resources.into();
        let process = self.process.unwrap_or_default();
        let hosted =
            Hosted { ports, mounts, resources, process, replicas, ..Hosted::new(source, BTreeMap::new()) };
        Some(NewAccess::Hosted { hosted, env })
    }

    fn check_remote(self, violations: &mut Violations) -> Option<NewRemote> {
        let hosted = ["command", "image", "ports", "mounts", "resources", "process", "replicas"];
        let is_hosted = |member: &str| hosted.contains(&member);
        self.refuse(is_hosted, "only a hosted instance has this: the platform runs it", violations);
        let headers = self.headers.unwrap_or_default();
        rules::check_headers(&headers, violations);
        let transport = self.transport.and_then(|transport| transport.check_remote(violations));
        let url = required(self.url, &["url"], "the url of the server", violations)
            .and_then(|url| rules::check_url(&url, violations));
        Some(NewRemote { transport: transport?, url: url?, headers })
    }
}

impl Transport {
    pub(super) fn check_remote(self, violations: &mut Violations) -> Option<RemoteTransport> {
        match self {
            Transport::Sse => Some(RemoteTransport::Sse),
            Transport::StreamableHttp => Some(RemoteTransport::StreamableHttp),
            Transport::Stdio => {
                violations.add_at(&["transport"], "a server elsewhere speaks `sse` or `streamable-http`");
                None
            }
        }
    }
}

/// What is run: a command, an image's own entry point, or a command in an image.
fn check_source(
    image: Option<String>,
    command: Option<Command>,
    violations: &mut Violations,
) -> Option<(Source, Secrets)> {
    if let Some(image) = &image {
        rules::image::check_image(image, violations);
    }
    let command = match (&image, command) {
        (None, command) => required(command, &["command"], "a command, or an image,", violations)?,
        (Some(_), command) => command.unwrap_or_default(),
    };
    if let Some(program) = &command.program {
        rules::check_program(program, violations);
    }
    rules::check_args(&command.args, violations);
    rules::check_env(&command.env, violations);
    let line = match (&image, command.program) {
        (_, Some(program)) => Some(CommandLine { program, args: command.args }),
        (Some(_), None) if command.args.is_empty() => None,
        (Some(_), None) => {
            violations.add_at(&["command", "program"], "arguments need a program: name the image's own");
            None
        }
        (None, None) => required(None, &["command", "program"], "a program", violations),
    };
    let source = match (image, line) {
        (Some(image), command) => Source::Image { image, command },
        (None, Some(command)) => Source::Command(command),
        (None, None) => return None,
    };
    Some((source, command.env))
}

/// Notes that a value is missing, if it is.
fn required<T>(value: Option<T>, path: &[&str], what: &str, violations: &mut Violations) -> Option<T> {
    if value.is_none() {
        violations.add_at(path, format!("{what} is needed here"));
    }
    value
}
