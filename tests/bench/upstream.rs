//! A fast server of MCP over Streamable HTTP, so that what stands before it is measured and not the server. It knows
//! sessions, the tool `echo`, and a GET stream on which nothing comes. [`NAME`] and a port as arguments make this
//! program one.

use std::convert::Infallible;

use bytes::Bytes;
use futures_util::stream;
use harness::free_address;
use http::header::{CONTENT_TYPE, HeaderValue};
use http::{Method, Request, Response, StatusCode};
use http_body_util::{BodyExt, Either, Full, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use serde::Deserialize;
use serde_json::value::RawValue;
use tokio::net::TcpListener;

use crate::servers::{Server, own, target};

/// The first argument of a process that is an upstream.
pub(crate) const NAME: &str = "upstream";

const INITIALIZED: &str = r#"{"protocolVersion":"2025-11-25","capabilities":{"tools":{}},"serverInfo":{"name":"upstream","version":"1"}}"#;

#[derive(Deserialize)]
struct Call<'a> {
    #[serde(borrow)]
    id: Option<&'a RawValue>,
    method: &'a str,
    #[serde(borrow)]
    params: Option<Params<'a>>,
}

#[derive(Deserialize)]
struct Params<'a> {
    #[serde(borrow)]
    arguments: Option<Arguments<'a>>,
}

#[derive(Deserialize)]
struct Arguments<'a> {
    #[serde(borrow)]
    message: &'a RawValue,
}

type Silence = StreamBody<stream::Pending<Result<Frame<Bytes>, Infallible>>>;
type Body = Either<Full<Bytes>, Silence>;

/// Starts one in a process of its own.
pub(crate) async fn start() -> Server {
    let address = free_address();
    Server::start(own(&[NAME, &address.port().to_string()]), target(address, "/mcp")).await
}

/// Serves until it is killed.
pub(crate) fn run(arguments: &[String]) {
    let [port] = arguments else { panic!("a port is needed") };
    let port: u16 = port.parse().expect("a port");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let listener = TcpListener::bind(("127.0.0.1", port)).await.expect("bind the port");
        loop {
            let (stream, _) = listener.accept().await.expect("accept a connection");
            stream.set_nodelay(true).expect("set TCP_NODELAY");
            let service = service_fn(async |request| Ok::<_, Infallible>(answer(request).await));
            tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), service));
        }
    });
}

async fn answer(request: Request<Incoming>) -> Response<Body> {
    if request.method() == Method::GET {
        let mut response = Response::new(Either::Right(StreamBody::new(stream::pending())));
        response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
        return response;
    }
    let body = request.into_body().collect().await.expect("the request has an end").to_bytes();
    let Ok(Call { id: Some(id), method, params }) = serde_json::from_slice(&body) else {
        let mut accepted = Response::new(Either::Left(Full::default()));
        *accepted.status_mut() = StatusCode::ACCEPTED;
        return accepted;
    };
    let arguments = params.and_then(|params| params.arguments);
    let result = match arguments {
        Some(arguments) if method == "tools/call" => {
            format!(r#"{{"content":[{{"type":"text","text":{}}}]}}"#, arguments.message.get())
        }
        _ => INITIALIZED.to_owned(),
    };
    let body = format!(r#"{{"jsonrpc":"2.0","id":{},"result":{result}}}"#, id.get());
    let mut response = Response::new(Either::Left(Full::new(Bytes::from(body))));
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    if method == "initialize" {
        response.headers_mut().insert("mcp-session-id", HeaderValue::from_static("0123456789abcdef"));
    }
    response
}
