//! The embedded engine for tests, in a process of its own: `cargo build --workspace` makes it, `make tools` fetches its
//! library.

use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};

use jiff::Timestamp;
use uuid::Uuid;

use crate::{Client, TraceEvent, TraceRecord};

/// Names a library to use before the fetched one.
const LIBRARY_VARIABLE: &str = "MCPCAN_CHDB_LIB";

/// A running engine. It ends with the pipe that it is given, also when the test dies.
pub struct Engine {
    child: Child,
    _lifeline: ChildStdin,
    pub address: String,
}

impl Engine {
    /// Starts on a data directory; an address may be kept over a restart, `127.0.0.1:0` is any free port.
    ///
    /// # Panics
    /// It is not there or does not start: the test cannot go on.
    pub fn start(data: &Path, address: &str) -> Self {
        let mut child = Command::new(program())
            .arg(library())
            .arg(data)
            .arg(address)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("start the engine");
        let stdout = child.stdout.take().expect("its stdout is a pipe");
        let mut line = String::new();
        BufReader::new(stdout).read_line(&mut line).expect("read what the engine says");
        let listening: serde_json::Value = serde_json::from_str(&line).expect("the engine says where it is");
        let address = listening["address"].as_str().expect("an address is text").to_owned();
        Engine { _lifeline: child.stdin.take().expect("its stdin is a pipe"), child, address }
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// # Panics
    /// No client can be made: the test cannot go on.
    pub fn client(&self) -> Client {
        Client::connect(&self.url(), "default", "").expect("an address has the form of one")
    }

    /// Kills it without a word, as a power cut does.
    ///
    /// # Panics
    /// It has ended before.
    pub fn kill(&mut self) {
        self.child.kill().expect("the engine runs");
        self.child.wait().expect("the engine has ended");
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        // A test may have killed it.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A request with this token that came at this time; of the rest there is nothing to say.
pub fn request_of(token_id: Uuid, time: Timestamp) -> TraceRecord {
    TraceRecord { token_id, ..TraceRecord::new(time, TraceEvent::Request) }
}

/// The program of this workspace, beside the test.
fn program() -> PathBuf {
    let test = std::env::current_exe().expect("a test is a program");
    // target/<profile>/deps/<test>
    let folder = test.ancestors().nth(2).expect("a test lies in the build folder");
    let program = folder.join("clickhouse-embedded");
    assert!(program.is_file(), "{} is missing: run `cargo build --workspace` first", program.display());
    program
}

fn library() -> PathBuf {
    let fetched = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../.tools/lib/libchdb.so");
    let library = std::env::var_os(LIBRARY_VARIABLE).map_or(fetched, PathBuf::from);
    let (shown, variable) = (library.display(), LIBRARY_VARIABLE);
    assert!(library.exists(), "{shown} is missing: run `make tools`, or set {variable}");
    library
}
