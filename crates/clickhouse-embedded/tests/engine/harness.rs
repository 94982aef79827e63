//! Starts and ends engine processes on data directories of their own.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

pub(crate) const PASSWORD: &str = "opens sesame";

/// A shutdown that takes longer than this is a failure of its own.
const END_TIME_MAX: Duration = Duration::from_secs(60);

/// A running engine. Dropping it kills the process and removes the data unless it was taken out.
pub(crate) struct Engine {
    child: Option<Child>,
    /// The engine ends when this closes.
    lifeline: Option<ChildStdin>,
    pub url: String,
    data: Option<TempDir>,
}

impl Engine {
    pub(crate) fn start() -> Self {
        Self::start_on(tempfile::tempdir().unwrap())
    }

    pub(crate) fn start_on(data: TempDir) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_clickhouse-embedded"))
            .arg(library())
            .arg(data.path())
            .arg("127.0.0.1:0")
            .env("CLICKHOUSE_PASSWORD", PASSWORD)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::inherit())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let listening: serde_json::Value =
            serde_json::from_str(&line).expect("the engine announces its address");
        assert_eq!(listening["type"], "listening");
        Self {
            lifeline: child.stdin.take(),
            url: format!("http://{}", listening["address"].as_str().unwrap()),
            child: Some(child),
            data: Some(data),
        }
    }

    pub(crate) fn data(&self) -> &Path {
        self.data.as_ref().unwrap().path()
    }

    /// The process dies at once, as in a crash; the data stays.
    pub(crate) fn kill(mut self) -> TempDir {
        let child = self.child.as_mut().unwrap();
        child.kill().unwrap();
        child.wait().unwrap();
        self.data.take().unwrap()
    }

    /// Asks the process to end with SIGTERM.
    pub(crate) fn terminate(&self) {
        kill_process(Pid::from_child(self.child.as_ref().unwrap()), Signal::TERM).unwrap();
    }

    /// Closes the pipe that the parent holds, as its death would.
    pub(crate) fn cut_lifeline(&mut self) {
        drop(self.lifeline.take());
    }

    /// Waits until the process has ended by itself.
    pub(crate) fn wait(mut self) -> (ExitStatus, TempDir) {
        let mut child = self.child.take().unwrap();
        let pid = Pid::from_child(&child);
        let (ended, end) = std::sync::mpsc::channel();
        std::thread::spawn(move || ended.send(child.wait()));
        let Ok(status) = end.recv_timeout(END_TIME_MAX) else {
            kill_process(pid, Signal::KILL).unwrap();
            panic!("the engine did not end");
        };
        (status.unwrap(), self.data.take().unwrap())
    }

    pub(crate) fn client(&self) -> clickhouse::Client {
        clickhouse::Client::default()
            .with_url(&self.url)
            .with_user("default")
            .with_password(PASSWORD)
            .with_compression(clickhouse::Compression::None)
    }

    pub(crate) fn access_log(&self) -> access_log::Client {
        access_log::Client::connect(&self.url, "default", PASSWORD).unwrap()
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        if let Some(child) = &mut self.child {
            // Already ended when the test has killed it.
            let _gone = child.kill();
            let _status = child.wait();
        }
    }
}

/// The engine's library: named by `MCPCAN_CHDB_LIB`, or where `make tools` puts it.
pub(crate) fn library() -> PathBuf {
    let library = std::env::var_os("MCPCAN_CHDB_LIB").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../.tools/lib/libchdb.so"),
        PathBuf::from,
    );
    assert!(library.exists(), "{} is missing: run `make tools`, or set MCPCAN_CHDB_LIB", library.display());
    library
}
