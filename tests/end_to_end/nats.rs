//! The nats-server that `mcpcan up` starts keeps what it acknowledges. It is not monitored, so another one is started
//! with its very command line, monitored and on a directory of its own, and asked.

use std::fs;
use std::process::Stdio;
use std::time::Duration;

use harness::{Platform, http, until};
use serde_json::Value;
use tokio::process::Command;

/// How long a server may take to say where it listens.
const READY_MAX: Duration = Duration::from_secs(30);

#[tokio::test(flavor = "multi_thread")]
async fn the_server_of_up_syncs_whatever_it_acknowledges() {
    let scratch = tempfile::tempdir().expect("make a directory");
    let platform = Platform::up(&scratch.path().join("data")).await;
    let server = platform.processes().into_iter().find(|process| process.command.contains("/nats-server "));
    let command = server.expect("up has started a nats-server").command;
    let words: Vec<_> = command.split(' ').collect();
    let store = platform.data().join("nats/store").display().to_string();
    let (place, options) = (scratch.path().join("other"), &words[1..]);
    assert!(options.contains(&store.as_str()), "the other one must not get its directory: {command}");
    fs::create_dir(&place).expect("make a directory");
    let own = place.display().to_string();
    let options = options.iter().map(|word| if *word == store { own.as_str() } else { word });
    let mut other = Command::new(words[0])
        .args(options)
        .args(["--port", "-1", "--http_port", "-1", "--ports_file_dir", &own])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .expect("nats-server starts");
    let file = place.join(format!("nats-server_{}.ports", other.id().expect("it runs")));
    let (monitoring, _) = until("it says where it is monitored", READY_MAX, async || {
        let ports: Value = serde_json::from_slice(&fs::read(&file).ok()?).ok()?;
        Some(ports["monitoring"][0].as_str()?.to_owned())
    })
    .await;
    let answer = http().get(format!("{monitoring}/jsz?config=1")).send().await.expect("it answers");
    let told: Value = serde_json::from_slice(&answer.bytes().await.expect("it answers whole")).expect("JSON");
    assert_eq!(told["config"]["sync_always"], true, "{told}");
    other.kill().await.expect("it can be ended");
    platform.stop().await;
}
