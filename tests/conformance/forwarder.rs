//! The suites send no token: a forwarder in front of the gateway adds it, and changes nothing else. Bodies stream through,
//! and whoever goes away on one side is gone on the other.

use std::convert::Infallible;
use std::net::SocketAddr;

use bytes::Bytes;
use http::header::AUTHORIZATION;
use http::{HeaderValue, Request, Response, StatusCode, Uri};
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt as _, Empty};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

/// It ends when it is dropped.
pub(crate) struct Forwarder {
    address: SocketAddr,
    task: JoinHandle<()>,
}

impl Forwarder {
    /// Forwards what comes to a port of its own to the instance at `url`, with this `Authorization`.
    pub(crate) async fn start(url: &str, authorization: &str) -> Self {
        let target: Uri = url.parse().expect("an address");
        let authorization = HeaderValue::try_from(authorization).expect("a token is visible ASCII");
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("listen");
        let address = listener.local_addr().expect("it has an address");
        let task = tokio::spawn(async move {
            while let Ok((connection, _)) = listener.accept().await {
                connection.set_nodelay(true).expect("set TCP_NODELAY");
                let (target, authorization) = (target.clone(), authorization.clone());
                let service = service_fn(move |request| {
                    let (target, authorization) = (target.clone(), authorization.clone());
                    async move { Ok::<_, Infallible>(forward(target, authorization, request).await) }
                });
                let serving = hyper::server::conn::http1::Builder::new();
                tokio::spawn(serving.serve_connection(TokioIo::new(connection), service));
            }
        });
        Self { address, task }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}/mcp", self.address)
    }
}

impl Drop for Forwarder {
    fn drop(&mut self) {
        self.task.abort();
    }
}

type Body = BoxBody<Bytes, hyper::Error>;

async fn forward(target: Uri, authorization: HeaderValue, mut request: Request<Incoming>) -> Response<Body> {
    request.headers_mut().insert(AUTHORIZATION, authorization);
    *request.uri_mut() = target.path().parse().expect("a path is an address");
    let sent = async {
        let authority = target.authority().expect("the gateway has a host");
        let connection = TcpStream::connect(authority.as_str()).await.ok()?;
        connection.set_nodelay(true).ok()?;
        let (mut gateway, serving) =
            hyper::client::conn::http1::handshake(TokioIo::new(connection)).await.ok()?;
        tokio::spawn(serving);
        gateway.send_request(request).await.ok()
    };
    match sent.await {
        Some(answer) => answer.map(|body| body.boxed()),
        None => {
            let body = Empty::new().map_err(|never| match never {}).boxed();
            Response::builder().status(StatusCode::BAD_GATEWAY).body(body).expect("a response")
        }
    }
}
