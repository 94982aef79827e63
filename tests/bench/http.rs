//! A client that costs little: one connection, one request at a time, the answer read to its end.

use bytes::Bytes;
use http::{Method, Request, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::net::{TcpStream, ToSocketAddrs};

/// A connection to one api.
pub(crate) struct Connection {
    sender: SendRequest<Full<Bytes>>,
    host: String,
    admin_key: String,
}

impl Connection {
    /// `api` is the address with the path that everything lies under.
    pub(crate) async fn open(api: &str, admin_key: &str) -> Self {
        let host = api.trim_start_matches("http://").split('/').next().expect("a text has a first part");
        let sender = connect(host).await.expect("connect to the api");
        Connection { sender, host: host.to_owned(), admin_key: admin_key.to_owned() }
    }

    /// Posts a command under a key and gives the document of its success.
    pub(crate) async fn post(&mut self, path: &str, key: &str, body: Option<&Value>) -> Value {
        self.send(Method::POST, path, key, body).await
    }

    /// Sends a command under a key and gives the document of its success.
    pub(crate) async fn send(
        &mut self,
        method: Method,
        path: &str,
        key: &str,
        body: Option<&Value>,
    ) -> Value {
        let request = Request::builder()
            .method(method)
            .uri(format!("/api/v1{path}"))
            .header("host", &self.host)
            .header("authorization", format!("Bearer {}", self.admin_key))
            .header("idempotency-key", key)
            .header("content-type", "application/json");
        let body = body.map(Value::to_string).unwrap_or_default();
        let request = request.body(Full::new(Bytes::from(body))).expect("a request can be made");
        self.sender.ready().await.expect("the connection is open");
        let answer = self.sender.send_request(request).await.expect("the api answers");
        let status = answer.status();
        let body = answer.into_body().collect().await.expect("the answer has an end").to_bytes();
        let body: Value = serde_json::from_slice(&body).expect("the answer is JSON");
        assert!(matches!(status, StatusCode::OK | StatusCode::CREATED), "{status} {body}");
        body
    }
}

/// A connection on which small messages do not wait for each other.
pub(crate) async fn connect(address: impl ToSocketAddrs) -> anyhow::Result<SendRequest<Full<Bytes>>> {
    let stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    let (sender, connection) = handshake(TokioIo::new(stream)).await?;
    tokio::spawn(connection);
    Ok(sender)
}
