//! Clients of 2026-07-28 that listen to what changes at an older server.

use serde_json::{Value, json};

use crate::harness::{Bridge, CHILD, Events};

const META: &str = "io.modelcontextprotocol";

fn start(options: &[&str]) -> Bridge {
    Bridge::start_before(options, &["python3", CHILD, "resources"])
}

async fn listen(bridge: &Bridge, id: i64, uris: &[&str]) -> Events {
    let params = json!({"notifications": {"resourceSubscriptions": uris, "toolsListChanged": true}});
    Events::of(bridge.stateless(id, "subscriptions/listen", params).send().await.unwrap())
}

async fn touch(bridge: &Bridge, uris: &[&str]) -> Value {
    let answer: Value = bridge.stateless_call(99, "touch", json!({"uris": uris})).await.json().await.unwrap();
    answer["result"]["watched"].clone()
}

#[tokio::test]
async fn what_a_server_agrees_to_is_acknowledged_before_anything_else_is_said() {
    let bridge = start(&[]);
    // The stream is there although the server has not agreed to all, and it was asked for all at once.
    let mut stream = listen(&bridge, 1, &["later:a", "refused:b", "later:c", "x:d"]).await;
    bridge.log_line("asked for later:a");
    bridge.log_line("asked for later:c");
    touch(&bridge, &["x:d"]).await;
    touch(&bridge, &["x:d", "x:unwatched"]).await;
    bridge.stateless_call(2, "agree", json!({})).await;
    let acknowledged = stream.message().await;
    assert_eq!(acknowledged["method"], "notifications/subscriptions/acknowledged");
    let agreed = json!({"toolsListChanged": true, "resourceSubscriptions": ["later:a", "later:c", "x:d"]});
    assert_eq!(acknowledged["params"]["notifications"], agreed);
    // What has changed before is told once.
    touch(&bridge, &["later:a"]).await;
    for uri in ["x:d", "later:a"] {
        let told = stream.message().await;
        let label = json!({(format!("{META}/subscriptionId")): 1});
        assert_eq!(told["params"], json!({"uri": uri, "_meta": label}));
    }
}

// Two threads, so that connections are closed while the test waits.
#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_listener_that_leaves_takes_nobody_elses_subscription_along() {
    let bridge = start(&[]);
    let (mut one, mut other) =
        (listen(&bridge, 1, &["x:both", "x:one"]).await, listen(&bridge, 2, &["x:both"]).await);
    for stream in [&mut one, &mut other] {
        assert_eq!(stream.message().await["method"], "notifications/subscriptions/acknowledged");
    }
    drop(one);
    bridge.log_line("let go of x:one");
    assert_eq!(touch(&bridge, &["x:both"]).await, json!(["x:both"]));
    assert_eq!(other.message().await["params"]["uri"], "x:both");
    drop(other);
    bridge.log_line("let go of x:both");
    assert_eq!(touch(&bridge, &["x:both"]).await, json!([]));
}

#[tokio::test]
async fn of_a_process_that_all_share_no_client_is_promised_changes() {
    let bridge = start(&["--process", "shared"]);
    let discovered = bridge.stateless(1, "server/discover", json!({})).send().await.unwrap();
    let discovered: Value = discovered.json().await.unwrap();
    let kept = json!({"tools": {"listChanged": false}, "resources": {"subscribe": false}, "x": {"n": 1.0}});
    assert_eq!(discovered["result"]["capabilities"], kept);
    let mut stream = listen(&bridge, 2, &["x:a"]).await;
    assert_eq!(stream.message().await["params"]["notifications"], json!({}));
    assert_eq!(touch(&bridge, &["x:a"]).await, json!([]));
}
