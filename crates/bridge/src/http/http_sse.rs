//! HTTP+SSE (2024-11-05, Transports): a GET opens the session and its one stream, which first says where messages are
//! posted; everything that the server says comes on it. The session ends with the connection.

use std::rc::Rc;

use ::http::{Method, Request, Response, StatusCode};
use bytes::BytesMut;
use hyper::body::Incoming;
use mcp::message::{self, Id, Message};
use mcp::sse::Frame;

use super::body::{self, Body};
use super::post::{refused, sharing};
use super::{Refusal, empty, events, guard};
use crate::passed;
use crate::serve::Bridge;
use crate::session::Session;
use crate::sessions::Opening;

/// The path of streams.
pub(super) const SSE_PATH: &str = "/sse";
/// The path that messages are posted to.
pub(super) const MESSAGE_PATH: &str = "/message";
/// What names the session there.
const SESSION: &str = "sessionId=";

/// Opens a session and its stream.
pub(super) async fn open(
    bridge: &Rc<Bridge>,
    request: &Request<Incoming>,
) -> Result<Response<Body>, Refusal> {
    if request.method() != Method::GET {
        return Err(Refusal::NoSuchMethodOfStream("GET"));
    }
    guard::accepts(request.headers(), &["text/event-stream"])?;
    let opening = match sharing(bridge, guard::client(request.headers())).await? {
        Some(opening) => opening,
        None => Opening::with_child(bridge).map_err(Refusal::NotOpened)?,
    };
    let connection = opening.session().open_one_stream();
    let address = format!("{MESSAGE_PATH}?{SESSION}{}", opening.session().id());
    let mut first = BytesMut::new();
    Frame { event: Some("endpoint"), data: Some(address.as_bytes()), ..Frame::default() }.encode(&mut first);
    Ok(events::of_one_stream(first.freeze(), connection, opening))
}

/// Takes messages of a session; what comes of them goes to its stream.
pub(super) async fn take(bridge: &Rc<Bridge>, request: Request<Incoming>) -> Result<Response<Body>, Refusal> {
    if request.method() != Method::POST {
        return Err(Refusal::NoSuchMethodOfStream("POST"));
    }
    let session = session(bridge, request.uri().query())?;
    guard::json(request.headers())?;
    let (head, body) = request.into_parts();
    let (body, _counted) = body::read(bridge, body).await?;
    let body = if bridge.config.pass_headers { passed::into_calls(&head.headers, body) } else { body };
    let message = match message::parse(&body).map_err(Refusal::NotAMessage)? {
        message::Body::One(message) => message,
        message::Body::Batch(_) => return Err(Refusal::BatchNotAllowed),
    };
    match &message {
        Message::Request(request) => {
            let answer = if request.method == "initialize" { session.initialize(request) } else { None };
            let answer = answer.transpose().map_err(Refusal::ClientTooLong)?;
            session.call(&[request]).map_err(refused)?;
            if let (Some(id), Some(answer)) = (Id::read(request.id), answer) {
                session.answer(&id, answer);
                return Ok(empty(StatusCode::ACCEPTED));
            }
        }
        Message::Notification(_) | Message::Response(_) if session.is_clogged() => {
            return Err(Refusal::TooManyBytes);
        }
        Message::Notification(notification) if notification.method == "notifications/initialized" => {
            if session.has_answers() {
                // Of a server that has answered `initialize` more children can be started.
                bridge.pool.succeeded();
            }
        }
        Message::Notification(_) | Message::Response(_) => {}
    }
    let sent = session.take(std::slice::from_ref(&message), &body).await;
    sent.map_err(|_| Refusal::UnknownSession)?;
    Ok(empty(StatusCode::ACCEPTED))
}

/// The session that a query names, if it is one with a stream of its own.
fn session(bridge: &Bridge, query: Option<&str>) -> Result<Rc<Session>, Refusal> {
    let id = query.and_then(|query| query.split('&').find_map(|part| part.strip_prefix(SESSION)));
    let session = bridge.sessions.get(id.ok_or(Refusal::NoStream)?);
    let session = session.filter(|session| session.is_one_stream()).ok_or(Refusal::UnknownSession)?;
    session.used();
    Ok(session)
}
