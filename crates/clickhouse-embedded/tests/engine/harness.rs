//! Starts and ends engine processes on data directories of their own.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

pub(crate) const PASSWORD: &str = "opens sesame";

/// A shutdown that takes longer than this is a failure of its own.
const END_TIME_MAX: Duration = Duration::from_secs(60);

/// A running engine. Dropping it kills the process and removes the data unless it was taken out.
pub(crate) struct Engine {
    child: Child,
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
            child,
            data: Some(data),
        }
    }

    pub(crate) fn data(&self) -> &Path {
        self.data.as_ref().unwrap().path()
    }

    /// The process dies at once, as in a crash; the data stays.
    pub(crate) fn kill(mut self) -> TempDir {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        self.data.take().unwrap()
    }

    /// Asks the process to end with SIGTERM.
    pub(crate) fn terminate(&self) {
        kill_process(Pid::from_child(&self.child), Signal::TERM).unwrap();
    }

    /// Closes the pipe that the parent holds, as its death would.
    pub(crate) fn cut_lifeline(&mut self) {
        drop(self.lifeline.take());
    }

    pub(crate) fn wait(mut self) -> (ExitStatus, TempDir) {
        let deadline = Instant::now() + END_TIME_MAX;
        while self.child.try_wait().unwrap().is_none() {
            assert!(Instant::now() < deadline, "the engine did not end");
            std::thread::yield_now();
        }
        (self.child.wait().unwrap(), self.data.take().unwrap())
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
        // Already ended when the test waited for it.
        let _gone = self.child.kill();
        let _status = self.child.wait();
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
