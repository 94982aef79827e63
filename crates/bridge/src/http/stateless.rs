//! POST of the era without sessions (2026-07-28, Streamable HTTP): every request is complete in itself, and closing the
//! answer's stream cancels it.

use std::rc::Rc;

use ::http::header::{CONTENT_TYPE, HeaderMap, HeaderValue};
use ::http::{HeaderName, Response, StatusCode};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use mcp::message::{self, Message, Outcome, Request, code};
use mcp::protocol::{Era, Revision};
use mcp::session::{METHOD, NAME, PROTOCOL_VERSION};
use mcp::splice;
use tokio::time::timeout;

use super::body::Body;
use super::post::JSON_PATIENCE;
use super::refusal::Fault;
use super::{Refusal, empty, events, guard};
use crate::link::{self, Asker, Introduction, Link, Outgoing, Parameters, Pending, meta};
use crate::links::{Links, NoLink};
use crate::placement::CLIENT_BYTES_MAX;
use crate::serve::{Bridge, chain};
use crate::session::CallRefused;
use crate::stream::{First, Stream};
use crate::translate::{self, Exchange, NotResumed, Resumed};

/// Whether a message is of this era: because it says so itself, or because its header does and no session speaks
/// against it. `initialize` without the new fields is always of the older one.
pub(super) fn is_meant(headers: &HeaderMap, message: &Message<'_>, in_session: bool) -> bool {
    let (method, params) = match message {
        Message::Request(request) => (&*request.method, request.params),
        Message::Notification(notification) => (&*notification.method, notification.params),
        Message::Response(_) => ("", None),
    };
    let in_body =
        params.is_some_and(|params| splice::find(params.get(), &["_meta", meta::REVISION]).is_some());
    if in_body {
        return true;
    }
    let Some(era) = guard::named_era(headers) else { return false };
    let in_header = era.map_or(!in_session, |era| era == Era::Stateless);
    in_header && method != "initialize"
}

pub(super) async fn answer(
    bridge: &Rc<Bridge>,
    headers: &HeaderMap,
    message: &Message<'_>,
) -> Result<Response<Body>, Refusal> {
    let request = match message {
        Message::Request(request) => request,
        // This revision defines none that a client would send over HTTP.
        Message::Notification(_) => return Ok(empty(StatusCode::ACCEPTED)),
        Message::Response(_) => return Err(Refusal::Stateless { id: None, fault: Fault::NotARequest }),
    };
    let refuse = |fault| Refusal::Stateless { id: Some(request.id.to_owned()), fault };
    check(headers, request).map_err(refuse)?;
    let client = guard::client(headers);
    let eras = bridge.eras().await;
    match eras.stateless {
        Some(_) => forward(bridge, headers, client, request).await.map_err(refuse),
        None => translate(bridge, client, request).await.map_err(refuse),
    }
}

/// Gives a request to a server of the same era.
async fn forward(
    bridge: &Rc<Bridge>,
    headers: &HeaderMap,
    client: &str,
    request: &Request<'_>,
) -> Result<Response<Body>, Fault> {
    let found = Links::find(bridge, &bridge.key_of_call(client), false).await.map_err(no_link)?;
    let link = &found.link;
    check_arguments(link, &found.introduction, headers, request).await?;
    let stream = link.stream();
    let asker = Asker::Post(stream.clone());
    let (number, line) = link.begin(Outgoing::of(request), asker).map_err(refused)?;
    let pending = Pending::new(link, number);
    link.tell([line]);
    Ok(respond(stream, pending).await)
}

/// Asks an older server in the client's name.
async fn translate(
    bridge: &Rc<Bridge>,
    client: &str,
    request: &Request<'_>,
) -> Result<Response<Body>, Fault> {
    if translate::is_removed(&request.method) {
        return Err(Fault::MethodNotFound(request.method.as_ref().to_owned()));
    }
    let params = request.params.map(|params| params.get()).unwrap_or_default();
    let capabilities = splice::find(params, &["_meta", meta::CLIENT_CAPABILITIES]);
    let capabilities = capabilities.map_or("{}", |place| &params[place]);
    if capabilities.len() > CLIENT_BYTES_MAX {
        return Err(Fault::CapabilitiesTooLong);
    }
    let (key, alone) = bridge.key_of_translated(client, capabilities);
    if let Some(place) = splice::find(params, &["requestState"]) {
        let state: String = serde_json::from_str(&params[place]).map_err(|_| NotResumed::Unknown)?;
        let Resumed { stream, pending } = bridge.rounds.resume(&key, request, &state)?;
        return Ok(respond(stream, pending).await);
    }
    let found = Links::find(bridge, &key, alone).await.map_err(no_link)?;
    let (link, server) = (&found.link, found.introduction.clone());
    let stream = link.stream();
    match &*request.method {
        "server/discover" => {
            stream.answer(message::result(request.id, &translate::discovery(&server)).into());
            Ok(json(stream))
        }
        "subscriptions/listen" => {
            let listener =
                bridge.listeners.listen(link, &server, request, stream.clone()).map_err(refused)?;
            Ok(events::of_listener(stream, listener))
        }
        _ => {
            let exchange = Exchange::begin(server, request, stream.clone(), link.noted());
            let asker = Asker::Exchange(exchange.clone());
            let (number, line) = link.begin(Outgoing::of(request), asker).map_err(refused)?;
            let pending = Pending::in_round(link, number, &exchange);
            link.tell([line]);
            // From here on the call itself says that the child is in use.
            drop(found);
            Ok(respond(stream, pending).await)
        }
    }
}

/// Answers with what comes: JSON, with the status for it, if the answer comes first and soon; otherwise a stream.
async fn respond(stream: Rc<Stream>, pending: Pending) -> Response<Body> {
    match timeout(JSON_PATIENCE, stream.first()).await {
        Ok(First::Answers) => json(stream),
        Ok(First::Events) | Err(_) => events::of_call(stream, pending),
    }
}

fn json(stream: Rc<Stream>) -> Response<Body> {
    let status = match stream.last().as_deref().and_then(link::outcome) {
        Some(error @ Outcome::Error(_)) => status(error),
        Some(Outcome::Result(_)) | None => StatusCode::OK,
    };
    let mut response = Response::new(Body::answer(stream));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

/// The status of an answer that is an error. The specification names one for each of these codes.
fn status(error: Outcome<'_>) -> StatusCode {
    match error.error().map(|error| error.code) {
        Some(code::METHOD_NOT_FOUND) => StatusCode::NOT_FOUND,
        Some(
            code::PARSE_ERROR
            | code::INVALID_REQUEST
            | code::INVALID_PARAMS
            | code::HEADER_MISMATCH
            | code::MISSING_CLIENT_CAPABILITY
            | code::UNSUPPORTED_REVISION,
        ) => StatusCode::BAD_REQUEST,
        _ => StatusCode::OK,
    }
}

/// What a request must say of itself, in the order in which the official SDKs look at it.
fn check(headers: &HeaderMap, request: &Request<'_>) -> Result<(), Fault> {
    let params = request.params.map(|params| params.get()).unwrap_or_default();
    let in_meta = |key| splice::find(params, &["_meta", key]).map(|range| &params[range]);
    let required = [meta::REVISION, meta::CLIENT_CAPABILITIES];
    let missing: Vec<_> = required.into_iter().filter(|key| in_meta(key).is_none()).collect();
    if !missing.is_empty() {
        return Err(Fault::NoMeta(missing));
    }
    let text = |key| in_meta(key).and_then(|value| serde_json::from_str::<String>(value).ok());
    let revision = text(meta::REVISION).ok_or_else(|| Fault::NoMeta(vec![meta::REVISION]))?;
    if !in_meta(meta::CLIENT_CAPABILITIES).is_some_and(|value| value.starts_with('{')) {
        return Err(Fault::NoMeta(vec![meta::CLIENT_CAPABILITIES]));
    }
    mirrors(headers, PROTOCOL_VERSION, &revision)?;
    mirrors(headers, METHOD, &request.method)?;
    let named = match &*request.method {
        "tools/call" | "prompts/get" => Some("name"),
        "resources/read" => Some("uri"),
        _ => None,
    };
    let value = named.and_then(|key| splice::find(params, &[key])).map(|range| &params[range]);
    if let Some(value) = value.and_then(|value| serde_json::from_str::<String>(value).ok()) {
        mirrors(headers, NAME, &value)?;
    }
    let known = revision.parse::<Revision>().is_ok_and(|revision| revision.era() == Era::Stateless);
    if known { Ok(()) } else { Err(Fault::UnsupportedRevision { requested: revision }) }
}

/// Whether the arguments of a call that have to be in header fields are there as well.
async fn check_arguments(
    link: &Link,
    server: &Introduction,
    headers: &HeaderMap,
    request: &Request<'_>,
) -> Result<(), Fault> {
    let Some(params) = request.params.filter(|_| request.method == "tools/call") else { return Ok(()) };
    let check = |parameters: &Parameters| {
        parameters.of_call(params.get()).iter().try_for_each(|mirrored| {
            let name = HeaderName::try_from(&mirrored.header);
            let Ok(name) = name else { return Ok(()) };
            let mut fields = headers.get_all(&name).into_iter();
            let (Some(field), None) = (fields.next(), fields.next()) else {
                return Err(Fault::NoHeader(name));
            };
            let says = decoded(field.as_bytes()).is_some_and(|field| mirrored.says(&field));
            if says { Ok(()) } else { Err(Fault::HeaderMismatch(name)) }
        })
    };
    if check(&*link.parameters(server).await).is_ok() {
        return Ok(());
    }
    // The tools may have changed since they were read.
    check(&*link.newer_parameters(server).await)
}

/// Whether a header field is there once and says the same as the body.
fn mirrors(headers: &HeaderMap, name: HeaderName, value: &str) -> Result<(), Fault> {
    let mut fields = headers.get_all(&name).into_iter();
    let (Some(field), None) = (fields.next(), fields.next()) else { return Err(Fault::NoHeader(name)) };
    let decoded = decoded(field.as_bytes());
    if decoded.as_deref() == Some(value) { Ok(()) } else { Err(Fault::HeaderMismatch(name)) }
}

/// The text that a header field mirrors; `None` if it cannot be read (2026-07-28, Streamable HTTP, Value Encoding).
pub(super) fn decoded(field: &[u8]) -> Option<String> {
    let text = std::str::from_utf8(field).ok()?;
    let encoded = text.strip_prefix("=?base64?").and_then(|text| text.strip_suffix("?="));
    match encoded {
        Some(encoded) => String::from_utf8(BASE64_STANDARD.decode(encoded).ok()?).ok(),
        None => Some(text.to_owned()),
    }
}

fn no_link(error: NoLink) -> Fault {
    Fault::NoServer(chain(&error))
}

fn refused(refused: CallRefused) -> Fault {
    match refused {
        CallRefused::TooMany | CallRefused::Full | CallRefused::IdInUse => Fault::TooManyCalls,
        CallRefused::Over => Fault::NoServer("the server has ended".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_field_is_read_as_text_or_as_base64() {
        let read = |field: &str| decoded(field.as_bytes());
        assert_eq!(read("echo").as_deref(), Some("echo"));
        assert_eq!(read("=?base64?SGVsbG8sIOS4lueVjA==?=").as_deref(), Some("Hello, 世界"));
        assert_eq!(read("=?base64?SGVsbG8").as_deref(), Some("=?base64?SGVsbG8"));
        assert_eq!(read("=?base64?SGVsbG8?="), None);
        assert_eq!(read("=?base64?SGVs!!!bG8=?="), None);
        assert_eq!(read("=?base64?/w==?="), None);
    }
}
