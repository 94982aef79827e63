//! One `mcpcan-bridge` process: started, listened to, ended.
//!
//! The bridge says on its standard output, one JSON object a line, where it listens, what its children write and
//! how they end. Its standard input is a lifeline: when it closes, because we let go or because we died, the bridge
//! ends its children and itself. Its standard error is its own diagnostics, which go into the replica's log.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use access_log::Stream;
use domain::instance::Process;
use jiff::Timestamp;
use rustix::process::{Pid, Resource, Signal};
use serde::Deserialize;
use tokio::io::{AsyncRead, BufReader};
use tokio::process::{Child, ChildStdin, Command};
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::environment::Environment;
use super::lines::{Line, next_line};
use crate::logs::{LINE_BYTES_MAX, LineSender};

/// The most files that a server may hold open.
const OPEN_FILES_MAX: u64 = 4096;
/// The longest line of the bridge's standard output: far above a line of a child in JSON, where a byte can take six.
const MESSAGE_BYTES_MAX: usize = 1024 * 1024;
/// How long the bridge may take to end by itself, with the children that it gives a chance to end in order.
const LIFELINE_GRACE: Duration = Duration::from_secs(8);
/// How long the bridge may take to end after SIGTERM.
const TERM_GRACE: Duration = Duration::from_secs(2);
/// How long to go on reading after everything that could write is dead.
const DRAIN_MAX: Duration = Duration::from_secs(2);
/// Marks the bridge's own diagnostics among the lines of the server.
const OWN_LINES: &str = "[mcpcan-bridge] ";

/// What to start. No `Debug`: the environment may hold credentials.
pub(crate) struct Launch<'a> {
    pub(crate) bridge: &'a Path,
    pub(crate) program: &'a std::ffi::OsStr,
    pub(crate) arguments: &'a [std::ffi::OsString],
    /// Whether the server takes header fields for an API.
    pub(crate) before_api: bool,
    pub(crate) process: Process,
    pub(crate) environment: &'a Environment,
    pub(crate) directory: PathBuf,
}

/// What the bridge has said so far.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Said {
    pub(crate) listening: Option<SocketAddr>,
    /// What the server speaks, once the bridge has found out.
    pub(crate) eras: Option<Eras>,
    /// How the last child that ended did so.
    pub(crate) child_exit: Option<ChildExit>,
}

/// What the server speaks.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub(crate) struct Eras {
    /// Whether it can be initialised.
    pub(crate) sessions: bool,
    /// Its newest revision without that, if it has one.
    pub(crate) stateless: Option<String>,
}

/// How a child of the bridge ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
pub(crate) struct ChildExit {
    pub(crate) code: Option<i32>,
    pub(crate) signal: Option<i32>,
}

#[derive(Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(crate) enum Message {
    Listening {
        address: SocketAddr,
    },
    Line {
        time: Timestamp,
        stream: Stream,
        text: String,
    },
    ChildExited(ChildExit),
    Probed(Eras),
    /// What a newer bridge may have to say.
    #[serde(other)]
    Unknown,
}

/// A running bridge.
pub(crate) struct Bridge {
    process: Child,
    lifeline: Option<ChildStdin>,
    said: watch::Receiver<Said>,
    readers: JoinSet<()>,
}

impl Bridge {
    /// Starts the bridge in a process group of its own, with nothing inherited but what `launch` says.
    ///
    /// # Errors
    /// The bridge cannot be started.
    pub(crate) fn start(launch: &Launch<'_>, log: &LineSender) -> std::io::Result<Bridge> {
        let mut process = Command::new(launch.bridge)
            .args(["stdio", "--listen", "127.0.0.1:0", "--lifeline", "--open-files"])
            .args([&open_files().to_string(), "--process", launch.process.as_str()])
            .args(launch.before_api.then_some("--pass-headers"))
            .arg("--")
            .arg(launch.program)
            .args(launch.arguments)
            .env_clear()
            .envs(launch.environment.iter())
            .current_dir(&launch.directory)
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()?;
        let lifeline = process.stdin.take();
        let (heard, said) = watch::channel(Said::default());
        let mut readers = JoinSet::new();
        if let Some(stdout) = process.stdout.take() {
            readers.spawn(read_messages(stdout, log.clone(), heard));
        }
        if let Some(stderr) = process.stderr.take() {
            readers.spawn(read_diagnostics(stderr, log.clone()));
        }
        Ok(Bridge { process, lifeline, said, readers })
    }

    /// What the bridge has said, now and whenever it says more; ends when it closes its output.
    pub(crate) fn said(&self) -> watch::Receiver<Said> {
        self.said.clone()
    }

    /// Waits until the bridge has ended, and says how.
    pub(crate) async fn exited(&mut self) -> std::io::Result<ExitStatus> {
        self.process.wait().await
    }

    /// Ends the bridge, however long its children cling to life. What it has left behind is swept by the caller.
    pub(crate) async fn end(&mut self) {
        drop(self.lifeline.take());
        if self.ends_within(LIFELINE_GRACE).await {
            return;
        }
        self.signal_group(Signal::TERM);
        if self.ends_within(TERM_GRACE).await {
            return;
        }
        self.signal_group(Signal::KILL);
        if !self.ends_within(TERM_GRACE).await {
            tracing::error!(process = self.process.id(), "bridge does not end, not even killed");
        }
    }

    /// Reads what was written before the end. Everything that could still write must be dead.
    pub(crate) async fn drain(mut self) {
        let read_all = async { while self.readers.join_next().await.is_some() {} };
        if tokio::time::timeout(DRAIN_MAX, read_all).await.is_err() {
            tracing::warn!("output of an ended bridge stays open: its last lines may be missing");
        }
    }

    async fn ends_within(&mut self, limit: Duration) -> bool {
        tokio::time::timeout(limit, self.process.wait()).await.is_ok()
    }

    /// Only while the bridge is not reaped, so that its number cannot belong to another group.
    fn signal_group(&self, signal: Signal) {
        let group = self.process.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw);
        if let Some(group) = group
            && let Err(error) = rustix::process::kill_process_group(group, signal)
        {
            tracing::debug!(%error, "signal process group");
        }
    }
}

/// The limit for the children: no higher than this process may give.
fn open_files() -> u64 {
    let most = rustix::process::getrlimit(Resource::Nofile).maximum;
    most.map_or(OPEN_FILES_MAX, |most| most.min(OPEN_FILES_MAX))
}

async fn read_messages(stdout: impl AsyncRead + Unpin, log: LineSender, heard: watch::Sender<Said>) {
    let mut reader = BufReader::new(stdout);
    while let Some(line) = line_or_end(&mut reader, MESSAGE_BYTES_MAX).await {
        match serde_json::from_slice(&line.bytes) {
            Ok(Message::Listening { address }) => heard.send_modify(|said| said.listening = Some(address)),
            Ok(Message::Line { time, stream, text }) => log.push(time, stream, text),
            Ok(Message::ChildExited(exit)) => heard.send_modify(|said| said.child_exit = Some(exit)),
            Ok(Message::Probed(eras)) => heard.send_modify(|said| said.eras = Some(eras)),
            Ok(Message::Unknown) => {}
            Err(_) => {
                let text = format!("{OWN_LINES}a message that cannot be read: {}", lossy(&line));
                log.push(Timestamp::now(), Stream::Stderr, text);
            }
        }
    }
}

async fn read_diagnostics(stderr: impl AsyncRead + Unpin, log: LineSender) {
    let mut reader = BufReader::new(stderr);
    while let Some(line) = line_or_end(&mut reader, LINE_BYTES_MAX).await {
        log.push(Timestamp::now(), Stream::Stderr, format!("{OWN_LINES}{}", lossy(&line)));
    }
}

/// A pipe that fails is a pipe that ended.
async fn line_or_end(reader: &mut (impl tokio::io::AsyncBufRead + Unpin), bytes_max: usize) -> Option<Line> {
    next_line(reader, bytes_max).await.ok().flatten()
}

fn lossy(line: &Line) -> String {
    let text = String::from_utf8_lossy(&line.bytes);
    if line.cut == 0 { text.into_owned() } else { format!("{text} [mcpcan: {} bytes cut]", line.cut) }
}
