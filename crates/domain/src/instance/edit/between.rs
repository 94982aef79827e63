//! The edit that leads from some settings to others, and back.

use std::collections::BTreeMap;

use super::{Change, Edit};
use crate::instance::{Access, Hosted, Profile, Remote, Resource, Resources, Source};
use crate::patch::changes;
use crate::undo::NotUndone;

impl Edit {
    /// The edit that makes `to` of `from`; none if no edit does, because the access modes differ.
    pub fn between(from: &Access, from_profile: &Profile, to: &Access, to_profile: &Profile) -> Option<Edit> {
        let mut edit = match (from, to) {
            (Access::Hosted(from), Access::Hosted(to)) => between_hosted(from, to),
            (Access::Proxy(from), Access::Proxy(to)) | (Access::Direct(from), Access::Direct(to)) => {
                between_remote(from, to)
            }
            (Access::Hosted(_) | Access::Proxy(_) | Access::Direct(_), _) => return None,
        };
        edit.labels = changes(&from_profile.labels, &to_profile.labels);
        edit.notes = new(&from_profile.notes, &to_profile.notes);
        edit.icon = new(&from_profile.icon, &to_profile.icon);
        edit.capture = new(&from_profile.logging.capture, &to_profile.logging.capture);
        edit.strict = new(&from_profile.logging.strict, &to_profile.logging.strict);
        let (from, to) = (&from_profile.health_check, &to_profile.health_check);
        edit.check_interval_seconds = new(&from.interval_seconds, &to.interval_seconds);
        edit.check_tools = new(&from.tools, &to.tools);
        Some(edit)
    }

    /// The edit that takes another back: the one that made `after` of `before`.
    ///
    /// # Errors
    /// What it changed was changed again until `now`.
    pub(crate) fn back(
        before: (&Access, &Profile),
        after: (&Access, &Profile),
        now: (&Access, &Profile),
    ) -> Result<Edit, NotUndone> {
        let there = Edit::between(before.0, before.1, after.0, after.1).ok_or(NotUndone::Overtaken)?;
        let back = Edit::between(after.0, after.1, before.0, before.1).ok_or(NotUndone::Overtaken)?;
        // The edit once more changes nothing where nobody has changed again what it changed.
        match there.apply(now.0, now.1) {
            Ok((access, profile)) if (&access, &profile) == now => Ok(back),
            Ok(_) | Err(_) => Err(NotUndone::Overtaken),
        }
    }
}

fn between_hosted(from: &Hosted, to: &Hosted) -> Edit {
    let mut edit = Edit {
        env: changes(&from.env, &to.env),
        ports: new(&from.ports, &to.ports),
        mounts: changes(&from.mounts, &to.mounts),
        resources: between_resources(from.resources, to.resources),
        process: new(&from.process, &to.process),
        ..Edit::default()
    };
    match (&from.source, &to.source) {
        // Program and arguments are settings of their own.
        (Source::Command(from), Source::Command(to)) => {
            edit.program = new(&from.program, &to.program).map(Change::Set);
            edit.args = new(&from.args, &to.args);
        }
        (from, to) => edit.source = new(from, to),
    }
    edit
}

fn between_remote(from: &Remote, to: &Remote) -> Edit {
    Edit {
        transport: new(&from.transport, &to.transport),
        url: new(&from.url, &to.url),
        headers: changes(&from.headers, &to.headers),
        ..Edit::default()
    }
}

fn between_resources(from: Resources, to: Resources) -> BTreeMap<Resource, Option<u64>> {
    let changed = to.each().into_iter().zip(from.each()).filter(|(to, from)| to != from);
    changed.map(|(to, _)| to).collect()
}

fn new<T: Clone + PartialEq>(from: &T, to: &T) -> Option<T> {
    (from != to).then(|| to.clone())
}
