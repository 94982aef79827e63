//! How much a session holds, how many children run before the server is known to work, how many files may be open.

use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::harness::{Bridge, CHILD, DEADLINE, Events, answer_of, initialize};

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

/// Calls with ids of this many bytes, until one is refused.
async fn call_until_refused(bridge: &Bridge, session: &str, bytes: usize) -> usize {
    let id = |number: usize| format!("{number}{}", "x".repeat(bytes));
    for number in 0..100 {
        let call = json!({"jsonrpc": "2.0", "id": id(number), "method": "tools/call", "params": {"name": "silence"}});
        let sent = bridge.post(Some(session), call.to_string()).send().await.unwrap();
        if sent.status() == StatusCode::TOO_MANY_REQUESTS {
            return number;
        }
    }
    panic!("no call was refused");
}

#[tokio::test]
async fn what_is_remembered_of_calls_counts() {
    for process in ["per-client", "shared"] {
        let bridge = Bridge::start(&["--process", process, "--session-bytes-max", "1000000"]);
        let session = bridge.session(NEWEST).await;
        assert!(call_until_refused(&bridge, &session, 400_000).await <= 3, "{process}");
    }
}

#[tokio::test]
async fn requests_that_may_have_to_be_made_again_count() {
    let bridge = Bridge::start_before(&["--session-bytes-max", "1000000"], &["python3", CHILD, "stateless"]);
    let session = bridge.session(NEWEST).await;
    let large = json!({"text": "x".repeat(600_000)});
    // Both are asked about, and kept until they are answered.
    let mut first = Events::of(bridge.call(&session, 1, "input", large.clone()).await);
    let mut second = Events::of(bridge.call(&session, 2, "input", large).await);
    assert_eq!(bridge.call(&session, 3, "echo", json!({})).await.status(), StatusCode::TOO_MANY_REQUESTS);
    for stream in [&mut first, &mut second] {
        let id = stream.message().await["id"].clone();
        let refusal = json!({"jsonrpc": "2.0", "id": id, "error": {"code": -1, "message": "no"}});
        bridge.post(Some(&session), refusal.to_string()).send().await.unwrap();
    }
    bridge.result(&session, 4, "echo", json!({})).await;
}

#[tokio::test]
async fn what_a_session_subscribes_to_is_bounded_in_size() {
    let bridge = Bridge::start_before(&[], &["python3", CHILD, "stateless"]);
    let session = bridge.session(NEWEST).await;
    let ask = async |method: &str, params: Value| -> Value {
        let body = json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": params});
        bridge.post(Some(&session), body.to_string()).send().await.unwrap().json().await.unwrap()
    };
    let subscribed = ask("resources/subscribe", json!({"uri": "x:a"})).await;
    assert_eq!(subscribed["result"], json!({}));
    let long = ask("resources/subscribe", json!({"uri": "x".repeat(100_000)})).await;
    let level = ask("logging/setLevel", json!({"level": "x".repeat(100_000)})).await;
    for refused in [long, level] {
        assert_eq!(refused["error"]["code"], -32602, "{refused}");
    }
    let client = initialize(NEWEST).replace("\"test\"", &json!("x".repeat(100_000)).to_string());
    assert_eq!(bridge.post(None, client).send().await.unwrap().status(), StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn a_server_asks_no_more_than_is_kept_for_its_client() {
    let bridge = Bridge::start(&["--session-bytes-max", "1000000"]);
    let params = json!({"name": "interrogate", "arguments": {"times": 100, "bytes": 100_000},
        "_meta": {"io.modelcontextprotocol/clientCapabilities": {"sampling": {}}}});
    let response = bridge.stateless(1, "tools/call", params).send().await.unwrap();
    let answer: Value = response.json().await.unwrap();
    // Some were refused at once, and none of them took the call along.
    let asked = answer["result"]["inputRequests"].as_object().map_or(0, serde_json::Map::len);
    let refused = answer["result"]["refused"].is_string();
    assert!(refused || (1..20).contains(&asked), "{asked} questions");
}

// Two threads, so that the others are served while one is waited for.
#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn an_answer_that_nobody_reads_makes_room_for_those_of_others() {
    let bridge = Bridge::start_before(&["--session-bytes-max", "1000000"], &["python3", CHILD, "stateless"]);
    let unread = bridge.stateless_call(1, "big", json!({"bytes": 20_000_000})).await;
    assert_eq!(unread.status(), StatusCode::OK);
    let until = std::time::Instant::now() + DEADLINE;
    loop {
        let answer = bridge.stateless_call(2, "echo", json!({"text": "a"})).await;
        if answer.status() == StatusCode::OK {
            assert_eq!(answer.json::<Value>().await.unwrap()["result"]["text"], "a");
            break;
        }
        assert_eq!(answer.status(), StatusCode::TOO_MANY_REQUESTS);
        assert!(std::time::Instant::now() < until, "one client keeps the others out");
    }
    let whole = unread.bytes().await.is_ok_and(|body| body.len() > 20_000_000);
    assert!(!whole, "it was not cut off");
    // One that is read comes whole, whatever its size.
    let read = answer_of(bridge.stateless_call(3, "big", json!({"bytes": 20_000_000})).await).await;
    assert_eq!(read["result"]["text"].as_str().unwrap().len(), 20_000_000);
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
