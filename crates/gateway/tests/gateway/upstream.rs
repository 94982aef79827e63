//! A real HTTP server behind the gateway, with the answers that a test gives it.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use http::request::Parts;
use http::{Request, Response};
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio::task::{JoinHandle, JoinSet};

pub(crate) type Body = BoxBody<Bytes, Infallible>;

pub(crate) struct Upstream {
    pub(crate) address: SocketAddr,
    requests: Arc<Mutex<Vec<Parts>>>,
    task: JoinHandle<()>,
}

impl Drop for Upstream {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Upstream {
    /// Serves with `answer`.
    pub(crate) async fn start<F>(answer: impl Fn(Request<Incoming>) -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = Response<Body>> + Send + 'static,
    {
        Self::start_at(SocketAddr::from(([127, 0, 0, 1], 0)), answer).await
    }

    /// Serves at an address.
    pub(crate) async fn start_at<F>(
        address: SocketAddr,
        answer: impl Fn(Request<Incoming>) -> F + Send + Sync + 'static,
    ) -> Self
    where
        F: Future<Output = Response<Body>> + Send + 'static,
    {
        let listener = TcpListener::bind(address).await.expect("bind a port");
        let address = listener.local_addr().expect("the address");
        let requests = Arc::new(Mutex::new(Vec::new()));
        let (seen, answer) = (requests.clone(), Arc::new(answer));
        let task = tokio::spawn(async move {
            let mut connections = JoinSet::new();
            loop {
                let (stream, _) = listener.accept().await.expect("accept a connection");
                stream.set_nodelay(true).expect("set TCP_NODELAY");
                let (seen, answer) = (seen.clone(), answer.clone());
                let service = service_fn(move |request: Request<Incoming>| {
                    let (parts, body) = request.into_parts();
                    seen.lock().expect("no test panics here").push(parts.clone());
                    let answered = answer(Request::from_parts(parts, body));
                    async move { Ok::<_, Infallible>(answered.await) }
                });
                connections.spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), service));
            }
        });
        Self { address, requests, task }
    }

    /// Serves the same JSON to everybody, once the request has been read.
    pub(crate) async fn json(body: &'static str) -> Self {
        Self::start(move |request| async move {
            request.into_body().collect().await.expect("the whole request");
            json(body)
        })
        .await
    }

    /// Answers everybody with an event stream; each comes out of the channel as where its bytes are put in.
    pub(crate) async fn streams() -> (Self, mpsc::Receiver<mpsc::Sender<&'static str>>) {
        Self::streams_of("text/event-stream").await
    }

    /// Answers everybody with a body of this type that ends when what is put in ends.
    pub(crate) async fn streams_of(
        content_type: &'static str,
    ) -> (Self, mpsc::Receiver<mpsc::Sender<&'static str>>) {
        let (streams, opened) = mpsc::channel(1);
        let upstream = Self::start(move |_| {
            let streams = streams.clone();
            async move {
                let (pieces, response) = stream_of(content_type);
                streams.send(pieces).await.expect("the test listens");
                response
            }
        });
        (upstream.await, opened)
    }

    /// Ends the server with all its connections.
    pub(crate) async fn kill(mut self) {
        self.task.abort();
        let ended = (&mut self.task).await;
        assert!(ended.is_err_and(|error| error.is_cancelled()), "it served until now");
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}/mcp", self.address)
    }

    /// The heads of all requests so far.
    pub(crate) fn requests(&self) -> Vec<Parts> {
        self.requests.lock().expect("no test panics here").clone()
    }
}

pub(crate) fn json(body: &'static str) -> Response<Body> {
    Response::builder().header("content-type", "application/json").body(full(body)).expect("a response")
}

pub(crate) fn full(body: &'static str) -> Body {
    Full::new(Bytes::from_static(body.as_bytes())).boxed()
}

/// An event stream, and where its bytes are put in. It ends when that is dropped.
pub(crate) fn event_stream() -> (mpsc::Sender<&'static str>, Response<Body>) {
    stream_of("text/event-stream")
}

fn stream_of(content_type: &'static str) -> (mpsc::Sender<&'static str>, Response<Body>) {
    let (pieces, receiver) = mpsc::channel(1);
    let stream = futures_util::stream::unfold(receiver, |mut receiver| async {
        let piece: &'static str = receiver.recv().await?;
        Some((Ok(Frame::data(Bytes::from_static(piece.as_bytes()))), receiver))
    });
    let response = Response::builder()
        .header("content-type", content_type)
        .body(BodyExt::boxed(StreamBody::new(stream)))
        .expect("a response");
    (pieces, response)
}
