//! One child for all clients: what belongs to one never reaches another.

use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::harness::{Bridge, CHILD, Events, answer_of, initialize};

const NEWEST: &str = "2025-11-25";
const SHARED: &[&str] = &["--process", "shared"];
/// For how long a client waits that leaves then.
const PATIENCE: std::time::Duration = std::time::Duration::from_secs(1);

#[tokio::test]
async fn every_client_gets_its_own_answers_and_progress_from_one_child() {
    let bridge = Bridge::start(SHARED);
    let clients =
        [bridge.session(NEWEST).await, bridge.session("2025-06-18").await, bridge.session(NEWEST).await];
    // All use the same ids and tokens, as clients do that count from one, and all are in flight at a time.
    let progress = async |session: &str, steps: usize| {
        let body = json!({"jsonrpc": "2.0", "id": 7, "method": "tools/call", "params": {
            "name": "progress", "arguments": {"steps": steps, "parties": 3}, "_meta": {"progressToken": 7}
        }});
        Events::of(bridge.post(Some(session), body.to_string()).send().await.unwrap()).messages().await
    };
    let told = tokio::join!(progress(&clients[0], 1), progress(&clients[1], 2), progress(&clients[2], 3));
    for (steps, told) in [(1, told.0), (2, told.1), (3, told.2)] {
        let (answer, progress) = told.split_last().unwrap();
        assert_eq!((&answer["id"], &answer["result"]), (&json!(7), &json!({})));
        assert_eq!(progress.len(), steps, "{progress:?}");
        for (step, told) in progress.iter().enumerate() {
            assert_eq!(told["params"], json!({"progressToken": 7, "progress": step}));
        }
    }
    let mut children = Vec::new();
    for client in &clients {
        children.push(bridge.result(client, 8, "about", json!({})).await["pid"].clone());
    }
    assert!(children.iter().all(|pid| *pid == children[0]), "{children:?}");
    bridge.wait_for_children(1);
}

#[tokio::test]
async fn of_a_message_only_the_id_changes() {
    let bridge = Bridge::start(SHARED);
    let session = bridge.session(NEWEST).await;
    let request = "{\"params\":{\"name\":\"raw\",\"n\":[1.0,9007199254740993,1e400,-0]},\n \"id\":9007199254740993,\
                   \"x\":\"\\u00e9\",\"method\":\"tools/call\",\"jsonrpc\":\"2.0\"}";
    let answer = bridge.post(Some(&session), request).send().await.unwrap().text().await.unwrap();
    let got = answer.split("\"got\":").nth(1).unwrap();
    let got: String = serde_json::Deserializer::from_str(got).into_iter().next().unwrap().unwrap();
    let (before, after) = request.split_once("9007199254740993,\"x\"").unwrap();
    let number = got.strip_prefix(&before.replace('\n', " ")).unwrap();
    let number = number.strip_suffix(&format!(",\"x\"{after}")).unwrap();
    assert!(number.parse::<u64>().is_ok(), "{got}");
    let quoted = serde_json::to_string(&got).unwrap();
    assert_eq!(
        answer,
        format!(
            r#"{{"jsonrpc":"2.0","result":{{"z":1.0,"a":9007199254740993,"huge":123456789012345678901234567890,"m":1e2,"got":{quoted}}},"id":9007199254740993,"extra":[1.50]}}"#
        )
    );
}

#[tokio::test]
async fn what_belongs_to_no_call_reaches_nobody_and_is_not_promised() {
    let bridge = Bridge::start(SHARED);
    let opened = bridge.post(None, initialize("2025-06-18")).send().await.unwrap();
    let session = opened.headers()["mcp-session-id"].to_str().unwrap().to_owned();
    let answer = opened.text().await.unwrap();
    let expected = r#"{"jsonrpc":"2.0","id":0,"result":{"protocolVersion": "2025-06-18", "capabilities": {"tools": {"listChanged": false}, "x": {"n": 1.0}}, "serverInfo": {"name": "child", "version": "1"}}}"#;
    assert_eq!(answer, expected);
    let other = bridge.session(NEWEST).await;
    let mut listening = Events::of(bridge.get(Some(&other)).send().await.unwrap());
    assert!(listening.next().await.unwrap().data.is_empty());
    // A log line, a change and a question of the server, while two calls are in flight.
    let held = tokio::spawn(bridge.post(Some(&session), crate::harness::call(1, "hold", json!({}))).send());
    bridge.result(&other, 1, "change", json!({})).await;
    bridge.result(&other, 2, "release", json!({})).await;
    let held = held.await.unwrap().unwrap();
    assert_eq!(held.headers()["content-type"], "application/json");
    assert_eq!(held.json::<Value>().await.unwrap()["result"]["text"], "released");
    let asked = bridge.result(&session, 3, "ask", json!({})).await;
    assert_eq!(asked["answer"]["code"], -32601);
    let level =
        json!({"jsonrpc": "2.0", "id": 4, "method": "logging/setLevel", "params": {"level": "debug"}});
    let refused: Value =
        bridge.post(Some(&session), level.to_string()).send().await.unwrap().json().await.unwrap();
    assert_eq!((&refused["id"], &refused["error"]["code"]), (&json!(4), &json!(-32601)));
    // The stream ends with its session, and nothing was on it.
    bridge.delete(Some(&other)).send().await.unwrap();
    assert_eq!(listening.messages().await, Vec::<Value>::new());
}

// Two threads, so that requests are sent and connections closed while the test waits.
#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_child_that_dies_fails_the_calls_in_flight_and_is_started_again() {
    let bridge = Bridge::start(SHARED);
    let (one, other) = (bridge.session(NEWEST).await, bridge.session(NEWEST).await);
    let before = bridge.result(&one, 1, "about", json!({})).await["pid"].clone();
    let silent = tokio::spawn(bridge.post(Some(&one), crate::harness::call(2, "silence", json!({}))).send());
    bridge.log_line("silent");
    let died = answer_of(bridge.call(&other, 2, "die", json!({})).await).await;
    let silent = silent.await.unwrap().unwrap().text().await.unwrap();
    assert_eq!((&died["id"], &died["error"]["code"]), (&json!(2), &json!(-32000)));
    assert!(silent.contains("exited with code 3 before it answered"), "{silent}");
    // The sessions go on, with another child.
    let after = answer_of(bridge.call(&one, 3, "about", json!({})).await).await["result"]["pid"].clone();
    assert_ne!(before, after);
    assert_eq!(bridge.result(&other, 3, "about", json!({})).await["pid"], after);
}

// Two threads, so that requests are sent and connections closed while the test waits.
#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn only_the_call_that_its_client_cancels_is_cancelled() {
    let bridge = Bridge::start(SHARED);
    let (one, other) = (bridge.session(NEWEST).await, bridge.session(NEWEST).await);
    let silent =
        |session: &str| bridge.post(Some(session), crate::harness::call(5, "silence", json!({}))).send();
    let (first, second) = (tokio::spawn(silent(&one)), tokio::spawn(silent(&other)));
    bridge.log_lines("silent", 2);
    let cancel = json!({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": 5}});
    let cancelled = bridge.post(Some(&other), cancel.to_string()).send().await.unwrap();
    assert_eq!(cancelled.status(), StatusCode::ACCEPTED);
    let line = bridge.log_line("cancelled ")["text"].clone();
    let answer = second.await.unwrap().unwrap().text().await.unwrap();
    assert!(answer.contains("the call was cancelled"), "{answer}");
    // The other's still waits, until its session ends.
    drop(first.await.unwrap().unwrap());
    bridge.delete(Some(&one)).send().await.unwrap();
    bridge.log_line_besides("cancelled ", &line);
}

#[tokio::test]
async fn a_client_that_leaves_has_not_cancelled() {
    let bridge = Bridge::start(SHARED);
    let session = bridge.session(NEWEST).await;
    let mut stream = Events::of(bridge.call(&session, 1, "hold", json!({})).await);
    let last = stream.next().await.unwrap().id.unwrap();
    drop(stream);
    bridge.result(&session, 2, "release", json!({})).await;
    let resumed = bridge.get(Some(&session)).header("last-event-id", last).send().await.unwrap();
    assert_eq!(Events::of(resumed).messages().await[0]["result"]["text"], "released");
}

// The client leaves while the test waits.
#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_call_goes_on_whose_client_leaves_while_the_server_is_started_again() {
    let directory = tempfile::tempdir().unwrap();
    let gate = directory.path().join("gate");
    let script = "if [ -e \"$0\" ]; then read _ < \"$0\"; fi; exec \"$@\"";
    let bridge =
        Bridge::start_before(SHARED, &["sh", "-c", script, gate.to_str().unwrap(), "python3", CHILD]);
    let session = bridge.session(NEWEST).await;
    assert!(std::process::Command::new("mkfifo").arg(&gate).status().unwrap().success());
    answer_of(bridge.call(&session, 1, "die", json!({})).await).await;
    let left = bridge.post(Some(&session), crate::harness::call(2, "silence", json!({})));
    assert!(left.timeout(PATIENCE).send().await.unwrap_err().is_timeout());
    std::fs::write(&gate, "go\n").unwrap();
    bridge.log_line("silent");
    let cancel = json!({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": 2}});
    bridge.post(Some(&session), cancel.to_string()).send().await.unwrap();
    bridge.log_line("cancelled ");
}

#[tokio::test]
async fn sessions_without_children_have_a_bound_of_their_own() {
    let bridge = Bridge::start_before(
        &["--process", "shared", "--shared-sessions-max", "2", "--sessions-max", "1"],
        &["python3", CHILD],
    );
    let one = bridge.session(NEWEST).await;
    bridge.session(NEWEST).await;
    let refused = bridge.post(None, initialize(NEWEST)).send().await.unwrap();
    assert_eq!(refused.status(), StatusCode::SERVICE_UNAVAILABLE);
    bridge.delete(Some(&one)).send().await.unwrap();
    bridge.session(NEWEST).await;
}
