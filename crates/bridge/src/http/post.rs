//! POST: messages of the client, answered with JSON or with a stream.

use std::collections::VecDeque;
use std::rc::Rc;
use std::time::Duration;

use ::http::header::{CONTENT_TYPE, HeaderValue};
use ::http::{Request, Response, StatusCode};
use bytes::{Bytes, BytesMut};
use hyper::body::Incoming;
use mcp::message::{self, Message, Outcome};
use mcp::protocol::Revision;
use mcp::session::SESSION_ID;
use tokio::time::timeout;

use super::body::{self, Body};
use super::{Refusal, empty, events, guard, session, stateless};
use crate::link::{INITIALIZE_TIMEOUT, Introduction};
use crate::links::{Found, Links};
use crate::passed;
use crate::serve::{Bridge, chain};
use crate::session::{CallRefused, Session, Shared};
use crate::sessions::{OpenError, Opening};
use crate::stream::{First, Stream};

/// Time an answer has to come as JSON. One that takes longer comes on a stream, which a client can resume.
pub(super) const JSON_PATIENCE: Duration = Duration::from_secs(1);

pub(super) async fn answer(
    bridge: &Rc<Bridge>,
    request: Request<Incoming>,
) -> Result<Response<Body>, Refusal> {
    let (head, body) = request.into_parts();
    guard::json(&head.headers)?;
    guard::accepts(&head.headers, &["application/json", "text/event-stream"])?;
    let (body, _counted) = body::read(bridge, body).await?;
    let passes = bridge.config.pass_headers;
    let body = if passes { passed::into_calls(&head.headers, body) } else { body };
    let parsed = message::parse(&body).map_err(Refusal::NotAMessage)?;
    let (messages, batch) = match parsed {
        message::Body::One(message) => (vec![message], false),
        // What is passed to an API is said call by call.
        message::Body::Batch(_) if passes => return Err(Refusal::BatchNotAllowed),
        message::Body::Batch(messages) => (messages, true),
    };
    if let ([message], false) = (&messages[..], batch)
        && stateless::is_meant(&head.headers, message, head.headers.contains_key(SESSION_ID))
    {
        return stateless::answer(bridge, &head.headers, message).await;
    }
    let initialize = messages.iter().any(is_initialize);
    if !head.headers.contains_key(SESSION_ID) {
        return match &messages[..] {
            [Message::Request(request)] if initialize && !batch => {
                open_session(bridge, guard::client(&head.headers), request, &messages, &body).await
            }
            [Message::Request(request), ..] => Err(Refusal::NoSession { id: Some(request.id.to_owned()) }),
            _ => Err(Refusal::NoSession { id: None }),
        };
    }
    let session = session(bridge, &head.headers)?;
    guard::revision(&head.headers)?;
    if batch && (initialize || !session.revision().is_some_and(Revision::allows_batches)) {
        return Err(Refusal::BatchNotAllowed);
    }
    if initialize {
        return Err(Refusal::InitializedAlready);
    }
    forward(&session, &messages, &body, batch).await
}

fn is_initialize(message: &Message<'_>) -> bool {
    matches!(message, Message::Request(request) if request.method == "initialize")
}

/// Opens a session, with a child of its own or without.
async fn open_session(
    bridge: &Rc<Bridge>,
    client: &str,
    request: &message::Request<'_>,
    messages: &[Message<'_>],
    body: &Bytes,
) -> Result<Response<Body>, Refusal> {
    let Some(opening) = sharing(bridge, client).await? else {
        return initialize_child(bridge, request, messages, body).await;
    };
    let session = opening.session().clone();
    let answer = session.initialize(request).expect("this session shares a child");
    let mut response = json([answer.map_err(Refusal::ClientTooLong)?].into(), false);
    let id = HeaderValue::from_str(session.id()).expect("a session id is visible ASCII");
    response.headers_mut().insert(SESSION_ID, id);
    opening.succeed();
    Ok(response)
}

/// Opens a session that shares a child with others, or one that the bridge keeps because the server knows none; `None` if
/// the session is to have a child for itself. Until it is known what the server speaks, none is opened.
pub(super) async fn sharing(bridge: &Rc<Bridge>, client: &str) -> Result<Option<Opening>, Refusal> {
    let eras = bridge.eras().await;
    let Some(key) = bridge.key_of_session(&eras, client) else { return Ok(None) };
    let Found { introduction, .. } = Links::find(bridge, &key, false).await.map_err(Refusal::NoLink)?;
    Opening::sharing(bridge, Shared::new(bridge, key, introduction)).map(Some).map_err(Refusal::NotOpened)
}

/// Opens a session with its child's answer to `initialize`.
async fn initialize_child(
    bridge: &Rc<Bridge>,
    request: &message::Request<'_>,
    messages: &[Message<'_>],
    body: &Bytes,
) -> Result<Response<Body>, Refusal> {
    let opening = Opening::with_child(bridge).map_err(|error| {
        if let OpenError::Spawn(_) = &error {
            bridge.report.note(&chain(&error));
        }
        Refusal::NotOpened(error)
    })?;
    let session = opening.session().clone();
    let stream = session.call(&[request]).map_err(refused)?;
    // A session that is over by now has answered the call with the reason.
    if session.take(messages, body).await.is_err() {
        tracing::debug!(session = session.id(), "the child was gone before initialize");
    }
    // What the server says before its answer goes to the stream as well, and with the answer to the client.
    if timeout(INITIALIZE_TIMEOUT, stream.finished()).await.is_err() {
        opening.fail();
        return Err(Refusal::InitializeTimeout { seconds: INITIALIZE_TIMEOUT.as_secs() });
    }
    if let Some(ending) = session.over() {
        return Err(Refusal::InitializeFailed(ending));
    }
    let revision = stream.last().as_deref().and_then(agreed_revision);
    if let Some(revision) = revision {
        session.set_revision(revision);
    }
    let mut response = respond(&session, &stream, false).await;
    if revision.is_some() {
        let id = HeaderValue::from_str(session.id()).expect("a session id is visible ASCII");
        response.headers_mut().insert(SESSION_ID, id);
        opening.succeed();
    } else {
        // The server's error, or an answer the client will not understand either: both are for the client to read.
        opening.fail();
    }
    Ok(response)
}

/// The revision that a successful answer to `initialize` names. One we do not know is treated as the oldest.
fn agreed_revision(answer: &[u8]) -> Option<Revision> {
    let Ok(message::Body::One(Message::Response(response))) = message::parse(answer) else { return None };
    let Outcome::Result(result) = response.outcome else { return None };
    Introduction::of_initialize(result).map(|introduction| introduction.revision)
}

/// Gives the child the messages, and the client what comes of them.
async fn forward(
    session: &Rc<Session>,
    messages: &[Message<'_>],
    body: &Bytes,
    batch: bool,
) -> Result<Response<Body>, Refusal> {
    let requests: Vec<_> = messages
        .iter()
        .filter_map(|message| if let Message::Request(request) = message { Some(request) } else { None })
        .collect();
    let stream = match &requests[..] {
        [] if session.is_clogged() => return Err(Refusal::TooManyBytes),
        [] => None,
        requests => Some(session.call(requests).map_err(refused)?),
    };
    // Calls that the child does not take any more are answered with an error, when the session ends.
    if session.take(messages, body).await.is_err() && stream.is_none() {
        return Err(Refusal::UnknownSession);
    }
    match stream {
        Some(stream) => Ok(respond(session, &stream, batch).await),
        None => Ok(empty(StatusCode::ACCEPTED)),
    }
}

async fn respond(session: &Rc<Session>, stream: &Rc<Stream>, batch: bool) -> Response<Body> {
    match timeout(JSON_PATIENCE, stream.first()).await {
        Ok(First::Answers) => json(stream.take_answers(), batch),
        Ok(First::Events) | Err(_) => events::response(session.open(stream)),
    }
}

fn json(mut answers: VecDeque<Bytes>, batch: bool) -> Response<Body> {
    let body = match answers.pop_front() {
        Some(answer) if !batch => answer,
        first => {
            let mut body = BytesMut::from(&b"["[..]);
            for (at, answer) in first.into_iter().chain(answers).enumerate() {
                if at > 0 {
                    body.extend_from_slice(b",");
                }
                body.extend_from_slice(&answer);
            }
            body.extend_from_slice(b"]");
            body.freeze()
        }
    };
    let mut response = Response::new(Body::full(body));
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

pub(super) fn refused(refused: CallRefused) -> Refusal {
    match refused {
        CallRefused::IdInUse => Refusal::IdInUse,
        CallRefused::TooMany => Refusal::TooManyCalls,
        CallRefused::Full => Refusal::TooManyBytes,
        CallRefused::Over => Refusal::UnknownSession,
    }
}
