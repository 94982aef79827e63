//! An HTTP client without any manners of its own: what is given is sent, what comes is shown.

use std::net::SocketAddr;

use bytes::Bytes;
use http::{HeaderMap, Request, Response};
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

type Body = BoxBody<Bytes, std::io::Error>;

pub(crate) struct Client {
    address: SocketAddr,
}

/// One connection that stays open.
pub(crate) struct Connection(SendRequest<Body>);

/// An answer whose body has been read.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Answer {
    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.body).expect("the body is text")
    }

    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).expect("the body is JSON")
    }
}

impl Client {
    pub(crate) fn new(address: SocketAddr) -> Self {
        Self { address }
    }

    /// A request with a token and a JSON body; reads the whole answer.
    pub(crate) async fn send(&self, method: &str, path: &str, credential: &str, body: &str) -> Answer {
        self.send_with(method, path, &[("authorization", &format!("Bearer {credential}"))], body).await
    }

    /// A request with exactly these header fields besides `Host`, `Accept` and, if it is not among them, `Content-Type`.
    pub(crate) async fn send_with(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &str,
    ) -> Answer {
        let body = Full::new(Bytes::from(body.to_owned()));
        read(self.open(method, path, headers, body.map_err(|never| match never {}).boxed()).await).await
    }

    /// The status of the answer, if there is one: a call that is under way when its token ends may be broken off.
    pub(crate) async fn status(&self, path: &str, credential: &str, body: &str) -> Option<u16> {
        let authorization = format!("Bearer {credential}");
        let request = Request::post(path)
            .header("host", self.address.to_string())
            .header("accept", "application/json, text/event-stream")
            .header("content-type", "application/json")
            .header("authorization", authorization)
            .body(Full::new(Bytes::from(body.to_owned())).map_err(|never| match never {}).boxed())
            .expect("a request");
        let answer = self.connect().await.0.send_request(request).await.ok()?;
        Some(answer.status().as_u16())
    }

    /// Sends a request and returns with the head of the answer.
    pub(crate) async fn open(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: Body,
    ) -> Response<Incoming> {
        let mut request = Request::builder()
            .method(method)
            .uri(path)
            .header("host", self.address.to_string())
            .header("accept", "application/json, text/event-stream");
        if headers.iter().all(|(name, _)| *name != "content-type") {
            request = request.header("content-type", "application/json");
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(body).expect("a request");
        self.connect().await.0.send_request(request).await.expect("an answer")
    }

    pub(crate) async fn connect(&self) -> Connection {
        let stream = TcpStream::connect(self.address).await.expect("connect to the gateway");
        stream.set_nodelay(true).expect("set TCP_NODELAY");
        let (sender, connection) = http1::handshake(TokioIo::new(stream)).await.expect("handshake");
        tokio::spawn(connection);
        Connection(sender)
    }

    /// Opens a stream with GET.
    pub(crate) async fn stream(&self, path: &str, credential: &str) -> Response<Incoming> {
        let headers = [("authorization", &*format!("Bearer {credential}"))];
        self.open("GET", path, &headers, empty()).await
    }
}

impl Connection {
    pub(crate) async fn get(&mut self, path: &str) -> Answer {
        let request = Request::get(path).header("host", "gateway").body(empty()).expect("a request");
        self.0.ready().await.expect("the connection is open");
        read(self.0.send_request(request).await.expect("an answer")).await
    }
}

pub(crate) fn body(text: &'static str) -> Body {
    Full::new(Bytes::from_static(text.as_bytes())).map_err(|never| match never {}).boxed()
}

pub(crate) fn empty() -> Body {
    Full::default().map_err(|never| match never {}).boxed()
}

pub(crate) async fn read(response: Response<Incoming>) -> Answer {
    let (parts, body) = response.into_parts();
    let body = body.collect().await.expect("the whole body").to_bytes();
    Answer { status: parts.status.as_u16(), headers: parts.headers, body }
}

/// The next data of a body, or none at its end.
pub(crate) async fn next(body: &mut Incoming) -> Option<Bytes> {
    let frame =
        tokio::time::timeout(crate::harness::DEADLINE, body.frame()).await.expect("a frame in time")?;
    frame.expect("the body does not break off").into_data().ok()
}
