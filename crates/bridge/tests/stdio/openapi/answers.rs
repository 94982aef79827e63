//! What clients of both eras get of what an API answers, and the list of tools.

use serde_json::{Value, json};

use super::backend::Backend;
use super::{document, serve};
use crate::harness::{Bridge, answer_of};

/// An operation that says it answers JSON of such a schema.
fn get(id: &str, schema: Value) -> Value {
    let content = json!({ "application/json": { "schema": schema } });
    json!({ "get": { "operationId": id, "responses": { "200": { "description": "", "content": content } } } })
}

/// The results for a client of the older and of the newer era.
async fn results(bridge: &Bridge, session: &str, tool: &str) -> (Value, Value) {
    let older = answer_of(bridge.call(session, 1, tool, json!({})).await).await["result"].clone();
    let mut newer = answer_of(bridge.stateless_call(1, tool, json!({})).await).await["result"].clone();
    assert_eq!(newer.as_object_mut().unwrap().remove("resultType"), Some(json!("complete")));
    (older, newer)
}

#[tokio::test]
async fn answers_become_results_as_they_are() {
    let backend = Backend::start().await;
    let json_head = "200 OK\r\ncontent-type: application/json; charset=utf-8";
    backend.answer("/base/object", json_head, "{\"id\": 12345678901234567890,\n \"breaks\": null}");
    backend.answer("/base/list", json_head, "[1,2]");
    backend.answer("/base/text", "200 OK\r\ncontent-type: text/plain", "hello");
    backend.answer("/base/image", "200 OK\r\ncontent-type: image/png", [0x89, b'P', 0]);
    backend.answer("/base/bytes", "200 OK\r\ncontent-type: application/zip", [0, 255]);
    backend.answer("/base/none", "204 No Content", "");
    backend.answer("/base/gone", "404 Not Found\r\ncontent-type: application/json", "{\"why\":\"gone\"}");
    backend.answer("/base/away", "302 Found\r\nlocation: http://169.254.169.254/", "");
    backend.answer("/base/near", "302 Found\r\nlocation: /base/text", "");
    let object =
        json!({ "type": "object", "required": ["id"], "properties": { "id": { "type": "string" } } });
    let mut paths = serde_json::Map::new();
    for id in ["object", "list", "text", "image", "bytes", "none", "gone", "away", "near"] {
        let schema = if id == "list" { json!({ "type": "array" }) } else { object.clone() };
        paths.insert(format!("/{id}"), get(id, schema));
    }
    let (bridge, _directory) = serve(&document(&backend, Value::Object(paths)), &[]);
    let session = bridge.session("2025-11-25").await;

    let raw = bridge.call(&session, 1, "object", json!({})).await.text().await.unwrap();
    assert!(raw.contains(r#""structuredContent":{"id": 12345678901234567890"#), "{raw}");
    let (older, newer) = results(&bridge, &session, "object").await;
    assert_eq!(
        (&older["isError"], &older),
        (&json!(null), &newer),
        "an answer that breaks its schema is a result"
    );
    let (older, newer) = results(&bridge, &session, "list").await;
    assert_eq!(
        (&older["structuredContent"], &newer["structuredContent"]),
        (&json!({ "result": [1, 2] }), &json!([1, 2]))
    );
    let (older, _) = results(&bridge, &session, "text").await;
    assert_eq!(
        older,
        json!({ "content": [{ "type": "text", "text": "hello" }], "structuredContent": { "result": "hello" } })
    );
    let (older, _) = results(&bridge, &session, "image").await;
    assert_eq!(older["content"], json!([{ "type": "image", "data": "iVAA", "mimeType": "image/png" }]));
    let (older, _) = results(&bridge, &session, "bytes").await;
    let uri = format!("{}/base/bytes", backend.url);
    let resource = json!({ "uri": uri, "mimeType": "application/zip", "blob": "AP8=" });
    assert_eq!(older["content"], json!([{ "type": "resource", "resource": resource }]));
    let (older, _) = results(&bridge, &session, "none").await;
    assert_eq!(older["content"][0]["text"], "HTTP 204 No Content");
    let (older, newer) = results(&bridge, &session, "gone").await;
    assert_eq!(older["isError"], json!(true));
    assert_eq!(older["content"][0]["text"], "HTTP 404 Not Found");
    assert_eq!((&older["content"][1]["text"], &older), (&json!("{\"why\":\"gone\"}"), &newer));
    let (older, _) = results(&bridge, &session, "away").await;
    assert!(older["content"][0]["text"].as_str().unwrap().contains("another origin"), "{older}");
    let (older, _) = results(&bridge, &session, "near").await;
    assert_eq!(older["content"][0]["text"], "hello");
}

#[tokio::test]
async fn an_api_that_is_not_there_or_says_too_much_is_an_error_for_the_model() {
    let backend = Backend::start().await;
    backend.answer("/base/much", "200 OK\r\ncontent-type: text/plain", vec![b'x'; 2000]);
    let mut document =
        document(&backend, json!({ "/much": get("much", json!({})), "/none": get("none", json!({})) }));
    document["paths"]["/none"]["servers"] = json!([{ "url": "http://127.0.0.1:1" }]);
    let (bridge, _directory) = serve(&document, &["--answer-bytes-max", "1000"]);
    for (tool, reason) in [("much", "more than 1000 bytes"), ("none", "no connection")] {
        let answer = answer_of(bridge.stateless_call(1, tool, json!({})).await).await;
        let text = answer["result"]["content"][0]["text"].as_str().unwrap_or_default();
        assert!(answer["result"]["isError"] == true && text.contains(reason), "{answer}");
    }
    let (bridge, _directory) = serve(&document, &["--private-backends", "refuse"]);
    let answer = answer_of(bridge.stateless_call(1, "much", json!({})).await).await;
    assert!(answer["result"]["content"][0]["text"].as_str().unwrap().contains("is private"), "{answer}");
}

#[tokio::test]
async fn tools_are_listed_in_pages_that_hold_each_once() {
    let backend = Backend::start().await;
    let long = "x".repeat(1000);
    let operation = |at: usize| {
        let parameters: Vec<_> = (0..3)
            .map(|n| json!({ "name": format!("p{n}"), "in": "query", "description": long, "schema": {} }))
            .collect();
        (
            format!("/p{at:04}"),
            json!({ "get": { "operationId": format!("op{at:04}"), "parameters": parameters } }),
        )
    };
    let paths: serde_json::Map<_, _> = (0..600).map(operation).collect();
    let (bridge, _directory) = serve(&document(&backend, Value::Object(paths)), &[]);
    let (mut names, mut cursor, mut pages) = (vec![], None, 0);
    loop {
        let params = cursor.as_ref().map_or(json!({}), |cursor: &String| json!({ "cursor": cursor }));
        let answer = answer_of(bridge.stateless(1, "tools/list", params).send().await.unwrap()).await;
        let tools = answer["result"]["tools"].as_array().unwrap().clone();
        names.extend(tools.iter().map(|tool| tool["name"].as_str().unwrap().to_owned()));
        pages += 1;
        match answer["result"]["nextCursor"].as_str() {
            Some(next) => cursor = Some(next.to_owned()),
            None => break,
        }
    }
    assert!(pages > 2, "{pages} pages");
    assert_eq!(names, (0..600).map(|at| format!("op{at:04}")).collect::<Vec<_>>());
    let session = bridge.session("2025-06-18").await;
    let list =
        json!({"jsonrpc": "2.0", "id": 2, "method": "tools/list", "params": { "cursor": "x" }}).to_string();
    let answer = answer_of(bridge.post(Some(&session), list).send().await.unwrap()).await;
    assert_eq!(answer["error"]["code"], -32602, "{answer}");
}
