//! How much a session holds, how many children run before the server is known to work, how many files may be open.

use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::harness::{Bridge, CHILD, Events, initialize};

const NEWEST: &str = "2025-11-25";

/// A server that answers `initialize` and then reads nothing more.
const DEAF: &str = "import json,sys,time\nm=json.loads(sys.stdin.readline())\n\
    print(json.dumps({'jsonrpc':'2.0','id':m['id'],'result':{'protocolVersion':m['params']['protocolVersion']}}),flush=True)\n\
    time.sleep(600)";

#[tokio::test]
async fn beyond_its_bound_a_session_keeps_the_newest_for_a_client_to_resume() {
    let bridge = Bridge::start(&["--session-bytes-max", "150000"]);
    let session = bridge.session(NEWEST).await;
    let report = async |id: i64| {
        let mut stream =
            Events::of(bridge.call(&session, id, "report", json!({"parts": 1, "bytes": 100_000})).await);
        let first = stream.next().await.unwrap();
        assert_eq!(stream.messages().await.len(), 2);
        first.id.unwrap()
    };
    let resume = |id: &str| bridge.get(Some(&session)).header("last-event-id", id.to_owned()).send();
    let older = report(1).await;
    assert_eq!(Events::of(resume(&older).await.unwrap()).messages().await.len(), 2);
    let newer = report(2).await;
    assert_eq!(resume(&older).await.unwrap().status(), StatusCode::BAD_REQUEST);
    assert_eq!(Events::of(resume(&newer).await.unwrap()).messages().await.len(), 2);
}

#[tokio::test]
async fn a_session_whose_server_does_not_read_takes_no_more_than_its_bound() {
    let bridge =
        Bridge::start_before(&["--warm", "0", "--session-bytes-max", "500000"], &["python3", "-c", DEAF]);
    let session = bridge.session(NEWEST).await;
    let mut stream =
        Events::of(bridge.call(&session, 1, "echo", json!({"text": "x".repeat(1_000_000)})).await);
    assert!(stream.next().await.unwrap().data.is_empty());
    let notification = json!({"jsonrpc": "2.0", "method": "notifications/roots/list_changed"}).to_string();
    let refused = [
        bridge.call(&session, 2, "echo", json!({})).await,
        bridge.post(Some(&session), notification).send().await.unwrap(),
    ];
    for response in refused {
        assert_eq!(response.status(), StatusCode::TOO_MANY_REQUESTS);
        assert!(response.headers().contains_key("retry-after"));
    }
    bridge.delete(Some(&session)).send().await.unwrap();
    assert_eq!(stream.message().await["error"]["message"], "the client ended the session before it answered");
    bridge.wait_for_children(0);
}

#[tokio::test]
async fn a_client_that_reads_slowly_holds_its_server_up_and_misses_nothing() {
    let bridge = Bridge::start(&["--session-bytes-max", "1000000"]);
    let (session, other) = (bridge.session(NEWEST).await, bridge.session(NEWEST).await);
    let response = bridge.call(&session, 1, "report", json!({"parts": 400, "bytes": 100_000})).await;
    // Nobody reads the answer yet; other sessions go on, longer than the server would take to say all.
    for id in 0..500 {
        bridge.result(&other, id, "echo", json!({})).await;
        assert!(!bridge.has_logged("reported all"), "after {id} calls");
    }
    let messages = Events::of(response).messages().await;
    let parts = messages.iter().filter_map(|message| message["params"]["data"]["part"].as_i64());
    assert!(parts.eq(0..400));
    assert_eq!(messages.last().unwrap()["id"], 1);
    bridge.log_line("reported all");
}

// Two threads, so that the request is sent while the test waits.
#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn no_second_child_starts_before_the_first_has_answered_a_client() {
    let directory = tempfile::tempdir().unwrap();
    let gate = directory.path().join("gate");
    assert!(std::process::Command::new("mkfifo").arg(&gate).status().unwrap().success());
    // It installs, so to speak, until the gate opens.
    let script = "import json,sys\nprint('installing',file=sys.stderr,flush=True)\nopen(sys.argv[1]).read()\n\
        d=json.loads(sys.stdin.readline())\n\
        print(json.dumps({'jsonrpc':'2.0','id':d['id'],'error':{'code':-32601,'message':'?'}}),flush=True)\n\
        m=json.loads(sys.stdin.readline())\n\
        print(json.dumps({'jsonrpc':'2.0','id':m['id'],'result':{'protocolVersion':m['params']['protocolVersion']}}),flush=True)\n\
        sys.stdin.read()";
    let bridge = Bridge::start_before(&["--warm", "2"], &["python3", "-c", script, gate.to_str().unwrap()]);
    let opening = tokio::spawn(bridge.post(None, initialize(NEWEST)).send());
    bridge.log_line("installing");
    bridge.wait_for_children(1);
    std::fs::write(&gate, "go").unwrap();
    assert_eq!(opening.await.unwrap().unwrap().status(), StatusCode::OK);
    // Now that it works, two are kept warm.
    bridge.wait_for_children(3);
}

#[tokio::test]
async fn the_bridge_takes_the_open_files_it_can_get_and_its_children_what_they_had() {
    let launcher = ["sh", "-c", "ulimit -S -n 100; exec \"$@\"", "sh"];
    let bridge = Bridge::start_through(&launcher, &[], &["python3", CHILD]);
    let session = bridge.session(NEWEST).await;
    let about: Value = bridge.result(&session, 1, "about", json!({})).await;
    assert_eq!(about["open_files"][0], 100);
    let limits = std::fs::read_to_string(format!("/proc/{}/limits", bridge.pid().as_raw_pid())).unwrap();
    let line = limits.lines().find(|line| line.starts_with("Max open files")).unwrap();
    let numbers: Vec<_> = line.split_whitespace().skip(3).take(2).collect();
    assert_eq!(numbers[0], numbers[1], "{line}");
    assert_eq!(about["open_files"][1].to_string(), numbers[1]);
}
