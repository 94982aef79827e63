//! Delivers events to a webhook, in order, each until it is taken.

use std::time::Duration;

use anyhow::Context;
use reqwest::{Client, StatusCode};
use serde_json::{Value, json};
use tokio::time::sleep;
use url::Url;

use crate::failure::Failure;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// How long the webhook may take to answer.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(30);
/// How often one delivery is tried.
const TRIES_MAX: u32 = 8;
/// How long to wait before the second try; each further one waits twice as long, up to the longest.
const FIRST_DELAY: Duration = Duration::from_millis(250);
const LONGEST_DELAY: Duration = Duration::from_secs(30);

/// The first and the last sequence of what a request carries: the same request has the same, however often it comes.
const FIRST_SEQUENCE: &str = "mcpcan-first-sequence";
const LAST_SEQUENCE: &str = "mcpcan-last-sequence";

pub(super) struct Webhook {
    http: Client,
    url: Url,
}

/// Why a try did not succeed.
enum Attempt {
    /// It may succeed later.
    Later(anyhow::Error),
    /// It will be the same again.
    Never(anyhow::Error),
}

impl Webhook {
    pub(super) fn new(url: Url) -> Result<Self, Failure> {
        if !matches!(url.scheme(), "http" | "https") {
            return Err(Failure::Usage("a webhook's address begins with http:// or https://".to_owned()));
        }
        let http = Client::builder()
            .connect_timeout(CONNECT_TIMEOUT)
            .timeout(ANSWER_TIMEOUT)
            .redirect(reqwest::redirect::Policy::none())
            .user_agent(concat!("mcpcan/", env!("CARGO_PKG_VERSION")))
            .build()
            .context("make the HTTP client")?;
        Ok(Webhook { http, url })
    }

    /// Delivers events, not none, until they are taken.
    ///
    /// # Errors
    /// They were not: the message says with which event to go on.
    pub(super) async fn deliver(&self, events: Vec<Value>, as_batch: bool) -> Result<(), Failure> {
        let sequence = |event: Option<&Value>| {
            event.and_then(|event| event["sequence"].as_u64()).unwrap_or_default().to_string()
        };
        let (first, last) = (sequence(events.first()), sequence(events.last()));
        let body = match events.as_slice() {
            [event] if !as_batch => event.clone(),
            _ => json!({ "events": events }),
        };
        let (mut delay, mut tries) = (FIRST_DELAY, 0);
        loop {
            tries += 1;
            let error = match self.try_once(&body, &first, &last).await {
                Ok(()) => return Ok(()),
                Err(Attempt::Later(_)) if tries < TRIES_MAX => {
                    sleep(delay).await;
                    delay = (delay * 2).min(LONGEST_DELAY);
                    continue;
                }
                Err(Attempt::Later(error) | Attempt::Never(error)) => error,
            };
            let what = format!("event {first} was not taken after {tries} tries; go on with --from {first}");
            return Err(Failure::Failed(error.context(what)));
        }
    }

    async fn try_once(&self, body: &Value, first: &str, last: &str) -> Result<(), Attempt> {
        let request = self.http.post(self.url.clone()).json(body);
        let request = request.header(FIRST_SEQUENCE, first).header(LAST_SEQUENCE, last);
        // The address may hold a credential.
        let answer = request.send().await.map_err(|error| Attempt::Later(error.without_url().into()))?;
        let status = answer.status();
        let error = || anyhow::anyhow!("the webhook answered {status}");
        if status.is_success() {
            Ok(())
        } else if status.is_server_error()
            || matches!(status, StatusCode::TOO_MANY_REQUESTS | StatusCode::REQUEST_TIMEOUT)
        {
            Err(Attempt::Later(error()))
        } else {
            Err(Attempt::Never(error()))
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    use super::*;

    /// Answers one request after another with these statuses, and gives the last body.
    async fn answering(listener: TcpListener, statuses: Vec<u16>) -> Value {
        let mut body = Value::Null;
        for status in statuses {
            let (mut stream, _) = listener.accept().await.expect("a request comes");
            let mut request = vec![];
            body = loop {
                let mut part = [0; 4096];
                let count = stream.read(&mut part).await.expect("the request can be read");
                request.extend_from_slice(&part[..count]);
                let text = String::from_utf8_lossy(&request);
                let parsed =
                    text.split_once("\r\n\r\n").and_then(|(_, body)| serde_json::from_str(body).ok());
                if let Some(parsed) = parsed {
                    break parsed;
                }
            };
            let answer = format!("HTTP/1.1 {status} x\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
            stream.write_all(answer.as_bytes()).await.expect("the answer can be sent");
        }
        body
    }

    async fn deliver(statuses: &[u16], events: Vec<Value>) -> (Result<(), Failure>, Value) {
        drop(rustls::crypto::ring::default_provider().install_default());
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let url = format!("http://{}/hook", listener.local_addr().expect("an address"));
        let webhook = Webhook::new(url.parse().expect("an address")).expect("a webhook");
        let as_batch = events.len() > 1;
        tokio::join!(webhook.deliver(events, as_batch), answering(listener, statuses.to_vec()))
    }

    #[tokio::test]
    async fn a_delivery_is_tried_again_until_it_is_taken_or_refused() {
        let event = json!({"sequence": 7});
        let (taken, body) = deliver(&[503, 204], vec![event.clone()]).await;
        assert!(taken.is_ok());
        assert_eq!(body, event);
        let (_, body) = deliver(&[200], vec![event.clone(), json!({"sequence": 8})]).await;
        assert_eq!(body["events"][1]["sequence"], 8);
        let (refused, _) = deliver(&[500, 400], vec![event]).await;
        let refused = refused.expect_err("it will never be taken").to_string();
        assert_eq!(refused, "event 7 was not taken after 2 tries; go on with --from 7");
    }
}
