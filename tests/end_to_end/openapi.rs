//! An API becomes a server: its document is imported, and clients of both generations call its operations.

use harness::{Platform, Sdk};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use crate::session::Session;

/// A document that refers to another file, with a scheme, tags, and more operations than are wanted.
const DOCUMENT: &str = r##"
openapi: 3.0.3
info: { title: Pets, version: "2.1" }
servers: [{ url: "/" }]
security: [{ api_key: [] }]
paths:
  /pets/{petId}: { $ref: "paths/pet.yaml" }
  /stores:
    get: { operationId: listStores, tags: [store], responses: { "200": { description: All of them } } }
components:
  securitySchemes:
    api_key: { type: apiKey, in: header, name: X-Pet-Key }
"##;
const PATH: &str = r##"
put:
  operationId: updatePet
  tags: [pets]
  summary: Changes a pet
  parameters:
    - { name: petId, in: path, required: true, schema: { type: integer } }
    - { name: tags, in: query, schema: { type: array, items: { type: string } } }
  requestBody:
    content: { application/json: { schema: { type: object, properties: { name: { type: string, nullable: true } } } } }
  responses:
    "200":
      description: What was sent
      content: { application/json: { schema: { type: object, properties: { target: { type: string } } } } }
"##;

#[tokio::test(flavor = "multi_thread")]
async fn an_openapi_document_becomes_a_server_that_clients_call() {
    let scratch = tempfile::tempdir().expect("make a directory");
    let platform = Platform::up(&scratch.path().join("data")).await;
    let backend = listen().await;
    let document = scratch.path().join("pets.yaml");
    std::fs::write(&document, DOCUMENT).expect("write the document");
    std::fs::create_dir(scratch.path().join("paths")).expect("make a folder");
    std::fs::write(scratch.path().join("paths/pet.yaml"), PATH).expect("write the other document");
    let document = document.to_str().expect("the path is text");

    let key = "api_key=the-pet-key-of-the-tests-41c7";
    let create = ["instance", "create", "pets", "--openapi", document, "--include-tag", "pets"];
    let create = [&create[..], &["--server", &backend, "--credential", key]].concat();
    let created = platform.run(&create).await.success(&create);
    assert!(created.stderr.contains("Pets 2.1: 1 tools"), "{}", created.stderr);

    let mut session = Session { platform: &platform };
    let token = session.issues_a_token("pets", "dev").await;
    let edit = [
        "token",
        "edit",
        "pets",
        "dev",
        "--header",
        "X-User: the-user-of-the-tests-7d02",
        "--passthrough",
        "x-tenant",
    ];
    platform.run(&edit).await.success(&edit);
    let arguments = json!({ "petId": 7, "tags": ["a b", "c"], "body": { "name": null } });
    for sdk in [Sdk::TypeScript, Sdk::Python, Sdk::Negotiating("2026-07-28")] {
        let seen = sdk.call(&token.config, "updatePet", &arguments).await.expect("the API answers");
        assert_eq!(seen.tools, ["updatePet"], "{sdk:?}");
        let sent: Value = serde_json::from_str(&seen.text).expect("the API tells what it was sent");
        assert_eq!(sent["target"], "PUT /pets/7?tags=a%20b&tags=c", "{sdk:?}");
        assert_eq!(sent["body"], r#"{"name":null}"#, "{sdk:?}");
        assert_eq!(
            (&sent["x-pet-key"], &sent["x-user"]),
            (&json!(true), &json!("the-user-of-the-tests-7d02")),
            "{sdk:?}"
        );
    }

    let swagger = scratch.path().join("swagger.json");
    std::fs::write(&swagger, r#"{"swagger":"2.0"}"#).expect("write the document");
    let refused = ["instance", "create", "old", "--openapi", swagger.to_str().expect("the path is text")];
    let refused = platform.run(&refused).await;
    assert!(!refused.status.success() && refused.stderr.contains("Swagger 2.0"), "{}", refused.stderr);
    platform.stop().await;
}

/// Starts an API that answers with what it was sent, but for the key, of which only the presence.
async fn listen() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("listen");
    let url = format!("http://{}", listener.local_addr().expect("it has an address"));
    tokio::spawn(async move {
        while let Ok((connection, _)) = listener.accept().await {
            tokio::spawn(answer(connection));
        }
    });
    url
}

async fn answer(mut connection: TcpStream) -> Option<()> {
    let mut read = vec![];
    let (head, body) = loop {
        let mut chunk = [0; 4096];
        let count = connection.read(&mut chunk).await.ok().filter(|count| *count > 0)?;
        read.extend_from_slice(&chunk[..count]);
        let text = String::from_utf8_lossy(&read).into_owned();
        let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
        if body.len() >= field(head, "content-length").and_then(|length| length.parse().ok()).unwrap_or(0) {
            break (head.to_owned(), body.to_owned());
        }
    };
    let target = head.lines().next()?.trim_end_matches(" HTTP/1.1").to_owned();
    let is_key = field(&head, "x-pet-key").as_deref() == Some("the-pet-key-of-the-tests-41c7");
    let sent =
        json!({ "target": target, "body": body, "x-pet-key": is_key, "x-user": field(&head, "x-user") });
    let sent = sent.to_string();
    let head = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nconnection: close\r\n";
    let answer = format!("{head}content-length: {}\r\n\r\n{sent}", sent.len());
    connection.write_all(answer.as_bytes()).await.ok()
}

fn field(head: &str, name: &str) -> Option<String> {
    let mut lines = head.lines().filter_map(|line| line.split_once(':'));
    let value = lines.find(|(key, _)| key.eq_ignore_ascii_case(name))?.1;
    Some(value.trim().to_owned())
}
