//! A change of some settings. What it does not name stays as it is, whoever changed it last.

mod between;

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::access::require_possible;
use super::profile::{LABELS_MAX, Profile};
use super::{
    Access, Capture, CommandLine, Hosted, Mount, Process, Refusal, Remote, RemoteTransport, Resource, Source,
};
use crate::Sealed;
use crate::patch::patch;

/// What shall be otherwise. In a map, `None` takes an entry away.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Edit {
    pub labels: BTreeMap<String, Option<String>>,
    pub notes: Option<String>,
    pub icon: Option<String>,
    /// How much of the calls is recorded.
    pub capture: Option<Capture>,
    /// Whether an answer waits until its call is recorded.
    pub strict: Option<bool>,
    /// The time from one probe to the next, in seconds.
    pub check_interval_seconds: Option<u32>,
    /// The tools that probes expect, all of them.
    pub check_tools: Option<BTreeSet<String>>,
    /// Of a hosted instance: the whole source.
    pub source: Option<Source>,
    /// Of a hosted instance: the image alone. The command stays, and is run in the image or without one.
    pub image: Option<Change<String>>,
    /// Of a hosted instance: the program alone. Cleared, the image's own entry point is run.
    pub program: Option<Change<String>>,
    /// Of a hosted instance: the arguments alone.
    pub args: Option<Vec<String>>,
    pub env: BTreeMap<String, Option<Sealed>>,
    pub ports: Option<BTreeSet<u16>>,
    pub mounts: BTreeMap<String, Option<Mount>>,
    pub resources: BTreeMap<Resource, Option<u64>>,
    /// Of a hosted instance: whom a process of the server serves.
    pub process: Option<Process>,
    /// Of a server elsewhere.
    pub transport: Option<RemoteTransport>,
    pub url: Option<String>,
    pub headers: BTreeMap<String, Option<Sealed>>,
}

/// What becomes of something that need not be there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Change<T> {
    Set(T),
    Clear,
}

impl Edit {
    /// The settings with the change in them.
    ///
    /// # Errors
    /// A setting that the access mode does not have, or more than may be.
    pub fn apply(&self, access: &Access, profile: &Profile) -> Result<(Access, Profile), Refusal> {
        let access = match access {
            Access::Hosted(hosted) => Access::Hosted(self.apply_hosted(hosted)?),
            Access::Proxy(remote) => Access::Proxy(self.apply_remote(remote, access)?),
            Access::Direct(remote) => {
                // Its clients never meet the gateway, which would record them.
                let logging = self.capture.is_some() || self.strict.is_some();
                // Nothing of ours ever connects to it, either.
                let probed = self.check_interval_seconds.is_some() || self.check_tools.is_some();
                refuse_foreign(&[("logging", logging), ("health check", probed)], "direct")?;
                Access::Direct(self.apply_remote(remote, access)?)
            }
        };
        require_possible(&access)?;
        Ok((access, self.apply_profile(profile)?))
    }

    fn apply_profile(&self, profile: &Profile) -> Result<Profile, Refusal> {
        let mut profile = profile.clone();
        patch(&mut profile.labels, &self.labels);
        if profile.labels.len() > LABELS_MAX {
            return Err(Refusal::TooMany { what: "labels".to_owned(), max: LABELS_MAX });
        }
        replace(&mut profile.notes, self.notes.as_ref());
        replace(&mut profile.icon, self.icon.as_ref());
        replace(&mut profile.logging.capture, self.capture.as_ref());
        replace(&mut profile.logging.strict, self.strict.as_ref());
        replace(&mut profile.health_check.interval_seconds, self.check_interval_seconds.as_ref());
        replace(&mut profile.health_check.tools, self.check_tools.as_ref());
        Ok(profile)
    }

    fn apply_hosted(&self, hosted: &Hosted) -> Result<Hosted, Refusal> {
        let foreign = [
            ("transport", self.transport.is_some()),
            ("url", self.url.is_some()),
            ("headers", !self.headers.is_empty()),
        ];
        refuse_foreign(&foreign, "hosted")?;
        let mut hosted = hosted.clone();
        replace(&mut hosted.source, self.source.as_ref());
        hosted.source = self.apply_source(hosted.source)?;
        patch(&mut hosted.env, &self.env);
        replace(&mut hosted.ports, self.ports.as_ref());
        patch(&mut hosted.mounts, &self.mounts);
        for (resource, value) in &self.resources {
            hosted.resources.set(*resource, *value);
        }
        replace(&mut hosted.process, self.process.as_ref());
        Ok(hosted)
    }

    fn apply_source(&self, source: Source) -> Result<Source, Refusal> {
        let (image, command) = match source {
            Source::Command(command) => (None, Some(command)),
            Source::Image { image, command } => (Some(image), command),
        };
        let image = changed(image, self.image.as_ref());
        let command = match (command, &self.program) {
            (_, Some(Change::Clear)) if self.args.as_ref().is_some_and(|args| !args.is_empty()) => {
                return Err(Refusal::NoCommand);
            }
            (_, Some(Change::Clear)) => None,
            (Some(command), Some(Change::Set(program))) => {
                Some(CommandLine { program: program.clone(), ..command })
            }
            (None, Some(Change::Set(program))) => {
                Some(CommandLine { program: program.clone(), args: vec![] })
            }
            (command, None) => command,
        };
        let command = match (command, &self.args) {
            (Some(command), Some(args)) => Some(CommandLine { args: args.clone(), ..command }),
            (None, Some(args)) if !args.is_empty() => return Err(Refusal::NoCommand),
            (command, _) => command,
        };
        match (image, command) {
            (Some(image), command) => Ok(Source::Image { image, command }),
            (None, Some(command)) => Ok(Source::Command(command)),
            (None, None) => Err(Refusal::NothingToRun),
        }
    }

    fn apply_remote(&self, remote: &Remote, access: &Access) -> Result<Remote, Refusal> {
        let foreign = [
            ("command", self.source.is_some() || self.program.is_some() || self.args.is_some()),
            ("image", self.image.is_some()),
            ("env", !self.env.is_empty()),
            ("ports", self.ports.is_some()),
            ("mounts", !self.mounts.is_empty()),
            ("resources", !self.resources.is_empty()),
            ("process", self.process.is_some()),
        ];
        refuse_foreign(&foreign, access.mode())?;
        let mut remote = remote.clone();
        replace(&mut remote.transport, self.transport.as_ref());
        replace(&mut remote.url, self.url.as_ref());
        // The case of a header field's name does not count.
        remote.headers.retain(|name, _| !self.headers.keys().any(|key| key.eq_ignore_ascii_case(name)));
        patch(&mut remote.headers, &self.headers);
        Ok(remote)
    }
}

fn refuse_foreign(settings: &[(&str, bool)], mode: &str) -> Result<(), Refusal> {
    match settings.iter().find(|(_, given)| *given) {
        Some((setting, _)) => {
            Err(Refusal::NotOfMode { setting: (*setting).to_owned(), mode: mode.to_owned() })
        }
        None => Ok(()),
    }
}

fn changed<T: Clone>(before: Option<T>, change: Option<&Change<T>>) -> Option<T> {
    match change {
        None => before,
        Some(Change::Set(value)) => Some(value.clone()),
        Some(Change::Clear) => None,
    }
}

fn replace<T: Clone>(setting: &mut T, new: Option<&T>) {
    if let Some(new) = new {
        setting.clone_from(new);
    }
}
