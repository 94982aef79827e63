//! A value of an instance's environment reaches its server and nobody else.

use std::collections::BTreeMap;

use domain::InstanceId;
use domain::instance::{Command, Event};
use uuid::Uuid;
use views::{InstanceRow, Phase};

use crate::harness::{Platform, eventually, is_bridge, processes_with, server_args};

const SECRET: &str = "s3cr3t-value-that-nobody-else-sees";

fn holds_secret(bytes: &[u8]) -> bool {
    bytes.windows(SECRET.len()).any(|window| window == SECRET.as_bytes())
}

#[tokio::test]
async fn an_environment_value_reaches_the_server_and_nobody_else() {
    let platform = Platform::start().await;
    let worker = platform.worker().await;
    let id = InstanceId(Uuid::now_v7());
    let sealed = platform.store.vault().seal(id.0, SECRET.as_bytes()).await.unwrap();
    let env = BTreeMap::from([("API_TOKEN".to_owned(), sealed)]);
    platform.create_with(id, "python3", &server_args(&["--write-env", "API_TOKEN", "--babble"]), env).await;
    platform.ready(id).await;
    let written = platform.directory(id).join("API_TOKEN");
    eventually("the value to arrive", || {
        std::fs::read_to_string(&written).ok().filter(|value| value == SECRET)
    })
    .await;

    let processes = platform.processes();
    assert!(!processes.is_empty());
    for process in processes {
        let arguments = std::fs::read(format!("/proc/{process}/cmdline")).unwrap_or_default();
        assert!(!holds_secret(&arguments), "{}", String::from_utf8_lossy(&arguments));
    }
    platform.tell(id, Command::Stop).await;
    platform.row(id, "the end", |row| row.phase == Phase::Stopped).await;
    let events = platform.events_until(id, |event| matches!(event, Event::ReplicaStopped(_))).await;
    assert!(!holds_secret(&serde_json::to_vec(&events).unwrap()));
    assert!(!holds_secret(&serde_json::to_vec(&*platform.view.get(id.0).unwrap()).unwrap()));
    // The bridge's own words are among them, and written for a log.
    let lines = platform.lines_until(|text| text.starts_with("[mcpcan-bridge] ")).await;
    assert!(!lines.iter().any(|line| holds_secret(line.text.as_bytes())));
    assert!(lines.iter().all(|line| !line.text.contains('\u{1b}')));
    worker.stop().await;
}

#[tokio::test]
async fn a_value_that_does_not_open_is_named_and_not_shown() {
    let platform = Platform::start().await;
    let worker = platform.worker().await;
    let (id, other) = (InstanceId(Uuid::now_v7()), Uuid::now_v7());
    // Sealed for another owner.
    let sealed = platform.store.vault().seal(other, SECRET.as_bytes()).await.unwrap();
    let env = BTreeMap::from([("API_TOKEN".to_owned(), sealed)]);
    platform.create_with(id, "python3", &server_args(&[]), env).await;
    let row = platform.row(id, "the failure", |row| row.phase == Phase::Failed).await;
    let detail = &row.failure.as_ref().unwrap().detail;
    assert!(detail.starts_with("the environment variable API_TOKEN cannot be unsealed: "), "{detail}");
    worker.stop().await;
}

#[tokio::test]
async fn a_replicas_credential_reaches_its_bridge_and_stays_out_of_the_log() {
    let platform = Platform::start().await;
    let worker = platform.worker().await;
    let id = platform.create(&["--babble"]).await;
    let row = platform.ready(id).await;
    let credential = platform.credential(&row).await;
    assert_eq!(credential.len(), 64, "256 random bits in hexadecimal");
    let given = processes_with(format!("MCPCAN_BRIDGE_CREDENTIAL={credential}").as_bytes());
    assert!(
        !given.is_empty() && given.iter().all(|process| is_bridge(*process)),
        "servers do not inherit it"
    );
    let endpoint = row.ready_replicas().next().unwrap().url.as_deref().unwrap();
    let refused = mcp::client::Client::connect(endpoint, http::HeaderMap::new()).await.map(drop);
    assert!(matches!(refused, Err(mcp::client::Error::Status { code: 401, .. })), "{refused:?}");
    platform.tell(id, Command::Restart).await;
    let is_new = |row: &InstanceRow| row.phase == Phase::Ready && row.replicas[0].generation == 2;
    let row = platform.row(id, "the next replica", is_new).await;
    assert_ne!(platform.credential(&row).await, credential, "each replica has its own");

    let is_end = |event: &Event| matches!(event, Event::ReplicaStopped(_));
    let events = serde_json::to_string(&platform.events_until(id, is_end).await).unwrap();
    assert!(!events.contains(&credential));
    let lines = platform.lines_until(|text| text.starts_with("[mcpcan-bridge] ")).await;
    assert!(lines.iter().all(|line| !line.text.contains(&credential)));
    worker.stop().await;
}
