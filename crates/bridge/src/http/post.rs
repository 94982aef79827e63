//! POST: messages of the client, answered with JSON or with a stream.

use std::collections::VecDeque;
use std::rc::Rc;
use std::time::Duration;

use ::http::header::{CONTENT_TYPE, HeaderMap, HeaderValue};
use ::http::{Request, Response, StatusCode};
use bytes::{Bytes, BytesMut};
use http_body::Body as _;
use http_body_util::{BodyExt as _, Limited};
use hyper::body::Incoming;
use mcp::message::{self, Message, Outcome};
use mcp::protocol::{Era, Revision};
use mcp::session::{CLIENT, SESSION_ID};
use mcp::splice;
use tokio::time::timeout;

use super::body::Body;
use super::{Refusal, empty, events, guard, stateless};
use crate::config::Process;
use crate::link::{INITIALIZE_TIMEOUT, Introduction};
use crate::links::{Found, Key, Links};
use crate::serve::{Bridge, chain};
use crate::session::{CallRefused, First, Newer, Session, Shared, Stream, shared};
use crate::sessions::{OpenError, Opening};

/// Time a body has to arrive.
const BODY_TIMEOUT: Duration = Duration::from_secs(120);
/// Time an answer has to come as JSON. One that takes longer comes on a stream, which a client can resume.
pub(super) const JSON_PATIENCE: Duration = Duration::from_secs(1);
pub(super) async fn answer(
    bridge: &Rc<Bridge>,
    request: Request<Incoming>,
) -> Result<Response<Body>, Refusal> {
    let (head, body) = request.into_parts();
    guard::json(&head.headers)?;
    guard::accepts(&head.headers, &["application/json", "text/event-stream"])?;
    let body = read(body, bridge.config.body_bytes_max).await?;
    let parsed = message::parse(&body).map_err(Refusal::NotAMessage)?;
    let (messages, batch) = match parsed {
        message::Body::One(message) => (vec![message], false),
        message::Body::Batch(messages) => (messages, true),
    };
    if let ([message], false) = (&messages[..], batch)
        && stateless::is_meant(&head.headers, message, head.headers.contains_key(SESSION_ID))
    {
        return stateless::answer(bridge, &head.headers, message).await;
    }
    let initialize = messages.iter().any(is_initialize);
    let Some(session) = named_session(bridge, &head.headers)? else {
        return match &messages[..] {
            [Message::Request(request)] if initialize && !batch => {
                let client = head.headers.get(CLIENT).and_then(|client| client.to_str().ok());
                open_session(bridge, client.unwrap_or_default(), request, &messages, &body).await
            }
            [Message::Request(request), ..] => Err(Refusal::NoSession { id: Some(request.id.to_owned()) }),
            _ => Err(Refusal::NoSession { id: None }),
        };
    };
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

/// The session that the request names; `None` if it names none.
fn named_session(bridge: &Bridge, headers: &HeaderMap) -> Result<Option<Rc<Session>>, Refusal> {
    let Some(id) = headers.get(SESSION_ID) else { return Ok(None) };
    let session = id.to_str().ok().and_then(|id| bridge.sessions.get(id));
    let session = session.filter(|session| !session.is_one_stream()).ok_or(Refusal::UnknownSession)?;
    session.used();
    Ok(Some(session))
}

pub(super) async fn read(body: Incoming, bytes_max: usize) -> Result<Bytes, Refusal> {
    let too_large = || Refusal::TooLarge { bytes_max };
    if body.size_hint().lower() > bytes_max as u64 {
        return Err(too_large());
    }
    match timeout(BODY_TIMEOUT, Limited::new(body, bytes_max).collect()).await {
        Ok(Ok(body)) => Ok(body.to_bytes()),
        Ok(Err(error)) if error.is::<http_body_util::LengthLimitError>() => Err(too_large()),
        Ok(Err(_)) => Err(Refusal::BodyIncomplete),
        Err(_) => Err(Refusal::BodyTooSlow),
    }
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
    let mut response = json([initialize_shared(bridge, &session, request).await?].into(), false);
    let id = HeaderValue::from_str(session.id()).expect("a session id is visible ASCII");
    response.headers_mut().insert(SESSION_ID, id);
    opening.succeed();
    Ok(response)
}

/// Opens a session that shares a child with others, or one that the bridge keeps because the server knows none; `None` if
/// the session is to have a child for itself. Until it is known what the server speaks, none is opened.
pub(super) async fn sharing(bridge: &Rc<Bridge>, client: &str) -> Result<Option<Opening>, Refusal> {
    let eras = bridge.eras().await;
    let key = match bridge.config.process {
        _ if !eras.sessions => bridge.stateless_key(client),
        Process::Shared => Key::shared(Era::Sessions),
        Process::Auto | Process::PerClient => return Ok(None),
    };
    let Found { introduction, .. } = Links::find(bridge, &key, false).await.map_err(Refusal::NoLink)?;
    let newer = (!eras.sessions).then(|| Newer::of(introduction));
    Opening::sharing(bridge, Shared::new(bridge, key, newer)).map(Some).map_err(Refusal::NotOpened)
}

/// The answer to `initialize` of a session that has no child for itself: what the server has said to the bridge.
pub(super) async fn initialize_shared(
    bridge: &Rc<Bridge>,
    session: &Session,
    request: &message::Request<'_>,
) -> Result<Bytes, Refusal> {
    let asked = asked_revision(request);
    let (revision, result) = match session.newer() {
        Some((_, newer)) => newer.initialize(request, asked.unwrap_or(Revision::LATEST_WITH_SESSIONS)),
        None => {
            let key = Key::shared(Era::Sessions);
            let found = Links::find(bridge, &key, false).await.map_err(Refusal::NoLink)?;
            shared::initialize_result(&found.introduction, asked)
        }
    };
    session.set_revision(revision);
    Ok(message::result(request.id, &result).into())
}

/// The revision with sessions that a client asks for, if we know it.
fn asked_revision(request: &message::Request<'_>) -> Option<Revision> {
    let params = request.params?.get();
    let revision = &params[splice::find(params, &["protocolVersion"])?];
    let revision: Revision = serde_json::from_str::<String>(revision).ok()?.parse().ok()?;
    (revision.era() == Era::Sessions).then_some(revision)
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
