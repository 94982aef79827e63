//! A change of some settings. What it does not name stays as it is, whoever changed it last.

mod between;

pub(crate) use between::changes;

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::profile::{LABELS_MAX, Profile};
use super::{Access, CommandLine, Hosted, Mount, Refusal, Remote, RemoteTransport, Resources, Source};
use crate::Sealed;
use crate::sealed::SEALED_BYTES_MAX;

/// The most environment variables, and the most header fields.
pub const SECRETS_MAX: usize = 256;

/// What shall be otherwise. In a map, `None` takes an entry away.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Edit {
    pub labels: BTreeMap<String, Option<String>>,
    pub notes: Option<String>,
    pub icon: Option<String>,
    /// Of a hosted instance: the whole source.
    pub source: Option<Source>,
    /// Of a hosted instance: the program alone.
    pub program: Option<String>,
    /// Of a hosted instance: the arguments alone.
    pub args: Option<Vec<String>>,
    pub env: BTreeMap<String, Option<Sealed>>,
    pub ports: Option<BTreeSet<u16>>,
    pub mounts: BTreeMap<String, Option<Mount>>,
    pub resources: Option<Resources>,
    /// Of a server elsewhere.
    pub transport: Option<RemoteTransport>,
    pub url: Option<String>,
    pub headers: BTreeMap<String, Option<Sealed>>,
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
            Access::Direct(remote) => Access::Direct(self.apply_remote(remote, access)?),
        };
        require_bounded(&access)?;
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
        if self.program.is_some() || self.args.is_some() {
            change_command(&mut hosted.source, self.program.as_ref(), self.args.as_ref())?;
        }
        patch(&mut hosted.env, &self.env);
        replace(&mut hosted.ports, self.ports.as_ref());
        patch(&mut hosted.mounts, &self.mounts);
        replace(&mut hosted.resources, self.resources.as_ref());
        Ok(hosted)
    }

    fn apply_remote(&self, remote: &Remote, access: &Access) -> Result<Remote, Refusal> {
        let foreign = [
            ("command", self.source.is_some() || self.program.is_some() || self.args.is_some()),
            ("env", !self.env.is_empty()),
            ("ports", self.ports.is_some()),
            ("mounts", !self.mounts.is_empty()),
            ("resources", self.resources.is_some()),
        ];
        refuse_foreign(&foreign, access.mode())?;
        let mut remote = remote.clone();
        replace(&mut remote.transport, self.transport.as_ref());
        replace(&mut remote.url, self.url.as_ref());
        patch(&mut remote.headers, &self.headers);
        Ok(remote)
    }
}

/// Many small edits must not add up to an event that no longer fits into a message.
pub(crate) fn require_bounded(access: &Access) -> Result<(), Refusal> {
    let secrets = access.secrets();
    if secrets.len() > SECRETS_MAX {
        return Err(Refusal::TooMany { what: "variables or header fields".to_owned(), max: SECRETS_MAX });
    }
    let bytes: usize = secrets.values().map(|sealed| sealed.0.len()).sum();
    if bytes > SEALED_BYTES_MAX {
        return Err(Refusal::TooLarge { max: SEALED_BYTES_MAX });
    }
    Ok(())
}

fn refuse_foreign(settings: &[(&str, bool)], mode: &str) -> Result<(), Refusal> {
    match settings.iter().find(|(_, given)| *given) {
        Some((setting, _)) => {
            Err(Refusal::NotOfMode { setting: (*setting).to_owned(), mode: mode.to_owned() })
        }
        None => Ok(()),
    }
}

fn change_command(
    source: &mut Source,
    program: Option<&String>,
    args: Option<&Vec<String>>,
) -> Result<(), Refusal> {
    let command = match source {
        Source::Command(command) => command,
        Source::Image { command, .. } => match program {
            Some(program) => {
                command.get_or_insert_with(|| CommandLine { program: program.clone(), args: vec![] })
            }
            None => command.as_mut().ok_or(Refusal::NoCommand)?,
        },
    };
    replace(&mut command.program, program);
    replace(&mut command.args, args);
    Ok(())
}

fn replace<T: Clone>(setting: &mut T, new: Option<&T>) {
    if let Some(new) = new {
        setting.clone_from(new);
    }
}

fn patch<V: Clone>(map: &mut BTreeMap<String, V>, changes: &BTreeMap<String, Option<V>>) {
    for (key, value) in changes {
        match value {
            Some(value) => drop(map.insert(key.clone(), value.clone())),
            None => drop(map.remove(key)),
        }
    }
}
