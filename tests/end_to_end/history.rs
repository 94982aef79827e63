//! The tools over the log, through the command line: what was so, what has changed, a change taken back, and the same
//! log in another installation.

use std::fs;
use std::path::Path;
use std::time::Duration;

use harness::{Platform, http};
use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::upstream::Upstream;

/// What the server elsewhere is sent beside every request, and hosted servers are given.
const KEY: &str = "the-key-of-a-server-elsewhere-77fe";
/// How long the hash chain may take to reach the last event.
const LINKED_MAX: Duration = Duration::from_secs(30);
/// How long a gateway may take to open a header field.
const HEADER_MAX: Duration = Duration::from_secs(30);
const INITIALIZED: &str = "notifications/initialized";

/// What lists show, without the gateway's address: that is of the installation and not of the log.
async fn shown(platform: &Platform) -> Vec<Value> {
    let mut shown = vec![];
    for arguments in [
        &["instance", "list"][..],
        &["token", "list", "a"],
        &["template", "list"],
        &["retention", "show", "a"],
        &["retention", "show", "b"],
    ] {
        shown.push(of_events(platform, arguments).await);
    }
    shown
}

/// What a command shows of what the events say: neither where the gateway is nor who has used a token is among them.
async fn of_events(platform: &Platform, arguments: &[&str]) -> Value {
    let mut document = platform.json(arguments).await;
    for row in document.as_array_mut().into_iter().flatten() {
        let row = row.as_object_mut().expect("a row is an object");
        row.remove("gateway_url");
        row.remove("usage");
    }
    document
}

/// The records of a file of exported events that are events.
fn events(file: &Path) -> Vec<Value> {
    let text = fs::read_to_string(file).expect("the file can be read");
    let records = text.lines().map(|line| serde_json::from_str::<Value>(line).expect("a line is JSON"));
    records.filter_map(|record| record.get("event").cloned()).collect()
}

async fn export(platform: &Platform, file: &Path, options: &[&str]) -> Value {
    platform.json(&[&["events", "export", path(file), "--format", "jsonl"], options].concat()).await
}

fn path(file: &Path) -> &str {
    file.to_str().expect("test directories have plain names")
}

/// Some past, of servers that nothing reports about, so that nothing happens by itself.
async fn lives_a_little(platform: &Platform, upstream: &Upstream) {
    let (url, header) = (upstream.url(), format!("X-Key: {KEY}"));
    let elsewhere = ["--transport", "streamable-http", "--url", &url, "--header", &header];
    for (name, access) in [("first", "proxy"), ("b", "direct"), ("c", "proxy")] {
        let create = [&["instance", "create", name, "--access", access][..], &elsewhere].concat();
        platform.run(&create).await.success(&create);
    }
    let env = format!("KEY={KEY}");
    let hosted = ["--access", "hosted", "--transport", "stdio", "--env", &env, "--", "true"];
    let create = [&["template", "create", "base"][..], &hosted].concat();
    platform.run(&create).await.success(&create);
    for arguments in [
        &["instance", "rename", "first", "a"][..],
        &["token", "issue", "a", "--kind", "bearer", "--label", "dev"],
        &["token", "issue", "a", "--kind", "bearer", "--label", "old"],
        &["token", "revoke", "a", "old"],
        &["instance", "edit", "a", "--label", "team=search"],
        &["retention", "set", "a", "--access-log", "30", "--container-log", "7"],
        &["template", "of", "a", "copy"],
        &["template", "edit", "base", "--notes", "for all"],
        &["instance", "stop", "a"],
        &["instance", "delete", "c"],
    ] {
        platform.run(arguments).await.success(arguments);
    }
}

/// The log holds together; gives how many of its events are linked.
async fn verified(platform: &Platform) -> Value {
    let found = platform.json(&["events", "verify"]).await;
    assert_eq!((&found["intact"], &found["findings"]), (&json!(true), &json!([])), "{found}");
    found["confirmed"].clone()
}

/// The credential of a pasted configuration.
fn credential(config: &Value) -> String {
    let header = &config["mcpServers"]["a"]["headers"]["Authorization"];
    header.as_str().expect("a bearer token is in Authorization").to_owned()
}

/// Sends a request through the gateway with a credential; gives the status.
async fn call(platform: &Platform, authorization: &str) -> StatusCode {
    let shown = platform.json(&["instance", "show", "a"]).await;
    let url = shown["gateway_url"].as_str().expect("a proxied instance is behind the gateway").to_owned();
    let request = http().post(url).header("authorization", authorization);
    let request = request.header("accept", "application/json, text/event-stream");
    let request = request.json(&json!({ "jsonrpc": "2.0", "method": INITIALIZED }));
    request.send().await.expect("the gateway answers").status()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_past_is_told_taken_back_and_moved_to_another_installation() {
    let scratch = tempfile::tempdir().expect("make a directory");
    let upstream = Upstream::start().await;
    let source = Platform::up(&scratch.path().join("source")).await;
    lives_a_little(&source, &upstream).await;
    looks_back(&source).await;

    // An empty installation under the same master key.
    let data = scratch.path().join("target");
    fs::create_dir_all(&data).expect("make a directory");
    fs::copy(source.data().join("master.key"), data.join("master.key")).expect("copy the master key");
    let target = Platform::up(&data).await;
    let file = scratch.path().join("log.jsonl");
    let exported = export(&source, &file, &[]).await;
    let import = ["events", "import", path(&file)];
    let dry = target.json(&[&import[..], &["--dry-run"]].concat()).await;
    assert_eq!((&dry["present"], &dry["appended"]), (&json!(0), &exported["events"]));
    let done = target.json(&import).await;
    assert_eq!((&done["appended"], &done["blake3"]), (&exported["events"], &exported["blake3"]));
    assert_eq!(shown(&target).await, shown(&source).await);
    assert_eq!(target.json(&import).await["appended"], 0, "all of it is there already");

    let copy = scratch.path().join("copy.jsonl");
    export(&target, &copy, &[]).await;
    assert_eq!(events(&copy), events(&file), "sequences, header fields, payloads and times");
    for platform in [&source, &target] {
        harness::until("every event is linked", LINKED_MAX, async || {
            (verified(platform).await == exported["events"]).then_some(())
        })
        .await;
    }
    secrets_open(&source, &target, &upstream).await;

    let damaged = scratch.path().join("damaged.jsonl");
    let text = fs::read_to_string(&file).expect("the file can be read");
    fs::write(&damaged, text.replacen("instance.stopped", "instance.started", 1)).expect("write a file");
    let arguments = ["events", "import", path(&damaged)];
    let refused = target.run(&arguments).await.code(2, &arguments);
    assert!(refused.stderr.contains("record "), "{}", refused.stderr);
    target.stop().await;

    another_master_key_opens_nothing(&source, &upstream, scratch.path()).await;
    source.stop().await;
}

/// What was so, what has changed since, and a change taken back.
async fn looks_back(platform: &Platform) {
    let tail = ["--json", "events", "tail", "--from", "1", "--until", "now", "--type", "instance.stopped"];
    let stopped = platform.run(&tail).await.success(&tail);
    let stopped: Value = serde_json::from_str(&stopped.stdout).expect("one event was asked for");
    let sequence = stopped["sequence"].to_string();
    let show = ["events", "show", &sequence];
    let tree = platform.run(&show).await.success(&show);
    assert!(tree.stdout.contains("instance.stopped") && tree.stdout.contains("◀"), "{}", tree.stdout);

    let before = (stopped["sequence"].as_u64().expect("a number") - 1).to_string();
    let state = platform.json(&["events", "state", "instance", "a", "--at-sequence", &before]).await;
    assert_eq!(state["state"]["wanted"], true);
    let diff = platform.json(&["events", "diff", "instance", "a", &before]).await;
    let wanted = json!({"path": "/wanted", "before": true, "after": false});
    assert!(diff["changes"].as_array().expect("a list").contains(&wanted), "{diff}");
    let undo = ["events", "undo", &sequence];
    assert_eq!(platform.json(&undo).await["name"], "instance.start");
    platform.run(&undo).await.code(3, &undo);
}

/// Under the same master key everything that was sealed opens: tokens, header fields, environment.
async fn secrets_open(source: &Platform, target: &Platform, upstream: &Upstream) {
    let theirs = credential(&source.json(&["config", "a"]).await);
    assert_eq!(credential(&target.json(&["config", "a"]).await), theirs);
    for platform in [source, target] {
        assert_eq!(call(platform, &theirs).await, StatusCode::ACCEPTED);
        let head = upstream.last_request();
        assert!(head.contains(KEY), "the header field of the instance was opened: {head}");
        let instantiate = ["template", "instantiate", "base", "d", "--no-wait"];
        let instance = platform.json(&instantiate).await;
        assert_eq!(instance["command"]["env"], json!(["KEY"]));
    }
}

/// Under another master key the same is shown, nothing that was sealed opens, and each refusal says so.
async fn another_master_key_opens_nothing(source: &Platform, upstream: &Upstream, scratch: &Path) {
    let stranger = Platform::up(&scratch.join("stranger")).await;
    let file = scratch.join("whole.jsonl");
    export(source, &file, &[]).await;
    let import = ["events", "import", path(&file)];
    let refused = stranger.run(&import).await.code(3, &import);
    assert!(refused.stderr.contains("master key") && refused.stderr.contains("without keys"), "{refused:?}");
    assert_eq!(stranger.json(&["instance", "list"]).await, json!([]), "nothing of it was taken over");

    let theirs = credential(&source.json(&["config", "a"]).await);
    export(source, &file, &["--without-keys"]).await;
    stranger.json(&import).await;
    for list in [&["token", "list", "a"][..], &["template", "list"]] {
        assert_eq!(of_events(&stranger, list).await, of_events(source, list).await);
    }
    assert_eq!(call(&stranger, &theirs).await, StatusCode::UNAUTHORIZED);
    for closed in [
        &["config", "a"][..],
        &["config", "b"],
        &["template", "instantiate", "base", "e"],
        &["template", "of", "a", "again"],
    ] {
        let refused = stranger.run(closed).await.code(4, closed);
        assert!(refused.stderr.contains("imported without keys"), "{closed:?}: {}", refused.stderr);
    }

    // Whatever is set anew is sealed under a key of this installation.
    let rotated = stranger.json(&["token", "rotate", "a", "dev"]).await;
    let ours = credential(&rotated["config"]);
    assert_eq!(call(&stranger, &ours).await, StatusCode::BAD_GATEWAY, "the header field does not open");
    let header = format!("X-Key: {KEY}");
    stranger.json(&["instance", "edit", "a", "--header", &header]).await;
    harness::until("the header field is sent", HEADER_MAX, async || {
        (call(&stranger, &ours).await == StatusCode::ACCEPTED).then_some(())
    })
    .await;
    assert!(upstream.last_request().contains(KEY));
    stranger.stop().await;
}
