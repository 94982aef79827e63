//! What the gateway says in its own name when it cannot pass a request on.

use std::collections::BTreeMap;

use access_log::{Level, TraceEvent};
use bytes::Bytes;
use domain::instance::{Access, Remote, RemoteTransport};
use futures_util::stream;
use http_body_util::{BodyExt, StreamBody};
use hyper::body::Frame;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket, TcpStream};

use crate::client::read;
use crate::harness::{Harness, count, hosted, path, until};
use crate::upstream::Upstream;

const PING: &str = r#"{"jsonrpc":"2.0","id":1,"method":"ping"}"#;

fn remote(transport: RemoteTransport) -> Remote {
    Remote { transport, url: "https://remote.example/mcp".to_owned(), headers: BTreeMap::new() }
}

#[tokio::test]
async fn paths_that_are_not_served_are_404_without_a_token() {
    let harness = Harness::start().await;
    let client = harness.client();
    for path in [
        "/",
        "/mcp-gateway/everything/stream",
        "/.well-known/oauth-protected-resource",
        "/.well-known/oauth-protected-resource/mcp-gateway/everything/mcp",
        "/.well-known/oauth-authorization-server",
    ] {
        let answer = client.send_with("GET", path, &[], "").await;
        assert_eq!(answer.status, 404, "{path}");
        assert!(!answer.headers.contains_key("www-authenticate"), "{path}");
    }
    until("readiness", || async {
        let answer = client.send_with("GET", "/readyz", &[], "").await;
        (answer.status == 200).then_some(())
    })
    .await;
    assert_eq!(client.send_with("GET", "/healthz", &[], "").await.text(), "ok\n");
}

#[tokio::test]
async fn what_an_instance_cannot_do_is_said() {
    let harness = Harness::start().await;
    let direct = harness.create("direct", Access::Direct(remote(RemoteTransport::StreamableHttp))).await;
    let sse = harness.create("old", Access::Proxy(remote(RemoteTransport::Sse))).await;
    let starting = harness.create("starting", hosted()).await;
    for (instance, status, code) in [
        (direct, 404, "direct_instance"),
        (sse, 405, "streamable_http_unsupported"),
        (starting, 503, "instance_not_ready"),
    ] {
        let token = harness.token_for_any(instance).await;
        let answer = harness.client().send("POST", &path(instance), &token.credential, PING).await;
        assert_eq!(answer.status, status);
        assert_eq!(answer.json()["error"]["data"]["code"], code);
        assert_eq!(answer.headers.contains_key("retry-after"), status == 503);
    }
}

#[tokio::test]
async fn other_methods_are_405() {
    let upstream = Upstream::json("{}").await;
    let harness = Harness::start().await;
    let instance = harness.hosted("everything", &upstream.url()).await;
    let token = harness.token(instance).await;
    for method in ["PUT", "PATCH", "OPTIONS", "HEAD", "X-OWN"] {
        let answer = harness.client().send(method, &path(instance), &token.credential, "").await;
        assert_eq!(answer.status, 405, "{method}");
        assert_eq!(answer.headers["allow"], "POST, GET, DELETE");
    }
    assert!(upstream.requests().is_empty(), "nothing was passed on");
}

#[tokio::test]
async fn a_head_beyond_the_bound_is_431() {
    let harness = Harness::start().await;
    let long = "x".repeat(64 * 1024);
    let answer = harness.client().send_with("GET", "/healthz", &[("x-long", &long)], "").await;
    assert_eq!(answer.status, 431);
}

#[tokio::test]
async fn a_connection_beyond_the_bound_waits_for_another_to_end() {
    let harness = Harness::start_with(|config| config.connections_max = 1).await;
    let (client, other) = (harness.client(), harness.client());
    let mut first = client.connect().await;
    assert_eq!(first.get("/healthz").await.status, 200);
    let waiting = tokio::spawn(async move { other.send_with("GET", "/healthz", &[], "").await });
    assert_eq!(first.get("/healthz").await.status, 200);
    assert!(!waiting.is_finished());
    drop(first);
    assert_eq!(waiting.await.expect("the second is served").status, 200);
}

#[tokio::test]
async fn a_body_beyond_the_bound_is_413_announced_or_not() {
    let upstream = Upstream::json("{}").await;
    let mut harness = Harness::start_with(|config| config.request_body_bytes_max = 1024).await;
    let instance = harness.hosted("everything", &upstream.url()).await;
    let token = harness.token(instance).await;
    let (fits, too_long) = (" ".repeat(1024), " ".repeat(1025));
    let answer = harness.client().send("POST", &path(instance), &token.credential, &fits).await;
    assert_eq!(answer.status, 200);
    let answer = harness.client().send("POST", &path(instance), &token.credential, &too_long).await;
    assert_eq!(answer.status, 413);
    let chunks = [&fits, &too_long].map(|chunk| Ok(Frame::data(Bytes::from(chunk.clone()))));
    let body = BodyExt::boxed(StreamBody::new(stream::iter(chunks)));
    let headers = [("authorization", &*format!("Bearer {}", token.credential))];
    let answer = read(harness.client().open("POST", &path(instance), &headers, body).await).await;
    assert_eq!(answer.status, 413);
    assert_eq!(answer.json()["error"]["data"]["code"], "body_too_large");
    let records = harness.traces(|records| count(records, TraceEvent::Error) == 2).await;
    let errors: Vec<_> = records.iter().filter(|record| record.event == TraceEvent::Error).collect();
    assert!(errors.iter().all(|error| error.status == 413 && error.level == Level::Warn), "{errors:#?}");
}

#[tokio::test]
async fn an_upstream_that_is_down_is_502() {
    let closed = TcpListener::bind("127.0.0.1:0").await.expect("bind a port");
    let address = closed.local_addr().expect("the address");
    let url = format!("http://{address}/secret-path?key=secret-query");
    drop(closed);
    let mut harness = Harness::start().await;
    let instance = harness.hosted("everything", &url).await;
    let token = harness.token(instance).await;
    let answer = harness.client().send("POST", &path(instance), &token.credential, PING).await;
    assert_eq!(answer.status, 502);
    assert_eq!(answer.json()["error"]["data"]["code"], "upstream_unreachable");
    assert!(!answer.text().contains(&address.to_string()), "{}", answer.text());
    let records = harness.traces(|records| count(records, TraceEvent::Error) == 1).await;
    let [error] = &records[..] else { panic!("nothing was passed on: {records:#?}") };
    assert_eq!((error.status, error.level), (502, Level::Error));
    assert!(error.error.contains("Connection refused"), "{}", error.error);
    assert!(!format!("{error:?}").contains("secret-"), "neither path nor query get into the log: {error:#?}");
}

#[tokio::test]
async fn an_upstream_that_hangs_up_is_502() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("bind a port");
    let url = format!("http://{}/mcp", listener.local_addr().expect("the address"));
    let hanging_up = tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.expect("accept a connection");
            stream.readable().await.expect("a request comes");
        }
    });
    let harness = Harness::start().await;
    let instance = harness.hosted("everything", &url).await;
    let token = harness.token(instance).await;
    let answer = harness.client().send("POST", &path(instance), &token.credential, PING).await;
    assert_eq!(answer.status, 502);
    assert_eq!(answer.json()["error"]["data"]["code"], "upstream_broke");
    hanging_up.abort();
}

#[tokio::test]
async fn an_upstream_that_does_not_accept_is_504() {
    // With its backlog full, the kernel leaves further connections unanswered.
    let socket = TcpSocket::new_v4().expect("a socket");
    socket.bind("127.0.0.1:0".parse().expect("an address")).expect("bind a port");
    let listener = socket.listen(1).expect("listen");
    let address = listener.local_addr().expect("the address");
    let mut waiting = Vec::new();
    while let Ok(Ok(stream)) =
        tokio::time::timeout(std::time::Duration::from_millis(200), TcpStream::connect(address)).await
    {
        waiting.push(stream);
    }
    let harness = Harness::start().await;
    let instance = harness.hosted("everything", &format!("http://{address}/mcp")).await;
    let token = harness.token(instance).await;
    let answer = harness.client().send("POST", &path(instance), &token.credential, PING).await;
    assert_eq!(answer.status, 504);
    assert_eq!(answer.json()["error"]["data"]["code"], "upstream_connect_timeout");
}

#[tokio::test]
async fn what_a_page_elsewhere_sends_is_refused_and_a_public_name_is_known() {
    let upstream = Upstream::json("{}").await;
    let harness = Harness::start_with(|config| config.public_url = "https://mcp.example/".parse().ok()).await;
    let instance = harness.hosted("everything", &upstream.url()).await;
    let token = harness.token(instance).await;
    let authorization = format!("Bearer {}", token.credential);
    let connection = async || TcpStream::connect(harness.gateway.address).await.expect("connect");
    for (host, origin, status) in [
        ("localhost:1", "", 200),
        ("mcp.example", "https://mcp.example", 200),
        ("127.0.0.1", "http://localhost:6274", 200),
        ("evil.example", "", 403),
        ("mcp.example", "https://evil.example", 403),
    ] {
        let origin = if origin.is_empty() { String::new() } else { format!("origin: {origin}\r\n") };
        let request = format!(
            "POST {} HTTP/1.1\r\nhost: {host}\r\n{origin}authorization: {authorization}\r\n\
             content-type: application/json\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{PING}",
            path(instance),
            PING.len()
        );
        let mut connection = connection().await;
        connection.write_all(request.as_bytes()).await.expect("send");
        let mut answer = String::new();
        connection.read_to_string(&mut answer).await.expect("an answer");
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{host} {origin}: {answer}");
        assert_eq!(answer.contains("foreign_"), status == 403, "{answer}");
    }
    assert_eq!(upstream.requests().len(), 3, "what is refused is not passed on");
}
