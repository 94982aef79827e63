//! Servers in processes of their own: what is measured, and what it is measured against.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use harness::{Tools, until};
use tokio::process::{Child, Command};

use crate::mcp_client::{Client, Target};

/// How long one may take until it answers: some load hundreds of modules first.
const READY_DEADLINE: Duration = Duration::from_secs(60);

/// A running server, killed with everything below it when this is dropped.
pub(crate) struct Server {
    process: Child,
    pub(crate) target: Target,
}

impl Server {
    /// Starts a program and waits until it lets a client in.
    pub(crate) async fn start(mut command: Command, target: Target) -> Self {
        let process = command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .process_group(0)
            .kill_on_drop(true)
            .spawn()
            .unwrap_or_else(|error| panic!("{:?} starts: {error}", command.as_std().get_program()));
        let server = Server { process, target };
        let what = format!("{:?} lets a client in", command.as_std());
        until(&what, READY_DEADLINE, async || {
            Client::open(&server.target).await.ok()?.close().await;
            Some(())
        })
        .await;
        server
    }

    pub(crate) fn pid(&self) -> u32 {
        self.process.id().expect("it runs")
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let group = self.process.id().and_then(|pid| rustix::process::Pid::from_raw(pid.try_into().ok()?));
        if let Some(group) = group {
            // It may have ended by itself.
            let _ = rustix::process::kill_process_group(group, rustix::process::Signal::KILL);
        }
    }
}

/// The server that all bridges stand before, on stdio.
pub(crate) fn everything(tools: &Tools) -> Vec<String> {
    let script = tools.node.join("node_modules/@modelcontextprotocol/server-everything/dist/index.js");
    vec!["node".to_owned(), script.display().to_string(), "stdio".to_owned()]
}

/// This program under another name, which is one of its servers.
pub(crate) fn own(arguments: &[&str]) -> Command {
    let mut command = Command::new(std::env::current_exe().expect("a program has a path"));
    command.args(arguments);
    command
}

/// The folder with the peers.
///
/// # Panics
/// They were not fetched.
pub(crate) fn peers() -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the package lies in the repository");
    let peers = root.join(".tools/peers");
    assert!(peers.join("complete").exists(), "the peers are missing: run `make bench-tools` first");
    peers
}

pub(crate) fn target(address: SocketAddr, path: &str) -> Target {
    Target { address, path: path.to_owned(), authorization: None }
}

/// What a process and its children have in memory, in KiB.
pub(crate) fn memory(pid: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).expect("it runs");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("it has memory");
    let own: u64 = line.trim().trim_end_matches(" kB").parse().expect("a number");
    let children = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap_or_default();
    own + children.split_whitespace().map(|child| memory(child.parse().expect("a number"))).sum::<u64>()
}
