//! A whole installation as `mcpcan up` runs it: the real binary with real NATS, ClickHouse and hosted servers.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tokio::io::{AsyncBufReadExt as _, BufReader, Lines};
use tokio::process::{Child, ChildStdout, Command};
use tokio::time::timeout;

use crate::processes::{Process, below};
use crate::secrecy::Secrecy;
use crate::{Tools, http, until};

/// How long `up` may take until everything is ready. Debug builds of everything, on two cores, beside other tests.
const READY_DEADLINE: Duration = Duration::from_secs(120);
/// How long `up` may take to end in order.
const STOP_DEADLINE: Duration = Duration::from_secs(60);
/// How long one command of the command line may take: creating an instance may install a package first.
const COMMAND_DEADLINE: Duration = Duration::from_secs(300);
/// How long a line may take of a command that goes on.
const LINE_DEADLINE: Duration = Duration::from_secs(60);
/// How long processes may take to be gone after their parent was killed.
const GONE_DEADLINE: Duration = Duration::from_secs(30);

/// A running installation. Dropping it kills everything it started.
#[derive(Debug)]
pub struct Platform {
    tools: Tools,
    data: PathBuf,
    process: Child,
    secrecy: Secrecy,
}

/// A command of the command line that has ended.
#[derive(Debug)]
pub struct Finished {
    pub status: ExitStatus,
    pub stdout: String,
    pub stderr: String,
}

/// A command of the command line that goes on.
#[derive(Debug)]
pub struct Following {
    lines: Lines<BufReader<ChildStdout>>,
    _process: Child,
}

impl Following {
    /// The next line, if it comes in time.
    pub async fn line(&mut self) -> String {
        let line = timeout(LINE_DEADLINE, self.lines.next_line()).await.expect("a line comes in time");
        line.expect("its output can be read").expect("the command goes on")
    }
}

impl Platform {
    /// Starts an installation in a directory, new or used before, and waits until all of it is ready.
    ///
    /// # Panics
    /// It does not become ready; the message holds what it wrote.
    pub async fn up(data: &Path) -> Self {
        let tools = Tools::find();
        fs::create_dir_all(data).expect("make the data directory");
        let data = data.canonicalize().expect("the data directory exists");
        let output = File::create(output_file(&data)).expect("open the output file");
        let process = Command::new(&tools.mcpcan)
            .args(["up", "--api", "127.0.0.1:0", "--gateway", "127.0.0.1:0"])
            .args(["--nats-port", "0", "--clickhouse-port", "0", "--data"])
            .arg(&data)
            .env("PATH", tools.path())
            .env("XDG_STATE_HOME", data.join("state"))
            .stdin(Stdio::null())
            .stdout(output.try_clone().expect("share the output file"))
            .stderr(output)
            .process_group(0)
            .kill_on_drop(true)
            .spawn()
            .expect("mcpcan starts");
        let secrecy = Secrecy::of(&data);
        let mut platform = Self { tools, data, process, secrecy };
        platform.ready().await;
        platform.secrecy.note_own();
        platform
    }

    async fn ready(&mut self) {
        let (process, data, client) = (&mut self.process, &self.data, http());
        let what = format!("mcpcan up is ready; it writes to {}", output_file(data).display());
        until(&what, READY_DEADLINE, async || {
            if let Some(status) = process.try_wait().expect("wait for mcpcan up") {
                let output = fs::read_to_string(output_file(data)).unwrap_or_default();
                panic!("mcpcan up ended ({status}):\n{output}");
            }
            let api = run_file(data, process.id()?)?["api"].as_str()?.to_owned();
            let ready = client.get(format!("{api}readyz")).send().await.ok()?;
            ready.status().is_success().then_some(())
        })
        .await;
    }

    pub fn data(&self) -> &Path {
        &self.data
    }

    /// What `up` has told of itself.
    pub fn run_file(&self) -> Value {
        self.process
            .id()
            .and_then(|pid| run_file(&self.data, pid))
            .expect("a running installation has a run file")
    }

    /// Runs a command of the command line to its end.
    pub async fn run(&self, arguments: &[&str]) -> Finished {
        let output = timeout(COMMAND_DEADLINE, self.command(arguments).output()).await;
        let output = output.unwrap_or_else(|_| panic!("`mcpcan {}` does not end", arguments.join(" ")));
        let output = output.expect("mcpcan runs");
        let finished = Finished {
            status: output.status,
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        };
        self.secrecy.note_printed(&finished.stdout);
        if !finished.status.success() {
            let said = format!("{}{}", finished.stdout, finished.stderr);
            self.secrecy.check_said(&arguments.join(" "), &said);
        }
        finished
    }

    /// Runs a command that has to succeed; returns its JSON document.
    ///
    /// # Panics
    /// It fails; the message holds what it wrote.
    pub async fn json(&self, arguments: &[&str]) -> Value {
        let finished = self.run(&[&["--json"], arguments].concat()).await.success(arguments);
        serde_json::from_str(&finished.stdout).expect("--json prints JSON")
    }

    /// Starts a command that goes on until it is dropped.
    pub fn follow(&self, arguments: &[&str]) -> Following {
        let mut process = self
            .command(arguments)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("mcpcan runs");
        let lines = BufReader::new(process.stdout.take().expect("its output is a pipe")).lines();
        Following { lines, _process: process }
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(&self.tools.mcpcan);
        command.arg("--data").arg(&self.data).args(arguments).stdin(Stdio::null()).kill_on_drop(true);
        command.env_remove("MCPCAN_API").env_remove("MCPCAN_ADMIN_KEY");
        self.secrecy.note_arguments(arguments);
        command
    }

    /// What `up` has printed.
    pub fn printed(&self) -> String {
        fs::read_to_string(output_file(&self.data)).expect("it is read as long as the directory lives")
    }

    /// Gives a line to a shell in another directory, as whoever copies what `up` has printed; gives its exit code and
    /// what it said on stderr.
    pub async fn shell(&self, line: &str) -> (Option<i32>, String) {
        let mut command = Command::new("sh");
        command.args(["-c", line]).current_dir("/").stdin(Stdio::null()).kill_on_drop(true);
        // Another installation's note must not be what makes it work.
        command.env("XDG_STATE_HOME", self.data.join("no-state"));
        command.env_remove("MCPCAN_API").env_remove("MCPCAN_ADMIN_KEY");
        let output = timeout(COMMAND_DEADLINE, command.output()).await;
        let output = output.unwrap_or_else(|_| panic!("`{line}` does not end")).expect("a shell runs");
        (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
    }

    /// The processes of this installation.
    pub fn processes(&self) -> Vec<Process> {
        below(&self.data)
    }

    /// Ends it as Ctrl-C does, and checks that nothing is left, and no secret where none may be.
    pub async fn stop(mut self) {
        self.check_running().await;
        self.signal(Signal::INT);
        let status = timeout(STOP_DEADLINE, self.process.wait()).await;
        let status = status.expect("mcpcan up ends in time").expect("it can be waited for");
        let output = fs::read_to_string(output_file(&self.data)).unwrap_or_default();
        assert!(status.success(), "mcpcan up ended with {status}:\n{output}");
        assert_eq!(below(&self.data), [], "mcpcan up has ended and left processes behind");
        self.secrecy.check_left();
    }

    /// Kills it without a word, as a power cut does to one process, and waits until all it started is gone too.
    pub async fn kill(mut self) {
        self.check_running().await;
        self.process.kill().await.expect("it can be killed");
        let data = self.data.clone();
        let what = format!("all processes of {} are gone after a kill", data.display());
        until(&what, GONE_DEADLINE, async || below(&data).is_empty().then_some(())).await;
        self.secrecy.check_left();
    }

    async fn check_running(&self) {
        let run = self.run_file();
        self.secrecy.check_running(run["clickhouse"].as_str().expect("ClickHouse has an address")).await;
    }

    fn signal(&self, signal: Signal) {
        let pid = self.process.id().and_then(|pid| Pid::from_raw(pid.try_into().ok()?));
        kill_process(pid.expect("mcpcan up runs"), signal).expect("it can be signalled");
    }
}

impl Drop for Platform {
    fn drop(&mut self) {
        // Only a test that failed comes here with anything running.
        for process in below(&self.data) {
            if let Some(pid) = i32::try_from(process.pid).ok().and_then(Pid::from_raw) {
                // It may have ended by itself in this moment.
                let _ = kill_process(pid, Signal::KILL);
            }
        }
    }
}

impl Finished {
    /// # Panics
    /// The command failed; the message holds what it wrote.
    pub fn success(self, arguments: &[&str]) -> Self {
        self.code(0, arguments)
    }

    /// # Panics
    /// The command ended with another exit code; the message holds what it wrote.
    pub fn code(self, expected: i32, arguments: &[&str]) -> Self {
        let command = arguments.join(" ");
        let Self { status, stdout, stderr } = &self;
        assert_eq!(
            status.code(),
            Some(expected),
            "mcpcan {command}\n--- stdout\n{stdout}\n--- stderr\n{stderr}"
        );
        self
    }
}

fn output_file(data: &Path) -> PathBuf {
    data.join("up.out")
}

/// The run file, once it is that of this process.
fn run_file(data: &Path, pid: u32) -> Option<Value> {
    let run: Value = serde_json::from_slice(&fs::read(data.join("run.json")).ok()?).ok()?;
    (run["pid"] == pid).then_some(run)
}
