//! The reference server of the protocol's authors, called with our own client.

use std::path::{Path, PathBuf};
use std::time::Duration;

use mcp::client::{Client, Error, Limits};
use mcp::protocol::Revision;
use reqwest::header::HeaderMap;
use serde_json::value::to_raw_value;
use serde_json::{Value, json};

use crate::harness::Bridge;

fn server() -> PathBuf {
    let server = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../.tools/node/node_modules/@modelcontextprotocol/server-everything/dist/index.js");
    assert!(server.exists(), "{} is missing: run `make test-tools`", server.display());
    server
}

async fn call(client: &Client, tool: &str, arguments: Value) -> Result<Value, Error> {
    let params = to_raw_value(&json!({"name": tool, "arguments": arguments})).unwrap();
    let result = client.request("tools/call", Some(&params)).await?;
    Ok(serde_json::from_str(result.get()).unwrap())
}

#[tokio::test]
async fn the_reference_server_is_served_whole() {
    let bridge = Bridge::start_before(&[], &["node", server().to_str().unwrap(), "stdio"]);
    let client = Client::connect(&bridge.url, HeaderMap::new()).await.unwrap();
    assert_eq!(client.revision(), Revision::V2025_11_25);
    let tools: Value = serde_json::from_str(client.request("tools/list", None).await.unwrap().get()).unwrap();
    assert!(tools["tools"].as_array().unwrap().iter().any(|tool| tool["name"] == "echo"), "{tools}");
    let echoed = call(&client, "echo", json!({"message": "hi"})).await.unwrap();
    assert_eq!(echoed["content"][0]["text"], "Echo: hi");
    // Takes longer than an answer in JSON may, so it comes on a stream.
    let slow =
        call(&client, "trigger-long-running-operation", json!({"duration": 2, "steps": 2})).await.unwrap();
    assert!(slow["content"][0]["text"].as_str().unwrap().starts_with("Long running operation completed"));
    let unknown = client.request("no/such/method", None).await;
    assert!(matches!(unknown, Err(Error::Rpc { code: -32601, .. })), "{unknown:?}");
    client.close().await.unwrap();
    bridge.child_exited(|record| record["code"] == 0);
}

#[tokio::test]
async fn what_goes_wrong_has_a_type() {
    let bridge = Bridge::start_before(&["--warm", "0"], &["false"]);
    let refused = Client::connect(&bridge.url, HeaderMap::new()).await;
    assert!(
        matches!(&refused, Err(Error::Status { code: 502, body }) if body.contains("exited with code 1")),
        "{refused:?}"
    );
    let nobody = Client::connect("http://127.0.0.1:1/mcp", HeaderMap::new()).await;
    assert!(matches!(nobody, Err(Error::Unreachable(_))), "{nobody:?}");
}

#[tokio::test]
async fn a_client_leaves_no_session_behind_whose_revision_it_does_not_speak() {
    let script = "import json,sys\nm=json.loads(sys.stdin.readline())\n\
        print(json.dumps({'jsonrpc':'2.0','id':m['id'],'result':{'protocolVersion':'1999-01-01'}}),flush=True)\n\
        sys.stdin.read()";
    let bridge = Bridge::start_before(&["--warm", "0"], &["python3", "-c", script]);
    let refused = Client::connect(&bridge.url, HeaderMap::new()).await;
    assert!(matches!(refused, Err(Error::Protocol(_))), "{refused:?}");
    bridge.child_exited(|record| record["code"] == 0);
}

#[tokio::test]
async fn a_client_waits_and_reads_no_more_than_its_limits() {
    let bridge = Bridge::start(&[]);
    let hasty = Limits { request: Duration::from_millis(200), ..Limits::default() };
    let client = Client::connect_within(&bridge.url, HeaderMap::new(), hasty).await.unwrap();
    let late = call(&client, "silence", json!({})).await;
    assert!(matches!(&late, Err(Error::Timeout { what, .. }) if what == "tools/call"), "{late:?}");
    let small = Limits { response_bytes: 10_000, ..Limits::default() };
    let client = Client::connect_within(&bridge.url, HeaderMap::new(), small).await.unwrap();
    let large = call(&client, "big", json!({"bytes": 20_000})).await;
    assert!(matches!(large, Err(Error::Protocol(_))), "{large:?}");
    assert_eq!(call(&client, "echo", json!({"text": "a"})).await.unwrap(), json!({"text": "a"}));
}

#[tokio::test]
async fn a_server_may_ask_the_client_before_it_answers() {
    let bridge = Bridge::start(&[]);
    let client = Client::connect(&bridge.url, HeaderMap::new()).await.unwrap();
    // Our client has no model to sample from and says so; the server goes on with that.
    let asked = call(&client, "ask", json!({})).await.unwrap();
    assert_eq!(asked["answer"]["code"], -32601, "{asked}");
    client.close().await.unwrap();
}
