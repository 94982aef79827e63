//! Every route of the API, on one page.

use std::any::Any;

use axum::Router;
use axum::middleware::{from_fn, from_fn_with_state, map_response};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use http::HeaderValue;
use http::header::CACHE_CONTROL;
use service::health::{HEALTHZ, READYZ};
use tower_http::catch_panic::CatchPanicLayer;

use crate::app::App;
use crate::authorize::require_admin_key;
use crate::command::name_command;
use crate::error::Error;
use crate::request_log::log_request;
use crate::{access_log, client_config, container_log, events, health, instances, tokens};

/// The path that everything but health lies under.
pub(crate) const API: &str = "/api/v1";

pub(crate) fn router(app: App) -> Router {
    let api = Router::new()
        .route("/instances", get(instances::list_instances).post(instances::create_instance))
        .route("/instances/{instance}", get(instances::show_instance).delete(instances::delete_instance))
        .route("/instances/{instance}/start", post(instances::start_instance))
        .route("/instances/{instance}/stop", post(instances::stop_instance))
        .route("/instances/{instance}/restart", post(instances::restart_instance))
        .route("/instances/{instance}/tokens", get(tokens::list_tokens).post(tokens::issue_token))
        .route(
            "/instances/{instance}/tokens/{token}",
            get(tokens::show_token).patch(tokens::edit_token).delete(tokens::revoke_token),
        )
        .route("/instances/{instance}/tokens/{token}/rotate", post(tokens::rotate_token))
        .route("/instances/{instance}/config", get(client_config::show_config))
        .route("/instances/{instance}/logs", get(container_log::list_lines))
        .route("/access-logs", get(access_log::search_access_log))
        .route("/events", get(events::tail_events))
        .fallback(unknown_route)
        .method_not_allowed_fallback(method_not_allowed)
        .layer(from_fn(name_command))
        .layer(from_fn_with_state(app.clone(), require_admin_key))
        .layer(map_response(forbid_storing));
    Router::new()
        .route(HEALTHZ, get(health::healthz))
        .route(READYZ, get(health::readyz))
        .nest(API, api)
        .fallback(unknown_route)
        .method_not_allowed_fallback(method_not_allowed)
        .layer(CatchPanicLayer::custom(|_: Box<dyn Any + Send>| Error::Panicked.into_response()))
        .layer(from_fn(log_request))
        .with_state(app)
}

async fn unknown_route() -> Error {
    Error::UnknownRoute
}

async fn method_not_allowed() -> Error {
    Error::MethodNotAllowed
}

/// Answers may hold credentials and are never older than the moment: no cache may keep them.
async fn forbid_storing(mut response: Response) -> Response {
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}
