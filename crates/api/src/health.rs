//! Whether the process lives and can do its work. The only routes without the admin key.

use axum::body::Body;
use axum::extract::State;
use axum::response::Response;

use crate::app::App;

/// `GET /healthz`
pub(crate) async fn healthz() -> &'static str {
    "ok\n"
}

/// `GET /readyz`
pub(crate) async fn readyz(State(app): State<App>) -> Response {
    service::health::readyz(&app.readiness).map(Body::new)
}
