//! The server behind the gateways: it answers every call with the text that it was called with, and is never killed.

use std::convert::Infallible;
use std::net::SocketAddr;

use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::net::TcpListener;

/// Serves as long as the test runs; gives the address.
pub(super) async fn start() -> SocketAddr {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("bind a port");
    let address = listener.local_addr().expect("a listener has an address");
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let service = service_fn(async |request| Ok::<_, Infallible>(answer(request).await));
            tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), service));
        }
    });
    address
}

async fn answer(request: Request<Incoming>) -> Response<Full<Bytes>> {
    // A gateway that is killed breaks its request off.
    let body = request.into_body().collect().await.map(|body| body.to_bytes()).unwrap_or_default();
    let call: Value = serde_json::from_slice(&body).unwrap_or_default();
    let result = json!({"content": [], "text": call["params"]["arguments"]["text"]});
    let answer = json!({"jsonrpc": "2.0", "id": call["id"], "result": result}).to_string();
    let answer = Response::builder().header(CONTENT_TYPE, "application/json").body(answer.into());
    answer.expect("a response can be made")
}
