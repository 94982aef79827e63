//! A server part that runs beside the roles as a process of its own: nats-server, ClickHouse.

use std::fs::{self, File};
use std::io::{ErrorKind, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use anyhow::Context;
use rustix::process::{Pid, Signal, kill_process_group};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::time::timeout;

/// How long a part may take to end by itself.
const STOP_GRACE: Duration = Duration::from_secs(20);
/// How much of a part's log is shown when it ended although it should not have.
const LOG_TAIL_BYTES: u64 = 2048;

/// A running part. Dropping it kills the process; [`Part::stop`] ends it in order.
#[derive(Debug)]
pub(super) struct Part {
    name: &'static str,
    log: PathBuf,
    process: Child,
    /// Held open as long as the part shall run: it ends when its stdin does.
    lifeline: Option<ChildStdin>,
}

impl Part {
    /// Starts `command` in a process group of its own, so that Ctrl-C reaches only us and we choose the order. What it
    /// writes goes to the log.
    ///
    /// Must be called on the main thread: what is started through `mcpcan bound` dies with the thread that started it.
    pub(super) fn start(name: &'static str, mut command: Command, log: PathBuf) -> anyhow::Result<Self> {
        let out = open_log(&log)?;
        command.stdout(out.try_clone().context("share the log file")?);
        Self::spawn(name, command, log, out)
    }

    /// The same for a part that says on stdout where it is: its stdout is the caller's.
    pub(super) fn start_announcing(
        name: &'static str,
        mut command: Command,
        log: PathBuf,
    ) -> anyhow::Result<(Self, ChildStdout)> {
        let out = open_log(&log)?;
        command.stdout(Stdio::piped());
        let mut part = Self::spawn(name, command, log, out)?;
        let stdout = part.process.stdout.take().expect("its stdout is a pipe");
        Ok((part, stdout))
    }

    fn spawn(name: &'static str, mut command: Command, log: PathBuf, stderr: File) -> anyhow::Result<Self> {
        let mut process = command
            .stdin(Stdio::piped())
            .stderr(stderr)
            .process_group(0)
            .kill_on_drop(true)
            .spawn()
            .with_context(|| format!("start {name}"))?;
        let lifeline = process.stdin.take();
        Ok(Self { name, log, process, lifeline })
    }

    pub(super) fn pid(&self) -> Option<u32> {
        self.process.id()
    }

    /// Waits for the part to end by itself, and says how it did.
    pub(super) async fn ended(&mut self) -> anyhow::Error {
        match self.process.wait().await {
            Ok(status) => anyhow::anyhow!("{} ended ({status}){}", self.name, log_tail(&self.log)),
            Err(error) => anyhow::Error::from(error).context(format!("wait for {}", self.name)),
        }
    }

    /// Ends the part and waits until it is gone.
    pub(super) async fn stop(mut self) {
        drop(self.lifeline.take());
        self.signal(Signal::TERM);
        if timeout(STOP_GRACE, self.process.wait()).await.is_err() {
            tracing::warn!(part = self.name, "does not end by itself and is killed");
        }
        self.signal(Signal::KILL);
        if let Err(error) = self.process.wait().await {
            tracing::warn!(part = self.name, %error, "wait for the part to end");
        }
    }

    /// Signals the whole group, as long as its leader has not been waited for: after that the id may be another's.
    fn signal(&self, signal: Signal) {
        let group = self.process.id().and_then(|pid| Pid::from_raw(pid.try_into().ok()?));
        if let Some(Err(error)) = group.map(|group| kill_process_group(group, signal)) {
            tracing::debug!(part = self.name, %error, "signal the part");
        }
    }
}

/// A fresh log; that of the run before is kept beside it, for whoever asks why that one ended.
fn open_log(log: &Path) -> anyhow::Result<File> {
    match fs::rename(log, log.with_added_extension("previous")) {
        Err(error) if error.kind() != ErrorKind::NotFound => {
            return Err(error).with_context(|| format!("set {} aside", log.display()));
        }
        Ok(()) | Err(_) => {}
    }
    File::create(log).with_context(|| format!("open {}", log.display()))
}

/// The end of a log file, to be put after a message.
fn log_tail(log: &Path) -> String {
    match read_tail(log) {
        Ok(text) if text.trim().is_empty() => format!("; it wrote nothing to {}", log.display()),
        Ok(text) => format!("; the end of {}:\n{}", log.display(), text.trim_end()),
        Err(_) => String::new(),
    }
}

fn read_tail(log: &Path) -> std::io::Result<String> {
    let mut file = File::open(log)?;
    let length = fs::metadata(log)?.len();
    file.seek(SeekFrom::Start(length.saturating_sub(LOG_TAIL_BYTES)))?;
    let mut tail = vec![];
    file.read_to_end(&mut tail)?;
    Ok(String::from_utf8_lossy(&tail).into_owned())
}
