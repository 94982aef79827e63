//! Every route of the API, on one page.

use std::any::Any;

use axum::Router;
use axum::middleware::{from_fn, from_fn_with_state, map_response};
use axum::response::{IntoResponse, Response};
use http::HeaderValue;
use http::header::CACHE_CONTROL;
use service::health::{HEALTHZ, READYZ};
use tower_http::catch_panic::CatchPanicLayer;

use crate::app::App;
use crate::authorize::require_admin_key;
use crate::command::name_command;
use crate::error::Error;
use crate::openapi::Routes;
use crate::request_log::log_request;
use crate::{
    access_log, authorization, client_config, commands, container_log, contract, documents, events, health,
    health_history, instances, probe, retention, state, statistics, status, templates, timeline, tokens,
    views,
};

/// The path that everything but health and the OpenAPI document lies under.
pub(crate) const API: &str = "/api/v1";

/// The path of the OpenAPI document.
const OPENAPI: &str = "/openapi.json";

#[rustfmt::skip]
fn guarded_routes() -> Routes {
    Routes::guarded(API)
        .get("/instances", instances::list_instances, contract::instances::list())
        .post("/instances", instances::create_instance, contract::instances::create())
        .get("/instances/{instance}", instances::show_instance, contract::instances::show())
        .patch("/instances/{instance}", instances::edit_instance, contract::instances::edit())
        .delete("/instances/{instance}", instances::delete_instance, contract::instances::delete())
        .post("/instances/{instance}/start", instances::start_instance, contract::instances::start())
        .post("/instances/{instance}/stop", instances::stop_instance, contract::instances::stop())
        .post("/instances/{instance}/restart", instances::restart_instance, contract::instances::restart())
        .get("/instances/{instance}/health", health_history::show_health, contract::instances::health())
        .post("/instances/{instance}/probe", probe::probe_instance, contract::instances::probe())
        .get("/instances/{instance}/timeline", timeline::show_timeline, contract::instances::timeline())
        .post("/instances/{instance}/scale", instances::scale_instance, contract::instances::scale())
        .put("/instances/{instance}/access", instances::replace_access, contract::instances::replace_access())
        .put("/instances/{instance}/authorization", authorization::set_authorization, contract::instances::set_authorization())
        .delete("/instances/{instance}/authorization", authorization::remove_authorization, contract::instances::remove_authorization())
        .get("/instances/{instance}/retention", retention::show_retention, contract::retention::show())
        .put("/instances/{instance}/retention", retention::set_retention, contract::retention::set())
        .delete("/instances/{instance}/retention", retention::reset_retention, contract::retention::reset())
        .get("/instances/{instance}/config", client_config::show_config, contract::instances::config())
        .get("/instances/{instance}/config/snippets", client_config::show_snippets, contract::instances::snippets())
        .get("/instances/{instance}/logs", container_log::list_lines, contract::instances::logs())
        .get("/instances/{instance}/logs/tail", container_log::tail_lines, contract::instances::tail_logs())
        .get("/instances/{instance}/logs/export", container_log::export_lines, contract::instances::export_logs())
        .get("/instances/{instance}/statistics", statistics::show_instance_statistics, contract::statistics::of_instance())
        .get("/instances/{instance}/tokens", tokens::list_tokens, contract::tokens::list())
        .post("/instances/{instance}/tokens", tokens::issue_token, contract::tokens::issue())
        .get("/instances/{instance}/tokens/{token}", tokens::show_token, contract::tokens::show())
        .patch("/instances/{instance}/tokens/{token}", tokens::edit_token, contract::tokens::edit())
        .delete("/instances/{instance}/tokens/{token}", tokens::revoke_token, contract::tokens::revoke())
        .post("/instances/{instance}/tokens/{token}/rotate", tokens::rotate_token, contract::tokens::rotate())
        .get("/templates", templates::list_templates, contract::templates::list())
        .post("/templates", templates::create_template, contract::templates::create())
        .get("/templates/{template}", templates::show_template, contract::templates::show())
        .patch("/templates/{template}", templates::edit_template, contract::templates::edit())
        .delete("/templates/{template}", templates::delete_template, contract::templates::delete())
        .post("/templates/{template}/instantiate", templates::instantiate_template, contract::templates::instantiate())
        .post("/documents", documents::keep_document, contract::documents::keep())
        .get("/access-logs", access_log::search_access_log, contract::access_logs::search())
        .get("/access-logs/counts", access_log::count_access_log, contract::access_logs::count())
        .get("/access-logs/traces/{trace}", access_log::show_trace, contract::access_logs::show_trace())
        .get("/access-logs/tail", access_log::tail_access_log, contract::access_logs::tail())
        .get("/access-logs/export", access_log::export_access_log, contract::access_logs::export())
        .get("/statistics", statistics::show_statistics, contract::statistics::show())
        .get("/commands/{command}", commands::show_command, contract::commands::show())
        .get("/events", events::tail_events, contract::events::tail())
        .get("/events/verify", events::verify_events, contract::events::verify())
        .get("/events/export", events::export_events, contract::events::export())
        .post("/events/import", events::import_events, contract::events::import())
        .post("/events/replay", events::replay_events, contract::events::replay())
        .get("/events/{sequence}", events::show_event, contract::events::show())
        .post("/events/{sequence}/undo", events::undo_event, contract::events::undo())
        .get("/state/{aggregate}/{id}", state::show_state, contract::state::show())
        .get("/state/{aggregate}/{id}/diff", state::diff_state, contract::state::diff())
        .get("/status", status::show_status, contract::status::show())
        .get("/views", views::list_views, contract::views::list())
        .get("/views/{view}", views::show_view, contract::views::show())
        .post("/views/{view}/rebuild", views::rebuild_view, contract::views::rebuild())
}

fn open_routes() -> Routes {
    Routes::open().get(HEALTHZ, health::healthz, contract::platform::healthz()).get(
        READYZ,
        health::readyz,
        contract::platform::readyz(),
    )
}

pub(crate) fn router(app: App) -> Router {
    let guarded = guarded_routes().layered(|routes| {
        routes
            .fallback(unknown_route)
            .method_not_allowed_fallback(method_not_allowed)
            .layer(from_fn(name_command))
            .layer(from_fn_with_state(app.clone(), require_admin_key))
            .layer(map_response(forbid_storing))
    });
    open_routes()
        .nest(guarded)
        .serve_document(OPENAPI, contract::platform::openapi())
        .fallback(unknown_route)
        .method_not_allowed_fallback(method_not_allowed)
        .layer(CatchPanicLayer::custom(|_: Box<dyn Any + Send>| Error::Panicked.into_response()))
        .layer(from_fn(log_request))
        .with_state(app)
}

/// The OpenAPI document, as `GET /openapi.json` serves it.
pub fn openapi_document() -> String {
    open_routes().nest(guarded_routes()).document(OPENAPI, contract::platform::openapi())
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
