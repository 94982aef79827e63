//! The OpenAPI document is the one that is committed and served, and it leaves no route out.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use http::{Method, StatusCode};
use serde_json::Value;

use crate::platform::Platform;

/// Methods that no route has, and that the server answers with those that it has.
const UNKNOWN_METHOD: &str = "TRACE";

fn committed() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../schemas/openapi.json")
}

#[test]
fn the_committed_document_is_what_the_code_says() {
    let generated = api::openapi_document();
    if std::env::var_os("UPDATE_SCHEMAS").is_some() {
        std::fs::write(committed(), &generated).unwrap();
    }
    let committed = std::fs::read_to_string(committed()).unwrap_or_default();
    assert!(
        committed == generated,
        "schemas/openapi.json is old: run `UPDATE_SCHEMAS=1 cargo test -p api contract`"
    );
}

#[tokio::test]
async fn the_document_is_for_everybody_and_leads_to_every_route() {
    let platform = Platform::start().await;
    let client = &platform.client;
    let served = client.send(client.anonymous(Method::GET, "/openapi.json"), "").await;
    assert_eq!(served.header("content-type"), "application/json");
    let document = served.expect(StatusCode::OK);
    assert_eq!(document, serde_json::from_str::<Value>(&api::openapi_document()).unwrap());

    for (path, methods) in described(&document) {
        let path = path
            .replace("{instance}", "x")
            .replace("{token}", "y")
            .replace("{template}", "t")
            .replace("{command}", "z")
            .replace("{sequence}", "1")
            .replace("{aggregate}", "instance")
            .replace("{id}", "x")
            .replace("{view}", "instances")
            .replace("{trace}", "x");
        assert!(!path.contains('{'), "{path}: what stands for this parameter here?");
        let method = Method::from_bytes(UNKNOWN_METHOD.as_bytes()).unwrap();
        let request = match path.strip_prefix("/api/v1") {
            Some(path) => client.request(method, path),
            None => client.anonymous(method, &path),
        };
        let answer = client.send(request, "").await;
        answer.problem(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed");
        let served: BTreeSet<&str> =
            answer.header("allow").split(',').filter(|method| *method != "HEAD").collect();
        assert_eq!(served, methods.iter().map(String::as_str).collect(), "{path}");
    }
    platform.stop().await;
}

fn described(document: &Value) -> BTreeMap<String, BTreeSet<String>> {
    let paths = document["paths"].as_object().unwrap();
    let methods =
        |item: &Value| item.as_object().unwrap().keys().map(|method| method.to_uppercase()).collect();
    paths.iter().map(|(path, item)| (path.clone(), methods(item))).collect()
}

/// `openapi.rs` takes no route without its description; whoever asks axum directly goes around it.
#[test]
fn no_route_is_added_around_the_document() {
    let mut around = vec![];
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut folders = vec![source.clone()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path != source.join("openapi.rs") {
                let text = std::fs::read_to_string(&path).unwrap();
                let found = ["axum::routing", ".route(", ".route_service(", ".nest_service(", ".merge("];
                around.extend(
                    found.iter().filter(|call| text.contains(**call)).map(|call| (path.clone(), *call)),
                );
            }
        }
    }
    assert_eq!(around, [], "routes are added in router.rs, through `Routes`");
}
