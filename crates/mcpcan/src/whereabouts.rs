//! Where the platform is that a command is for: named in the environment, or a local `up` that is found by the files
//! it keeps. Used by every command that speaks to the api; `up` writes the files.

use std::path::{Path, PathBuf};
use std::{env, fs, io};

use anyhow::Context;
use serde::{Deserialize, Serialize};
use url::Url;
use zeroize::Zeroizing;

use crate::failure::Failure;

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
    pub(crate) admin_key_file: PathBuf,
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
        let run = local_run(data)?;
        let admin_key = match key {
            Some(key) => key,
            None => read_admin_key(&run.admin_key_file)?,
        };
        Ok(Self { api: run.api, admin_key })
    }
}

impl RunFile {
    /// What the `up` of this data directory told about itself, if it still runs.
    fn read(data: &Path) -> Option<Self> {
        let text = fs::read(data.join(RUN_FILE)).ok()?;
        let run: Self = serde_json::from_slice(&text).ok()?;
        runs(run.pid).then_some(run)
    }

    /// Tells where this `up` is: completely or not at all.
    pub(crate) fn write(&self, data: &Path) -> io::Result<()> {
        let scratch = data.join(format!("{RUN_FILE}.{}", self.pid));
        fs::write(&scratch, serde_json::to_vec_pretty(self)?)?;
        fs::rename(scratch, data.join(RUN_FILE))?;
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
        for (pid, _) in registered(&directory) {
            if !runs(pid) {
                fs::remove_file(directory.join(pid.to_string())).or_else(none_is_fine)?;
            }
        }
        fs::write(directory.join(self.pid.to_string()), data.as_os_str().as_encoded_bytes())
    }
}

fn none_is_fine(error: io::Error) -> io::Result<()> {
    if error.kind() == io::ErrorKind::NotFound { Ok(()) } else { Err(error) }
}

fn local_run(data: Option<&Path>) -> Result<RunFile, Failure> {
    if let Some(data) = data {
        return RunFile::read(data).ok_or_else(|| {
            nothing_runs(&format!("no `mcpcan up` runs with the data directory {}", data.display()))
        });
    }
    let here = env::current_dir().context("read the working directory")?;
    if let Some(run) = here.ancestors().find_map(|directory| RunFile::read(&directory.join(DATA_DIRECTORY))) {
        return Ok(run);
    }
    let elsewhere = runs_directory().map(|runs| registered(&runs)).unwrap_or_default();
    let mut running: Vec<_> = elsewhere
        .into_iter()
        .filter_map(|(pid, data)| RunFile::read(&data).filter(|run| run.pid == pid).map(|run| (data, run)))
        .collect();
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

fn nothing_runs(what: &str) -> Failure {
    let help = anyhow::anyhow!("start one, or set {API_VARIABLE} and {ADMIN_KEY_VARIABLE}");
    Failure::unreachable(format!("the api: {what}"), help)
}

fn read_admin_key(path: &Path) -> Result<Zeroizing<String>, Failure> {
    let text =
        fs::read_to_string(path).with_context(|| format!("read the admin key in {}", path.display()))?;
    Ok(Zeroizing::new(Zeroizing::new(text).trim().to_owned()))
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

/// Whether a process with this id exists.
fn runs(pid: u32) -> bool {
    let pid = i32::try_from(pid).ok().and_then(rustix::process::Pid::from_raw);
    pid.is_some_and(|pid| !matches!(rustix::process::test_kill_process(pid), Err(rustix::io::Errno::SRCH)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run_file(pid: u32) -> RunFile {
        RunFile {
            pid,
            api: Url::parse("http://127.0.0.1:7080").expect("an address"),
            gateway: Url::parse("http://127.0.0.1:7090").expect("an address"),
            nats: "nats://127.0.0.1:7422".to_owned(),
            clickhouse: "http://127.0.0.1:7123".to_owned(),
            admin_key_file: PathBuf::from("/nowhere/admin.key"),
        }
    }

    #[test]
    fn a_run_file_counts_as_long_as_its_process_lives() {
        let data = tempfile::tempdir().expect("a directory");
        let path = data.path().join(RUN_FILE);
        let alive = run_file(std::process::id());
        fs::write(&path, serde_json::to_vec(&alive).expect("JSON")).expect("write");
        assert_eq!(RunFile::read(data.path()), Some(alive));
        // Process ids end at 2^22 on Linux (proc(5), pid_max).
        fs::write(&path, serde_json::to_vec(&run_file(1 << 30)).expect("JSON")).expect("write");
        assert_eq!(RunFile::read(data.path()), None);
    }
}
