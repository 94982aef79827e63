//! Credentials of security schemes: from the environment into requests, and nowhere else.

use serde_json::{Value, json};

use super::backend::Backend;
use super::document;
use crate::harness::{Bridge, answer_of};

fn with_credentials(document: &Value, credentials: &[(&str, &str)]) -> (Bridge, tempfile::TempDir) {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("openapi.json");
    std::fs::write(&file, document.to_string()).unwrap();
    let variables = credentials.iter().map(|(name, value)| format!("OPENAPI_CREDENTIAL_{name}={value}"));
    let launcher: Vec<String> = std::iter::once("env".to_owned()).chain(variables).collect();
    let launcher: Vec<&str> = launcher.iter().map(String::as_str).collect();
    let program =
        [env!("CARGO_BIN_EXE_mcpcan-bridge"), "openapi", "--stdio", "--document", file.to_str().unwrap()];
    let program = [&program[..], &["--pass-headers"]].concat();
    (Bridge::start_through(&launcher, &["--process", "shared", "--pass-headers"], &program), directory)
}

fn secured(backend: &Backend) -> Value {
    let mut document = document(
        backend,
        json!({
            "/key": { "get": { "operationId": "key", "security": [{ "key": [] }],
                "parameters": [{ "name": "X-Key", "in": "header", "schema": {} }] } },
            "/query": { "get": { "operationId": "query", "security": [{ "query": [] }] } },
            "/basic": { "get": { "operationId": "basic", "security": [{ "none": [] }, { "basic": [] }] } },
            "/both": { "get": { "operationId": "both", "security": [{ "query": [], "cookie": [] }] } },
            "/oauth": { "get": { "operationId": "oauth", "security": [{ "oauth": ["read", "write"] }] } },
            "/open": { "get": { "operationId": "open", "security": [] } },
            "/rest": { "get": { "operationId": "rest" } },
        }),
    );
    document["security"] = json!([{ "bearer": [] }]);
    let flow = json!({ "clientCredentials": { "tokenUrl": "/token", "scopes": {} } });
    let flow = json!(flow.to_string().replace("/token", &format!("{}/token", backend.url)));
    let flow: Value = serde_json::from_str(flow.as_str().unwrap()).unwrap();
    document["components"] = json!({ "securitySchemes": {
        "key": { "type": "apiKey", "in": "header", "name": "X-Key" },
        "query": { "type": "apiKey", "in": "query", "name": "api key" },
        "cookie": { "type": "apiKey", "in": "cookie", "name": "sid" },
        "basic": { "type": "http", "scheme": "Basic" },
        "bearer": { "type": "http", "scheme": "bearer" },
        "oauth": { "type": "oauth2", "flows": flow },
        "none": { "type": "mutualTLS" },
    } });
    document
}

#[tokio::test]
async fn each_scheme_puts_its_credential_where_the_document_says() {
    let backend = Backend::start().await;
    let granted = r#"{"access_token":"granted","token_type":"bearer","expires_in":3600}"#;
    backend.answer("/token", "200 OK\r\ncontent-type: application/json", granted);
    let credentials = [
        ("KEY", "k"),
        ("QUERY", "q&"),
        ("COOKIE", "c"),
        ("BASIC", "user:pass:word"),
        ("BEARER", "t"),
        ("OAUTH", "id:se cret"),
    ];
    let (bridge, _directory) = with_credentials(&secured(&backend), &credentials);
    let listed = answer_of(bridge.stateless(1, "tools/list", json!({})).send().await.unwrap()).await;
    let key = listed["result"]["tools"]
        .as_array()
        .unwrap()
        .iter()
        .find(|tool| tool["name"] == "key")
        .unwrap()
        .clone();
    assert_eq!(key["inputSchema"]["properties"], json!({}), "a credential is no argument");
    let mut seen = vec![];
    for tool in ["key", "query", "basic", "both", "open", "rest"] {
        answer_of(bridge.stateless_call(1, tool, json!({})).await).await;
        seen.extend(backend.seen());
    }
    assert_eq!(seen[0].header("x-key"), Some("k"));
    assert_eq!(seen[1].target, "/base/query?api%20key=q%26");
    assert_eq!(seen[2].header("authorization"), Some("Basic dXNlcjpwYXNzOndvcmQ="));
    assert_eq!(
        (seen[3].target.as_str(), seen[3].header("cookie")),
        ("/base/both?api%20key=q%26", Some("sid=c"))
    );
    assert_eq!((seen[4].header("authorization"), seen[5].header("authorization")), (None, Some("Bearer t")));

    // A token is got once, and again when the API does not take it.
    for _ in 0..2 {
        answer_of(bridge.stateless_call(1, "oauth", json!({})).await).await;
    }
    let seen = backend.seen();
    let targets: Vec<_> = seen.iter().map(|seen| seen.target.as_str()).collect();
    assert_eq!(targets, ["/token", "/base/oauth", "/base/oauth"]);
    assert_eq!(seen[0].text(), "grant_type=client_credentials&scope=read+write");
    assert_eq!(seen[0].header("authorization"), Some("Basic aWQ6c2UrY3JldA=="));
    assert_eq!(seen[1].header("authorization"), Some("Bearer granted"));
    backend.answer("/base/oauth", "401 Unauthorized", "");
    answer_of(bridge.stateless_call(1, "oauth", json!({})).await).await;
    let targets: Vec<_> = backend.seen().into_iter().map(|seen| seen.target).collect();
    assert_eq!(targets, ["/base/oauth", "/token", "/base/oauth"]);
}

#[tokio::test]
async fn without_a_credential_the_clients_own_passes_where_its_token_lets_it() {
    let backend = Backend::start().await;
    let (bridge, _directory) = with_credentials(&secured(&backend), &[("BEARER", "t")]);
    let params =
        json!({ "name": "rest", "arguments": {}, "_meta": { "mcpcan/header-fields": { "x-forged": "1" } } });
    let call = || bridge.stateless(1, "tools/call", params.clone());
    answer_of(
        call()
            .header("Mcpcan-Pass-Authorization", "Bearer own")
            .header("Mcpcan-Pass-Host", "x")
            .send()
            .await
            .unwrap(),
    )
    .await;
    answer_of(call().header("X-Other", "1").send().await.unwrap()).await;
    let seen = backend.seen();
    assert_eq!(seen[0].header("authorization"), Some("Bearer own"), "{seen:?}");
    assert_ne!(seen[0].header("host"), Some("x"));
    assert_eq!(seen[1].header("authorization"), Some("Bearer t"));
    assert!(
        seen.iter().all(|seen| seen.header("x-forged").is_none() && seen.header("x-other").is_none()),
        "{seen:?}"
    );
}

#[tokio::test]
async fn a_credential_that_cannot_be_one_is_named_and_not_shown() {
    let backend = Backend::start().await;
    let (bridge, _directory) = with_credentials(&secured(&backend), &[("BASIC", "secretword")]);
    bridge.log_line("OPENAPI_CREDENTIAL_BASIC has to be user:password");
    assert!(!bridge.has_logged("secretword"));
}
