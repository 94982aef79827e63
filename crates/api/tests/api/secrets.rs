//! Secrets stay where they belong: a token in the answer that issues it and in the configuration, and nothing anywhere
//! else.

use std::io::Write;
use std::sync::{Arc, Mutex};

use http::{Method, StatusCode};
use http_body_util::BodyExt;
use serde_json::json;
use tracing_subscriber::fmt::MakeWriter;

use crate::platform::{ADMIN_KEY, Platform, WAIT};

/// Everything that any role of this process says.
#[derive(Clone, Default)]
struct Diagnostics(Arc<Mutex<Vec<u8>>>);

impl Write for Diagnostics {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl MakeWriter<'_> for Diagnostics {
    type Writer = Diagnostics;

    fn make_writer(&self) -> Diagnostics {
        self.clone()
    }
}

#[tokio::test]
async fn no_secret_shows_where_it_does_not_belong() {
    let diagnostics = Diagnostics::default();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing::Level::TRACE)
        .with_writer(diagnostics.clone())
        .finish();
    tracing::subscriber::set_global_default(subscriber).unwrap();

    let platform = Platform::start().await;
    let client = &platform.client;
    let (env_secret, header_secret) = ("env-secret-9f2c", "header-secret-77aa");
    let command = json!({"program": "npx", "env": {"API_KEY": env_secret}});
    let hosted = json!({"name": "hosted", "access": "hosted", "transport": "stdio", "command": command});
    let proxy = json!({
        "name": "proxy", "access": "proxy", "transport": "streamable-http", "url": "https://mcp.example",
        "headers": {"Authorization": header_secret},
    });
    let mut seen = vec![];
    for body in [&hosted, &proxy, &hosted] {
        seen.push(client.post("/instances", body).await.body);
    }
    let mut malformed = hosted.clone();
    malformed["command"]["env"] = json!(env_secret);
    seen.push(client.post("/instances", &malformed).await.body);
    malformed["command"]["env"] = json!({"API_KEY": [env_secret]});
    seen.push(client.post("/instances", &malformed).await.body);

    let issued = platform.issue("hosted", "dev").await;
    let token = issued["token"].as_str().unwrap().to_owned();
    let (own, own_header) = ("own-credential-5b1e-of-somebody", "token-header-secret-31fd");
    let body = json!({"kind": "bearer", "label": "own", "value": own, "headers": {"X-User": own_header}});
    client.post("/instances/hosted/tokens", &body).await.expect(StatusCode::CREATED);
    seen.push(client.post("/instances/hosted/tokens", &body).await.body);
    for wrong in [json!([own]), json!(format!("{own} "))] {
        let body = json!({"kind": "bearer", "value": wrong, "headers": {"X-User": [own_header]}});
        seen.push(client.post("/instances/hosted/tokens", &body).await.body);
    }
    let path = "/instances/hosted/tokens/dev/rotate";
    let rotated = client.post(path, &json!({})).await.expect(StatusCode::OK);
    let other_token = rotated["token"].as_str().unwrap().to_owned();
    let config = client.get("/instances/hosted/config?token=dev").await.expect(StatusCode::OK);
    assert!(config.to_string().contains(&other_token), "the configuration holds the token");
    for path in ["", "/hosted", "/proxy", "/hosted/tokens", "/hosted/tokens/dev", "/hosted/tokens/own"] {
        seen.push(client.get(&format!("/instances{path}")).await.body);
    }
    let mut events = client.open(client.request(Method::GET, "/events?from=beginning"), "").await.into_body();
    let mut tail = vec![];
    while !String::from_utf8_lossy(&tail).contains("token.rotated") {
        let frame = tokio::time::timeout(WAIT, events.frame()).await.expect("an event in time").unwrap();
        tail.extend_from_slice(frame.unwrap().data_ref().unwrap());
    }
    seen.push(tail.into());
    drop(events);
    seen.push(client.delete("/instances/hosted/tokens/dev").await.body);
    seen.push(client.get("/instances/hosted/config?token=dev").await.body);
    seen.push(client.delete("/instances/hosted").await.body);
    platform.stop().await;

    let diagnostics = diagnostics.0.lock().unwrap().clone();
    assert!(String::from_utf8_lossy(&diagnostics).contains("request answered"), "requests are logged");
    seen.push(diagnostics.into());
    for text in seen {
        let text = String::from_utf8_lossy(&text);
        for secret in [env_secret, header_secret, own, own_header, &token, &other_token, ADMIN_KEY] {
            if let Some(at) = text.find(secret) {
                panic!(
                    "{secret} shows in: {}",
                    text[at.saturating_sub(200)..].chars().take(400).collect::<String>()
                );
            }
        }
    }
}

#[tokio::test]
async fn a_key_in_an_address_is_refused_before_it_reaches_the_log() {
    let platform = Platform::start().await;
    for access in ["proxy", "direct"] {
        let url = "https://mcp.example/sse?api_key=hunter2-of-the-tests";
        let body = json!({"name": "a", "access": access, "transport": "sse", "url": url});
        let answer = platform.client.post("/instances", &body).await;
        let problem = answer.problem(StatusCode::BAD_REQUEST, "invalid_request");
        assert_eq!(problem["errors"][0]["pointer"], "/url");
        let text = problem.to_string();
        assert!(text.contains("`headers`") && !text.contains("hunter2-of-the-tests"), "{text}");
    }
    platform.stop().await;
}
