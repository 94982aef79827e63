//! Streamable HTTP (2025-11-25, Transports, and 2026-07-28): what each method of `/mcp` does; and the way to HTTP+SSE
//! and `/healthz`.

mod body;
mod events;
mod guard;
mod http_sse;
mod post;
mod refusal;
mod stateless;

use std::rc::Rc;

use ::http::header::{CONTENT_TYPE, HeaderValue};
use ::http::{HeaderMap, Method, Request, Response, StatusCode};
use hyper::body::Incoming;
use mcp::origin::Foreign;
use mcp::protocol::Era;
use mcp::session::{LAST_EVENT_ID, SESSION_ID};

use crate::serve::Bridge;
use crate::session::{NoStream, Session};
use crate::stream::EventId;
use crate::wire::Ending;
use body::Body;
use http_sse::{MESSAGE_PATH, SSE_PATH};
use refusal::Refusal;

/// The path MCP is served at.
const MCP_PATH: &str = "/mcp";
/// The path that answers as soon as requests are served.
const HEALTH_PATH: &str = "/healthz";

/// Answers a request; what goes wrong becomes an answer, too.
pub(crate) async fn answer(bridge: Rc<Bridge>, request: Request<Incoming>) -> Response<Body> {
    match route(&bridge, request).await {
        Ok(response) => response,
        Err(refusal) => refusal.into_response(),
    }
}

async fn route(bridge: &Rc<Bridge>, request: Request<Incoming>) -> Result<Response<Body>, Refusal> {
    match request.uri().path() {
        HEALTH_PATH => return Ok(health()),
        path => {
            guard::credential(request.headers(), bridge.credential.as_ref())?;
            if ![MCP_PATH, SSE_PATH, MESSAGE_PATH].contains(&path) {
                return Err(Refusal::NoSuchPath);
            }
        }
    }
    bridge.names.check(request.headers()).map_err(|foreign| match foreign {
        Foreign::Host => Refusal::ForeignHost,
        Foreign::Origin => Refusal::ForeignOrigin,
    })?;
    match request.uri().path() {
        SSE_PATH => return http_sse::open(bridge, &request).await,
        MESSAGE_PATH => return http_sse::take(bridge, request).await,
        _ => {}
    }
    match *request.method() {
        Method::POST => post::answer(bridge, request).await,
        // That revision has nothing but POST.
        Method::GET | Method::DELETE if guard::named_era(request.headers()) == Some(Some(Era::Stateless)) => {
            Err(Refusal::OnlyPost)
        }
        Method::GET => listen(bridge, &request),
        Method::DELETE => delete(bridge, &request),
        _ => Err(Refusal::NoSuchMethod),
    }
}

fn listen(bridge: &Rc<Bridge>, request: &Request<Incoming>) -> Result<Response<Body>, Refusal> {
    let headers = request.headers();
    guard::accepts(headers, &["text/event-stream"])?;
    let session = session(bridge, headers)?;
    guard::revision(headers)?;
    let connection = match headers.get(LAST_EVENT_ID) {
        Some(id) => {
            let id = id.to_str().ok().and_then(EventId::parse).ok_or(Refusal::NotResumable)?;
            session.resume(id)
        }
        None => session.listen(),
    };
    let connection = connection.map_err(|none| match none {
        NoStream::NotKept => Refusal::NotResumable,
        NoStream::TooMany => Refusal::TooManyStreams,
    })?;
    Ok(events::response(connection))
}

fn delete(bridge: &Rc<Bridge>, request: &Request<Incoming>) -> Result<Response<Body>, Refusal> {
    let session = session(bridge, request.headers())?;
    guard::revision(request.headers())?;
    bridge.end(&session, Ending::Deleted);
    Ok(empty(StatusCode::NO_CONTENT))
}

/// The session that the request names.
fn session(bridge: &Bridge, headers: &HeaderMap) -> Result<Rc<Session>, Refusal> {
    let id = headers.get(SESSION_ID).ok_or(Refusal::NoSession { id: None })?;
    let session = id.to_str().ok().and_then(|id| bridge.sessions.get(id));
    let session = session.filter(|session| !session.is_one_stream()).ok_or(Refusal::UnknownSession)?;
    session.used();
    Ok(session)
}

fn health() -> Response<Body> {
    let mut response = Response::new(Body::full("ok\n"));
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/plain"));
    response
}

fn empty(status: StatusCode) -> Response<Body> {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = status;
    response
}
