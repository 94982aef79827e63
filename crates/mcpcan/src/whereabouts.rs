//! Where the platform is that a command is for: named in the environment, or a local `up` that is found by the files
//! it keeps. Used by every command that speaks to the api; `up` writes the files.

use std::path::{Path, PathBuf};
use std::{env, fs, io};

use anyhow::Context;
use serde::{Deserialize, Serialize};
use url::Url;
use zeroize::Zeroizing;

use crate::data_directory::{ADMIN_KEY_FILE, write_private};
use crate::failure::Failure;
use crate::own_directory::{NotOwn, OwnDirectory};

/// Names the api, as `http://host:port`.
pub(crate) const API_VARIABLE: &str = "MCPCAN_API";
/// Holds the admin key.
pub(crate) const ADMIN_KEY_VARIABLE: &str = "MCPCAN_ADMIN_KEY";
/// Where `up` keeps its state unless it is told otherwise.
pub(crate) const DATA_DIRECTORY: &str = ".mcpcan";

const RUN_FILE: &str = "run.json";

/// What a running `up` tells about itself, in its data directory.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct RunFile {
    pub(crate) pid: u32,
    pub(crate) api: Url,
    pub(crate) gateway: Url,
    pub(crate) nats: String,
    pub(crate) clickhouse: String,
    /// For people: the command line takes the key from the data directory itself.
    pub(crate) admin_key_file: PathBuf,
}

/// A running `up` of this user.
#[derive(Debug)]
struct LocalRun {
    run: RunFile,
    directory: OwnDirectory,
}

/// The api and the key to it.
pub(crate) struct Whereabouts {
    pub(crate) api: Url,
    pub(crate) admin_key: Zeroizing<String>,
}

impl Whereabouts {
    /// Finds the platform. `data` is the data directory that the command line names; it goes before the environment.
    pub(crate) fn find(data: Option<&Path>) -> Result<Self, Failure> {
        let key = env::var(ADMIN_KEY_VARIABLE).ok().filter(|key| !key.is_empty()).map(Zeroizing::new);
        let api = env::var(API_VARIABLE).ok().filter(|api| !api.is_empty());
        if let Some(api) = api.filter(|_| data.is_none()) {
            let api = Url::parse(&api)
                .ok()
                .filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host())
                .ok_or_else(|| Failure::Usage(format!("{API_VARIABLE}={api} is no http or https address")))?;
            let admin_key = key.ok_or_else(|| {
                Failure::Usage(format!(
                    "{API_VARIABLE} is set, so {ADMIN_KEY_VARIABLE} must hold the admin key"
                ))
            })?;
            return Ok(Self { api, admin_key });
        }
        let LocalRun { run, directory } = local_run(data)?;
        let admin_key = match key {
            Some(key) => key,
            None => {
                let text = directory.read(ADMIN_KEY_FILE).context("read the admin key")?;
                Zeroizing::new(text.trim().to_owned())
            }
        };
        Ok(Self { api: run.api, admin_key })
    }
}

impl RunFile {
    /// Tells where this `up` is: completely or not at all.
    pub(crate) fn write(&self, data: &Path) -> anyhow::Result<()> {
        write_private(&data.join(RUN_FILE), &serde_json::to_string_pretty(self)?)?;
        // Only a convenience for commands that are given from another directory.
        if let Err(error) = self.register(data) {
            tracing::debug!(%error, "note the data directory for other shells");
        }
        Ok(())
    }

    /// Takes back what [`RunFile::write`] told.
    pub(crate) fn remove(&self, data: &Path) {
        let noted = runs_directory().map(|runs| runs.join(self.pid.to_string()));
        for path in [Some(data.join(RUN_FILE)), noted].into_iter().flatten() {
            if let Err(error) = fs::remove_file(&path).or_else(none_is_fine) {
                tracing::warn!(%error, path = %path.display(), "remove run file");
            }
        }
    }

    fn register(&self, data: &Path) -> io::Result<()> {
        let Some(directory) = runs_directory() else { return Ok(()) };
        fs::create_dir_all(&directory)?;
        for (pid, data) in registered(&directory) {
            if !matches!(LocalRun::of(&data), Ok(Some(local)) if local.run.pid == pid) {
                fs::remove_file(directory.join(pid.to_string())).or_else(none_is_fine)?;
            }
        }
        fs::write(directory.join(self.pid.to_string()), data.as_os_str().as_encoded_bytes())
    }
}

fn none_is_fine(error: io::Error) -> io::Result<()> {
    if error.kind() == io::ErrorKind::NotFound { Ok(()) } else { Err(error) }
}

impl LocalRun {
    /// The `up` that runs on a data directory. What one that has ended left behind does not count: others may listen
    /// at its addresses by now.
    fn of(data: &Path) -> Result<Option<Self>, NotOwn> {
        let found = OwnDirectory::open(data).and_then(|directory| Ok((directory.read(RUN_FILE)?, directory)));
        let (text, directory) = match found {
            Err(error) if error.is_absent() => return Ok(None),
            found => found?,
        };
        let Ok(run) = serde_json::from_str::<RunFile>(&text) else { return Ok(None) };
        Ok((directory.user()? == Some(run.pid)).then_some(Self { run, directory }))
    }
}

fn local_run(data: Option<&Path>) -> Result<LocalRun, Failure> {
    if let Some(data) = data {
        return LocalRun::of(data).map_err(not_own)?.ok_or_else(|| {
            nothing_runs(&format!("no `mcpcan up` runs with the data directory {}", data.display()))
        });
    }
    let here = env::current_dir().context("read the working directory")?;
    for directory in here.ancestors() {
        match LocalRun::of(&directory.join(DATA_DIRECTORY)) {
            Ok(Some(local)) => return Ok(local),
            // Whoever stands here means this system: another of theirs may know the same names.
            Ok(None) if directory.join(DATA_DIRECTORY).join(ADMIN_KEY_FILE).exists() => {
                let data = directory.join(DATA_DIRECTORY);
                return Err(nothing_runs(&format!(
                    "no `mcpcan up` runs here, with the data directory {} (--data DIR names another)",
                    data.display()
                )));
            }
            // One of somebody else's is none for us.
            Ok(None) | Err(NotOwn::Foreign(_) | NotOwn::Unreadable { .. }) => {}
            Err(error @ NotOwn::Writable(_)) => return Err(not_own(error)),
        }
    }
    let elsewhere = runs_directory().map(|runs| registered(&runs)).unwrap_or_default();
    let running = |(pid, data): (u32, PathBuf)| {
        let local = LocalRun::of(&data).ok()??;
        (local.run.pid == pid).then_some((data, local))
    };
    let mut running: Vec<_> = elsewhere.into_iter().filter_map(running).collect();
    match running.len() {
        0 => Err(nothing_runs("no `mcpcan up` runs here")),
        1 => Ok(running.remove(0).1),
        _ => {
            let found: Vec<_> =
                running.iter().map(|(data, _)| format!("--data {}", data.display())).collect();
            Err(Failure::Usage(format!("several `mcpcan up` run: say which one with {}", found.join(" or "))))
        }
    }
}

fn not_own(error: NotOwn) -> Failure {
    let what = format!("use this data directory (or set {API_VARIABLE} and {ADMIN_KEY_VARIABLE})");
    anyhow::Error::from(error).context(what).into()
}

fn nothing_runs(what: &str) -> Failure {
    let help = anyhow::anyhow!("start one, or set {API_VARIABLE} and {ADMIN_KEY_VARIABLE}");
    Failure::unreachable(format!("the api: {what}"), help)
}

/// Where every `up` of this user notes its data directory, in a file named by its process id.
fn runs_directory() -> Option<PathBuf> {
    let state = match env::var_os("XDG_STATE_HOME").map(PathBuf::from).filter(|path| path.is_absolute()) {
        Some(state) => state,
        None => env::home_dir()?.join(".local/state"),
    };
    Some(state.join("mcpcan/runs"))
}

fn registered(directory: &Path) -> Vec<(u32, PathBuf)> {
    let Ok(entries) = fs::read_dir(directory) else { return vec![] };
    entries
        .flatten()
        .filter_map(|entry| {
            let pid = entry.file_name().to_str()?.parse().ok()?;
            Some((pid, PathBuf::from(fs::read_to_string(entry.path()).ok()?)))
        })
        .collect()
}

#[cfg(test)]
mod tests;
