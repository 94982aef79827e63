//! One line of diagnostics for each request. No query, no header and no body: any of them may hold a secret.

use std::time::Instant;

use axum::extract::{MatchedPath, Request};
use axum::middleware::Next;
use axum::response::Response;

/// What stands for the route of a request that no route matches. The path itself is the client's own text.
const NO_ROUTE: &str = "-";

/// Logs method, route, status and latency once the answer's head is known.
pub(crate) async fn log_request(request: Request, next: Next) -> Response {
    let started = Instant::now();
    let method = request.method().clone();
    let route = request.extensions().get::<MatchedPath>().cloned();
    let response = next.run(request).await;
    tracing::info!(
        %method,
        route = route.as_ref().map_or(NO_ROUTE, MatchedPath::as_str),
        status = response.status().as_u16(),
        latency_us = u64::try_from(started.elapsed().as_micros()).unwrap_or(u64::MAX),
        "request answered"
    );
    response
}
