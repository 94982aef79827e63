//! The health listener of a role that has no HTTP of its own: `/healthz` while the process lives, `/readyz` while
//! every role in it can do its work.

use bytes::Bytes;
use http::{Method, Request, Response, StatusCode, header};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;

use crate::{Context, Readiness};

/// The path that tells whether the process lives.
pub const HEALTHZ: &str = "/healthz";
/// The path that tells whether every role in the process can do its work.
pub const READYZ: &str = "/readyz";

/// Serves both paths until shutdown.
pub async fn serve(listener: TcpListener, context: Context) {
    loop {
        let stream = tokio::select! {
            () = context.shutdown.cancelled() => return,
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => stream,
                Err(error) => {
                    tracing::warn!(%error, "accept health connection");
                    continue;
                }
            },
        };
        let readiness = context.readiness.clone();
        let serve = http1::Builder::new().keep_alive(false).serve_connection(
            TokioIo::new(stream),
            service_fn(move |request| {
                let response = answer(&request, &readiness);
                async move { Ok::<_, std::convert::Infallible>(response) }
            }),
        );
        tokio::spawn(async move {
            if let Err(error) = serve.await {
                tracing::debug!(%error, "serve health connection");
            }
        });
    }
}

fn answer(request: &Request<Incoming>, readiness: &Readiness) -> Response<Full<Bytes>> {
    if request.method() != Method::GET {
        return plain(StatusCode::METHOD_NOT_ALLOWED, "only GET is known here\n".to_owned());
    }
    match request.uri().path() {
        HEALTHZ => plain(StatusCode::OK, "ok\n".to_owned()),
        READYZ => readyz(readiness),
        _ => plain(StatusCode::NOT_FOUND, format!("only {HEALTHZ} and {READYZ} are known here\n")),
    }
}

/// The answer of `/readyz`: 200 or 503, with the flag of each role as JSON.
pub fn readyz(readiness: &Readiness) -> Response<Full<Bytes>> {
    let report = readiness.report();
    let status = if report.ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    let body = serde_json::to_vec(&report).expect("a map of names and flags is JSON");
    let mut response = Response::new(Full::new(Bytes::from(body)));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, header::HeaderValue::from_static("application/json"));
    response
}

fn plain(status: StatusCode, body: String) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from(body)));
    *response.status_mut() = status;
    response
}
