//! The fixture as a server on a port of its own.

use std::path::PathBuf;
use std::process::Stdio;

use harness::Tools;
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{Child, Command};

/// It ends when it is dropped.
pub(crate) struct Fixture {
    pub(crate) url: String,
    _process: Child,
}

impl Fixture {
    /// Starts one of the scripts in `tests/servers`, with Streamable HTTP or with `sse`.
    pub(crate) async fn start(name: &str, transport: &str) -> Self {
        let mut command = Command::new(Tools::find().node_program);
        command
            .arg(script(name))
            .arg(transport)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true);
        let mut process = command.spawn().expect("the fixture starts");
        let stdout = process.stdout.take().expect("its stdout is a pipe");
        let url = BufReader::new(stdout).lines().next_line().await.expect("it says something");
        Self { url: url.expect("it says where it listens"), _process: process }
    }
}

pub(crate) fn script(name: &str) -> PathBuf {
    Tools::find().servers.join(name).with_extension("mjs")
}
