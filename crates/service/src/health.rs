//! The health listener of a role that has no HTTP of its own: `/healthz` while the process lives, `/readyz` while
//! every role in it can do its work, `/metrics` for who wants its numbers over time.

use std::convert::Infallible;
use std::time::Duration;

use bytes::Bytes;
use http::{Method, Request, Response, StatusCode, header};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::service::service_fn;
use tokio::net::TcpListener;

use crate::connections::{self, Limits};
use crate::{Context, Readiness, metrics};

/// The path that tells whether the process lives.
pub const HEALTHZ: &str = "/healthz";
/// The path that tells whether every role in the process can do its work.
pub const READYZ: &str = "/readyz";

/// The path of the process's numbers, in the text format of Prometheus.
pub const METRICS: &str = "/metrics";

/// Probes are few and quick; whoever else comes may not cost more.
const LIMITS: Limits = Limits {
    connections_max: 64,
    head_read_timeout: Duration::from_secs(5),
    shutdown_wait: Duration::from_secs(1),
};

/// Serves these paths until shutdown.
pub async fn serve(listener: TcpListener, context: Context) {
    let Context { shutdown, readiness } = context;
    let service = service_fn(move |request| {
        let response = answer(&request, &readiness);
        async move { Ok::<_, Infallible>(response) }
    });
    connections::serve(listener, service, LIMITS, &shutdown).await;
}

fn answer(request: &Request<Incoming>, readiness: &Readiness) -> Response<Full<Bytes>> {
    if request.method() != Method::GET {
        return plain(StatusCode::METHOD_NOT_ALLOWED, "only GET is known here\n".to_owned());
    }
    match request.uri().path() {
        HEALTHZ => plain(StatusCode::OK, "ok\n".to_owned()),
        READYZ => readyz(readiness),
        METRICS => metrics_text(),
        _ => plain(StatusCode::NOT_FOUND, format!("only {HEALTHZ}, {READYZ} and {METRICS} are known here\n")),
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

fn metrics_text() -> Response<Full<Bytes>> {
    let Some(text) = metrics::render() else {
        return plain(StatusCode::NOT_FOUND, "nothing is recorded in this process\n".to_owned());
    };
    let mut response = plain(StatusCode::OK, text);
    let content_type = header::HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");
    response.headers_mut().insert(header::CONTENT_TYPE, content_type);
    response
}

fn plain(status: StatusCode, body: String) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from(body)));
    *response.status_mut() = status;
    response
}

#[cfg(test)]
mod tests;
