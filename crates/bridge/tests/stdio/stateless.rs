//! What 2026-07-28 asks of a server, in front of a server that speaks it.

use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::harness::{Bridge, CHILD, DEADLINE, Events, answer_of, stateless};

fn start(options: &[&str]) -> Bridge {
    Bridge::start_before(options, &["python3", CHILD, "stateless"])
}

#[tokio::test]
async fn what_a_server_speaks_is_found_before_anybody_asks() {
    let found = |bridge: &Bridge| {
        let probed = bridge.record("probed");
        (probed["sessions"].clone(), probed["stateless"].clone())
    };
    let program = |eras: &[&'static str]| [&["python3", CHILD], eras].concat();
    assert_eq!(found(&Bridge::start_before(&[], &program(&[]))), (json!(true), json!(null)));
    assert_eq!(
        found(&Bridge::start_before(&[], &program(&["stateless"]))),
        (json!(false), json!("2026-07-28"))
    );
    let dual = Bridge::start_before(&[], &program(&["stateless", "sessions"]));
    assert_eq!(found(&dual), (json!(true), json!("2026-07-28")));
    // Both eras at a time, from the children that are for them.
    let session = dual.session("2025-11-25").await;
    let old = dual.result(&session, 1, "about", json!({})).await["pid"].clone();
    let new: Value = dual.stateless_call(1, "about", json!({})).await.json().await.unwrap();
    assert_ne!(old, new["result"]["pid"]);
    // Some exit on what they do not know, some say nothing: both can be initialised all the same.
    let exits = "import json,sys\nm=json.loads(sys.stdin.readline())\nif m['method']!='initialize': sys.exit(1)\n\
        print(json.dumps({'jsonrpc':'2.0','id':m['id'],'result':{'protocolVersion':m['params']['protocolVersion']}}),flush=True)\n\
        sys.stdin.read()";
    let bridge = Bridge::start_before(&[], &["python3", "-c", exits]);
    assert_eq!(found(&bridge), (json!(true), json!(null)));
    let opened = bridge.post(None, crate::harness::initialize("2025-11-25")).send().await.unwrap();
    assert_eq!(opened.status(), StatusCode::OK);
}

#[tokio::test]
async fn requests_that_are_not_right_get_the_error_for_it() {
    let bridge = start(&[]);
    let body = |method: &str, params: Value| stateless(1, method, params);
    let list = || body("tools/list", json!({}));
    let call = || body("tools/call", json!({"name": "échо", "arguments": {}}));
    let without = |key: &str| list().replace(key, "other");
    let revision = ("MCP-Protocol-Version", "2026-07-28");
    let method = ("Mcp-Method", "tools/list");
    let tool = ("Mcp-Method", "tools/call");
    type Case<'a> = (String, &'a [(&'a str, &'a str)], u16, i64);
    let cases: [Case<'_>; 13] = [
        (without("io.modelcontextprotocol/protocolVersion"), &[revision, method], 400, -32602),
        (without("io.modelcontextprotocol/clientCapabilities"), &[revision, method], 400, -32602),
        (r#"{"jsonrpc":"2.0","id":1,"method":"tools/list"}"#.to_owned(), &[revision, method], 400, -32602),
        (list(), &[method], 400, -32020),
        (list(), &[revision], 400, -32020),
        (list(), &[revision, ("Mcp-Method", "TOOLS/LIST")], 400, -32020),
        (list(), &[("MCP-Protocol-Version", "2025-11-25"), method], 400, -32020),
        (call(), &[revision, tool], 400, -32020),
        (call(), &[revision, tool, ("Mcp-Name", "echo")], 400, -32020),
        (call(), &[revision, tool, ("Mcp-Name", "=?base64?!?=")], 400, -32020),
        (list().replace("2026-07-28", "v9"), &[("MCP-Protocol-Version", "v9"), method], 400, -32022),
        (body("no/such", json!({})), &[revision, ("Mcp-Method", "no/such")], 404, -32601),
        (r#"{"jsonrpc":"2.0","id":1,"result":{}}"#.to_owned(), &[revision], 400, -32600),
    ];
    for (number, (body, headers, status, code)) in cases.into_iter().enumerate() {
        let mut request = bridge.post(None, body);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let response = request.send().await.unwrap();
        let (found, body) = (response.status().as_u16(), response.json::<Value>().await.unwrap());
        assert_eq!((found, &body["error"]["code"]), (status, &json!(code)), "case {number}: {body}");
        if code == -32022 {
            assert_eq!(body["error"]["data"], json!({"supported": ["2026-07-28"], "requested": "v9"}));
        }
        if number != 12 {
            assert_eq!(body["id"], 1, "case {number}");
        }
    }
    for request in [bridge.get(None), bridge.delete(Some("anything"))] {
        let refused = request.header(revision.0, revision.1).send().await.unwrap();
        assert_eq!(refused.status(), StatusCode::METHOD_NOT_ALLOWED);
        assert_eq!(refused.headers()["allow"], "POST");
    }
    // A session id means nothing here, and a name may have to be encoded.
    let accepted =
        bridge.post(Some("ignored"), body("tools/call", json!({"name": "echo", "arguments": {"text": "ü"}})));
    let accepted = accepted.header(revision.0, revision.1).header(tool.0, tool.1);
    let accepted = accepted.header("Mcp-Name", "=?base64?ZWNobw==?=").send().await.unwrap();
    assert!(!accepted.headers().contains_key("mcp-session-id"));
    assert_eq!(accepted.json::<Value>().await.unwrap()["result"]["text"], "ü");
}

#[tokio::test]
async fn every_call_gets_its_own_answer_and_progress_byte_for_byte() {
    let bridge = start(&[]);
    let progress = async |steps: usize| {
        let params = json!({"name": "progress", "arguments": {"steps": steps, "parties": 2}, "_meta": {"progressToken": "t"}});
        Events::of(bridge.stateless(7, "tools/call", params).send().await.unwrap()).messages().await
    };
    let told = tokio::join!(progress(1), progress(4));
    for (steps, told) in [(1, told.0), (4, told.1)] {
        assert_eq!(told.len(), steps + 1);
        assert_eq!(told[0]["params"], json!({"progressToken": "t", "progress": 0}));
        assert_eq!(told[steps]["id"], 7);
    }
    let raw = bridge.stateless_call(8, "raw", json!({"requestState": "\u{e9}/+="})).await;
    let answer = raw.text().await.unwrap();
    let expected = r#"{"jsonrpc":"2.0","result":{"z":1.0,"a":9007199254740993,"huge":123456789012345678901234567890,"m":1e2,"got":""#;
    assert!(answer.starts_with(expected), "{answer}");
    assert!(answer.ends_with(r#""},"id":8,"extra":[1.50]}"#), "{answer}");
}

// Two threads, so that requests are sent and connections closed while the test waits.
#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_client_that_leaves_has_cancelled() {
    let bridge = start(&[]);
    // One leaves before there is an answer of any kind, one while it reads a stream.
    let params = json!({"name": "silence", "arguments": {}});
    let silent = tokio::spawn(bridge.stateless(1, "tools/call", params).send());
    bridge.log_line("silent");
    silent.abort();
    let first = bridge.log_line("cancelled ")["text"].clone();
    let params =
        json!({"name": "progress", "arguments": {"steps": 1, "parties": 2}, "_meta": {"progressToken": 1}});
    let mut stream = Events::of(bridge.stateless(2, "tools/call", params).send().await.unwrap());
    stream.message().await;
    drop(stream);
    bridge.log_line_besides("cancelled ", &first);
    let answer: Value = bridge.stateless_call(3, "echo", json!({"text": "a"})).await.json().await.unwrap();
    assert_eq!(answer["result"]["text"], "a");
}

// Two threads, so that requests are sent and connections closed while the test waits.
#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn what_a_server_says_after_a_call_was_given_up_reaches_no_other_client() {
    let bridge = start(&[]);
    let report = || {
        let log = json!({"io.modelcontextprotocol/logLevel": "info"});
        json!({"name": "report", "arguments": {"parts": 1, "bytes": 1}, "_meta": log})
    };
    let logged = bridge.stateless(1, "tools/call", report()).send().await.unwrap();
    assert_eq!(Events::of(logged).messages().await.len(), 2, "there is only one call that it can be about");
    let params = json!({"name": "silence", "arguments": {}});
    let silent = tokio::spawn(bridge.stateless(2, "tools/call", params).send());
    bridge.log_line("silent");
    silent.abort();
    bridge.log_line("cancelled ");
    let answer = bridge.stateless(3, "tools/call", report()).send().await.unwrap();
    assert_eq!(answer.headers()["content-type"], "application/json", "nothing came before the answer");
    assert_eq!(answer.json::<Value>().await.unwrap()["id"], 3);
}

// Two threads, so that requests are sent and connections closed while the test waits.
#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_subscription_bears_the_id_of_its_client() {
    let bridge = start(&[]);
    let listen = async |id: i64| {
        let params = json!({"notifications": {"toolsListChanged": true}});
        let mut stream =
            Events::of(bridge.stateless(id, "subscriptions/listen", params).send().await.unwrap());
        let first = stream.message().await;
        assert_eq!(first["method"], "notifications/subscriptions/acknowledged");
        assert_eq!(first["params"]["_meta"]["io.modelcontextprotocol/subscriptionId"], id);
        stream
    };
    let (mut one, mut other) = (listen(1).await, listen(1).await);
    bridge.stateless_call(2, "change", json!({})).await;
    for stream in [&mut one, &mut other] {
        let changed = stream.message().await;
        assert_eq!(
            changed["params"]["_meta"],
            json!({"x": 1.0, "io.modelcontextprotocol/subscriptionId": 1})
        );
    }
    for (id, by, stream) in [(3, "cancellation", one), (4, "result", other)] {
        bridge.stateless_call(id, "end_subscription", json!({"by": by})).await;
        drop(stream);
    }
    // However the server ends it, the client gets a result and the end of the stream.
    for by in ["cancellation", "result"] {
        let stream = listen(9).await;
        bridge.stateless_call(5, "end_subscription", json!({"by": by})).await;
        let last = stream.messages().await;
        assert_eq!(last.len(), 1);
        assert_eq!((&last[0]["id"], &last[0]["result"]["resultType"]), (&json!(9), &json!("complete")));
        assert_eq!(last[0]["result"]["_meta"]["io.modelcontextprotocol/subscriptionId"], 9);
    }
    drop(listen(11).await);
    bridge.log_line("cancelled ");
}

#[tokio::test]
async fn a_server_that_dies_fails_its_calls_and_is_started_again() {
    let bridge = start(&[]);
    let died: Value = bridge.stateless_call(1, "die", json!({})).await.json().await.unwrap();
    assert_eq!((&died["id"], &died["error"]["code"]), (&json!(1), &json!(-32603)), "{died}");
    let answer = answer_of(bridge.stateless_call(2, "echo", json!({"text": "b"})).await).await;
    assert_eq!(answer["result"]["text"], "b");
    bridge.wait_for_children(1);
}

#[tokio::test]
async fn a_client_that_does_not_read_is_cut_off_and_the_others_are_not() {
    let bridge = start(&["--session-bytes-max", "1000000"]);
    let params = json!({"name": "report", "arguments": {"parts": 400, "bytes": 100_000},
        "_meta": {"io.modelcontextprotocol/logLevel": "info"}});
    let stuck = Events::of(bridge.stateless(1, "tools/call", params).send().await.unwrap());
    bridge.log_line("reported all");
    bridge.log_line("cancelled ");
    let answer: Value = bridge.stateless_call(2, "echo", json!({"text": "c"})).await.json().await.unwrap();
    assert_eq!(answer["result"]["text"], "c");
    drop(stuck);
}

#[tokio::test]
async fn with_a_process_for_each_client_no_two_share_one() {
    let bridge = start(&["--process", "per-client"]);
    let pid = async |client: &'static str| {
        let request = bridge.stateless(1, "tools/call", json!({"name": "about", "arguments": {}}));
        let answer: Value =
            request.header("Mcpcan-Client", client).send().await.unwrap().json().await.unwrap();
        answer["result"]["pid"].clone()
    };
    let (one, other) = (pid("one").await, pid("other").await);
    assert_ne!(one, other);
    assert_eq!(pid("one").await, one);
}

#[tokio::test]
async fn mirrored_arguments_are_checked_once_the_server_has_listed_its_tools() {
    let bridge = Bridge::start_before(&[], &["python3", CHILD, "stateless", "mirrored"]);
    let call = async |header: &'static str| {
        let params = json!({"name": "echo", "arguments": {"text": "a"}});
        let request = bridge.stateless(1, "tools/call", params).header("Mcp-Param-Text", header);
        request.send().await.unwrap().status()
    };
    // The list could not be read: what the server does not say is not asked for, until it does.
    assert_eq!(call("b").await, StatusCode::OK);
    let until = std::time::Instant::now() + DEADLINE;
    while call("b").await == StatusCode::OK {
        assert!(std::time::Instant::now() < until, "the list of tools is not read again");
    }
    assert_eq!(call("a").await, StatusCode::OK);
    // Nor is it read again for every call that is not right.
    for _ in 0..50 {
        assert_eq!(call("b").await, StatusCode::BAD_REQUEST);
    }
    assert!(bridge.count_logged("listed") < 50, "{} lists", bridge.count_logged("listed"));
}
