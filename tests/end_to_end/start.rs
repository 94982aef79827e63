//! The start of `mcpcan up` when something it needs does not answer.

use std::time::Duration;

use harness::Tools;
use rustix::process::{Pid, Signal, kill_process};
use tokio::net::TcpListener;
use tokio::process::Command;
use tokio::time::timeout;

/// How long anything that is awaited may take.
const DEADLINE: Duration = Duration::from_secs(30);

#[tokio::test(flavor = "multi_thread")]
async fn the_first_signal_ends_up_while_it_still_waits_for_nats() {
    let scratch = tempfile::tempdir().expect("make a directory");
    let silent = TcpListener::bind("127.0.0.1:0").await.expect("listen");
    let nats = format!("nats://{}", silent.local_addr().expect("it has an address"));
    let mut up = Command::new(Tools::find().mcpcan)
        .args(["up", "--api", "127.0.0.1:0", "--gateway", "127.0.0.1:0", "--nats-url", &nats])
        // Nobody listens there, and nobody is asked before NATS.
        .args(["--clickhouse-url", "http://127.0.0.1:9", "--data"])
        .arg(scratch.path().join("data"))
        .env("XDG_STATE_HOME", scratch.path().join("state"))
        .kill_on_drop(true)
        .spawn()
        .expect("mcpcan starts");
    let connected = timeout(DEADLINE, silent.accept()).await.expect("it connects in time");
    let (_connection, _) = connected.expect("it connects");
    let pid = up.id().and_then(|pid| Pid::from_raw(pid.try_into().ok()?)).expect("mcpcan up runs");
    kill_process(pid, Signal::INT).expect("it can be signalled");
    let status = timeout(DEADLINE, up.wait()).await.expect("it ends in time").expect("it can be waited for");
    assert!(status.success(), "{status}");
}
