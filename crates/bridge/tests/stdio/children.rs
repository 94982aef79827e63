//! What servers do wrong: exactly the calls concerned fail, and nothing is left running.

use reqwest::StatusCode;
use rustix::process::{Signal, kill_process};
use serde_json::{Value, json};

use crate::harness::{Bridge, CHILD, Events, call, initialize};

const NEWEST: &str = "2025-11-25";

#[tokio::test]
async fn a_server_that_dies_fails_its_calls_and_its_session_alone() {
    let bridge = Bridge::start(&[]);
    let (session, other) = (bridge.session(NEWEST).await, bridge.session(NEWEST).await);
    let mut held = Events::of(bridge.call(&session, 1, "hold", json!({})).await);
    let response = bridge.call(&session, 2, "die", json!({})).await;
    let died: Value = response.json().await.unwrap();
    assert_eq!((&died["id"], &died["error"]["code"]), (&json!(2), &json!(-32000)));
    assert_eq!(died["error"]["message"], "the server exited with code 3 before it answered");
    assert_eq!(held.message().await["params"]["data"], "held");
    let failed = held.message().await;
    assert_eq!((&failed["id"], &failed["error"]["code"]), (&json!(1), &json!(-32000)));
    assert_eq!(held.next().await, None);
    let gone = bridge.post(Some(&session), call(3, "echo", json!({}))).send().await.unwrap();
    assert_eq!(gone.status(), StatusCode::NOT_FOUND);
    bridge.child_exited(|record| record["code"] == 3);
    bridge.result(&other, 1, "echo", json!({})).await;
    let next = bridge.session(NEWEST).await;
    bridge.result(&next, 1, "echo", json!({})).await;
}

#[tokio::test]
async fn junk_on_stdout_is_a_log_line() {
    let bridge = Bridge::start(&[]);
    let session = bridge.session(NEWEST).await;
    bridge.result(&session, 1, "junk", json!({})).await;
    for text in ["this is no JSON", "neither"] {
        assert_eq!(bridge.log_line(text)["stream"], "stdout");
    }
    bridge.result(&session, 2, "echo", json!({})).await;
}

#[tokio::test]
async fn an_answer_that_cannot_be_read_fails_its_call_and_is_not_logged() {
    let bridge = Bridge::start(&[]);
    let session = bridge.session(NEWEST).await;
    for (id, fault) in [(1, "byte"), (2, "member")] {
        let response = bridge.call(&session, id, "garbled", json!({"fault": fault})).await;
        let answer: Value = response.json().await.unwrap();
        assert_eq!((&answer["id"], &answer["error"]["code"]), (&json!(id), &json!(-32000)), "{answer}");
    }
    bridge.log_line("of 56 bytes, is not valid: the message is not JSON: it is not UTF-8");
    bridge.log_line("no member may occur twice");
    assert!(!bridge.has_logged("for nobody"));
    // Records of the server's own log stay what they are, though an id in them may be that of a call.
    bridge.result(&session, 3, "records", json!({})).await;
    bridge.log_line("a record with an id");
    bridge.log_line("a message in a record");
}

#[tokio::test]
async fn the_bridge_says_what_is_wrong_in_plain_text_and_nothing_else() {
    let directory = tempfile::tempdir().unwrap();
    let said = directory.path().join("stderr");
    let script = "unset MCPCAN_LOG; said=$1; shift; exec \"$@\" 2>\"$said\"";
    let launcher = ["sh", "-c", script, "sh", said.to_str().unwrap()];
    let bridge = Bridge::start_through(&launcher, &[], &["python3", CHILD]);
    let session = bridge.session(NEWEST).await;
    bridge.result(&session, 1, "echo", json!({})).await;
    assert_eq!(std::fs::read_to_string(&said).unwrap(), "");
    bridge.result(&session, 2, "twice", json!({})).await;
    // Its answer comes after the one that nobody waits for.
    bridge.result(&session, 3, "echo", json!({})).await;
    let text = std::fs::read_to_string(&said).unwrap();
    assert!(
        text.contains("the server answered a call that does not wait") && text.contains("bytes="),
        "{text}"
    );
    assert!(!text.contains("for nobody") && !text.contains('\u{1b}'), "{text}");
}

#[tokio::test]
async fn a_refusal_of_initialize_comes_after_what_was_said_before_it() {
    let script = "import json,sys\nd=json.loads(sys.stdin.readline())\n\
        print(json.dumps({'jsonrpc':'2.0','id':d['id'],'error':{'code':-32602,'message':'too early'}}),flush=True)\n\
        m=json.loads(sys.stdin.readline())\n\
        print(json.dumps({'jsonrpc':'2.0','method':'notifications/message','params':{}}))\n\
        print(json.dumps({'jsonrpc':'2.0','id':m['id'],'error':{'code':-32602,'message':'no licence'}}),flush=True)\n\
        sys.stdin.read()";
    let bridge = Bridge::start_before(&["--warm", "0"], &["python3", "-c", script]);
    let response = bridge.post(None, initialize(NEWEST)).send().await.unwrap();
    assert!(!response.headers().contains_key("mcp-session-id"));
    let messages = Events::of(response).messages().await;
    assert_eq!(messages[0]["method"], "notifications/message", "{messages:?}");
    assert_eq!(messages[1]["error"]["message"], "no licence", "{messages:?}");
    assert_eq!(messages.len(), 2);
    bridge.wait_for_children(0);
}

#[tokio::test]
async fn a_flood_on_stderr_stalls_nothing() {
    let bridge = Bridge::start(&[]);
    let session = bridge.session(NEWEST).await;
    let answer = bridge.call(&session, 1, "flood", json!({})).await;
    assert_eq!(answer.status(), StatusCode::OK);
    bridge.log_line("flood 0 ");
    bridge.result(&session, 2, "echo", json!({})).await;
}

#[tokio::test]
async fn an_answer_that_is_too_long_fails_its_call_alone() {
    let bridge = Bridge::start(&["--line-bytes-max", "100000"]);
    let session = bridge.session(NEWEST).await;
    let mut held = Events::of(bridge.call(&session, 1, "hold", json!({})).await);
    let response = bridge.call(&session, 2, "big", json!({"bytes": 1_000_000})).await;
    let answer: Value = response.json().await.unwrap();
    assert_eq!((&answer["id"], &answer["error"]["code"]), (&json!(2), &json!(-32000)));
    bridge.result(&session, 3, "release", json!({})).await;
    held.message().await;
    assert_eq!(held.message().await["result"]["text"], "released");
}

#[tokio::test]
async fn a_server_that_ignores_everything_is_killed() {
    let bridge = Bridge::start(&["--warm", "0"]);
    let session = bridge.session(NEWEST).await;
    bridge.result(&session, 1, "stubborn", json!({})).await;
    bridge.delete(Some(&session)).send().await.unwrap();
    bridge.child_exited(|record| record["signal"] == 9);
    bridge.wait_for_children(0);
}

#[tokio::test]
async fn a_server_that_closes_a_pipe_is_ended() {
    let bridge = Bridge::start(&["--warm", "0"]);
    let session = bridge.session(NEWEST).await;
    let answer: Value = bridge.call(&session, 1, "close_stdout", json!({})).await.json().await.unwrap();
    assert_eq!(answer["error"]["message"], "the server closed its connection before it answered");
    let session = bridge.session(NEWEST).await;
    bridge.result(&session, 1, "close_stdin", json!({})).await;
    let answer: Value = bridge.call(&session, 2, "echo", json!({})).await.json().await.unwrap();
    assert_eq!(answer["error"]["message"], "the server closed its connection before it answered");
    bridge.wait_for_children(0);
}

#[tokio::test]
async fn what_a_server_started_ends_with_it() {
    let bridge = Bridge::start(&["--warm", "0"]);
    let session = bridge.session(NEWEST).await;
    bridge.result(&session, 1, "grandchild", json!({})).await;
    bridge.wait_for_children(2);
    bridge.call(&session, 2, "die", json!({})).await;
    bridge.wait_for_children(0);
}

#[tokio::test]
async fn a_program_that_cannot_be_started_is_named() {
    let bridge = Bridge::start_before(&["--warm", "0"], &["/nowhere/server", "secret-argument"]);
    let response = bridge.post(None, initialize(NEWEST)).send().await.unwrap();
    assert_eq!(response.status(), StatusCode::BAD_GATEWAY);
    let text = response.text().await.unwrap();
    assert!(text.contains("/nowhere/server") && text.contains("No such file"), "{text}");
    assert!(!text.contains("secret-argument"), "{text}");
    bridge.log_line("cannot start the server's program");
}

#[tokio::test]
async fn a_server_that_ends_at_once_is_told_to_client_and_log() {
    let bridge = Bridge::start_before(&["--warm", "1"], &["sh", "-c", "echo no licence >&2; exit 7"]);
    bridge.log_line("no licence");
    bridge.log_line("the server exited with code 7 before a client came");
    let response = bridge.post(None, initialize(NEWEST)).send().await.unwrap();
    assert_eq!(response.status(), StatusCode::BAD_GATEWAY);
    let body: Value = response.json().await.unwrap();
    assert_eq!(body["error"]["message"], "the server exited with code 7 before it was initialised");
}

// Several threads, so that the connection of a dropped stream is closed while the test waits.
#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn sessions_are_bounded_in_number_and_in_idle_time() {
    let bridge = Bridge::start(&["--warm", "0", "--sessions-max", "1", "--session-idle", "1"]);
    let session = bridge.session(NEWEST).await;
    let stream = Events::of(bridge.get(Some(&session)).send().await.unwrap());
    let response = bridge.post(None, initialize(NEWEST)).send().await.unwrap();
    assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert!(response.headers().contains_key("retry-after"));
    drop(stream);
    // Nobody uses the session any more.
    bridge.child_exited(|record| record["code"] == 0);
    let gone = bridge.get(Some(&session)).send().await.unwrap();
    assert_eq!(gone.status(), StatusCode::NOT_FOUND);
    bridge.session(NEWEST).await;
}

#[tokio::test]
async fn a_child_has_the_environment_the_directory_and_the_limits_it_was_given() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().canonicalize().unwrap();
    let bridge = Bridge::start(&["--workdir", path.to_str().unwrap(), "--open-files", "128"]);
    let session = bridge.session(NEWEST).await;
    let about = bridge.result(&session, 1, "about", json!({})).await;
    assert_eq!(about["directory"], path.to_str().unwrap());
    assert_eq!((&about["open_files"], &about["given"]), (&json!([128, 128]), &json!("to the child")));
    let pid = about["pid"].as_i64().unwrap();
    let group = rustix::process::Pid::from_raw(i32::try_from(pid).unwrap());
    assert_eq!(
        rustix::process::getpgid(group).unwrap(),
        group.unwrap(),
        "the child leads a group of its own"
    );
}

#[tokio::test]
async fn the_bridge_ends_with_its_lifeline_and_answers_what_waits() {
    let mut bridge = Bridge::start(&[]);
    let session = bridge.session(NEWEST).await;
    bridge.result(&session, 1, "grandchild", json!({})).await;
    let mut held = Events::of(bridge.call(&session, 2, "hold", json!({})).await);
    held.message().await;
    bridge.cut_lifeline();
    let failed = held.message().await;
    assert_eq!(failed["error"]["message"], "the server is being stopped before it answered");
    assert!(bridge.ends().success());
}

#[tokio::test]
async fn the_bridge_ends_on_sigterm_however_stubborn_its_children() {
    let mut bridge = Bridge::start(&["--warm", "2"]);
    let session = bridge.session(NEWEST).await;
    bridge.result(&session, 1, "stubborn", json!({})).await;
    bridge.wait_for_children(3);
    kill_process(bridge.pid(), Signal::TERM).unwrap();
    assert!(bridge.ends().success());
}

#[tokio::test]
async fn children_of_a_killed_bridge_see_the_end_of_their_stdin() {
    // Children that have answered: one that is only being started shows no environment for a moment.
    let mut bridge = Bridge::start(&["--warm", "0"]);
    bridge.session(NEWEST).await;
    bridge.session(NEWEST).await;
    kill_process(bridge.pid(), Signal::KILL).unwrap();
    bridge.wait_until_nothing_runs();
    assert!(!bridge.ends().success());
}

#[tokio::test]
async fn a_server_that_reads_nothing_holds_up_its_own_session_only() {
    let script = "import json,sys,time\nm=json.loads(sys.stdin.readline())\n\
        print(json.dumps({'jsonrpc':'2.0','id':m['id'],'result':{'protocolVersion':m['params']['protocolVersion']}}),flush=True)\n\
        time.sleep(600)";
    let bridge = Bridge::start_before(&["--warm", "0"], &["python3", "-c", script]);
    let session = bridge.session(NEWEST).await;
    let mut stream =
        Events::of(bridge.call(&session, 1, "echo", json!({"text": "x".repeat(1_000_000)})).await);
    assert!(stream.next().await.unwrap().data.is_empty());
    let other = bridge.session(NEWEST).await;
    for one in [&session, &other] {
        assert_eq!(bridge.delete(Some(one)).send().await.unwrap().status(), StatusCode::NO_CONTENT);
    }
    assert_eq!(stream.message().await["error"]["message"], "the client ended the session before it answered");
    bridge.wait_for_children(0);
}
