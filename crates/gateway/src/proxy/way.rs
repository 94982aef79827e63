//! Where a request goes and with which header fields, decided before a byte of it is passed on.

use std::borrow::Cow;
use std::sync::Arc;

use domain::instance::RemoteTransport;
use http::request::Parts;
use http::{HeaderMap, Method, Uri};
use http_body::Body as _;
use hyper::body::Incoming;
use mcp::session::{CLIENT, SESSION_ID};

use super::{Admitted, Gateway};
use crate::lease::Lease;
use crate::limits::whole_seconds;
use crate::path::Endpoint;
use crate::refusal::Refusal;
use crate::routes::Destination;
use crate::session::Session;
use crate::tokens::Grant;
use crate::trace_context::TraceContext;
use crate::{credential, headers};

/// The parameter in which an endpoint event names a session, as servers of HTTP+SSE do.
pub(super) const SESSION_PARAMETER: &str = "sessionId";

/// Where a request goes, and the session that it belongs to there.
pub(super) struct Way {
    pub(super) destination: Arc<Destination>,
    /// The address there.
    pub(super) uri: Uri,
    pub(super) session: Option<Session>,
    /// Whether an event stream that answers it goes on until somebody ends it.
    pub(super) is_endless: bool,
    /// Whether it is a message of a stream of HTTP+SSE.
    pub(super) is_message: bool,
    /// Whether the answer is a stream of HTTP+SSE, whose endpoint event names an address.
    pub(super) is_http_sse: bool,
}

impl Way {
    /// Whether the request belongs to a session, of either transport.
    pub(super) fn has_session(&self) -> bool {
        self.session.is_some() || self.is_message
    }
}

impl Gateway {
    /// What can be said about a request before a byte of it is passed on: where it goes, and with which header fields.
    pub(super) fn check(
        &self,
        admitted: &Admitted,
        parts: &mut Parts,
        body: &Incoming,
    ) -> Result<(Way, HeaderMap), Refusal> {
        let Lease { grant, route, .. } = &admitted.lease;
        self.rates.note(grant.token.0, route.id.0)?;
        let way = match admitted.endpoint {
            Endpoint::StreamableHttp => self.to_streamable_http(admitted, parts)?,
            Endpoint::Sse => to_http_sse(admitted, parts)?,
            Endpoint::Message => self.to_messages(admitted, parts)?,
        };
        if body.size_hint().lower() > self.request_body_bytes_max {
            return Err(Refusal::BodyTooLarge);
        }
        let fields = upstream_fields(std::mem::take(&mut parts.headers), &way, grant, &admitted.trace)?;
        if let Err(wait) = way.destination.admit() {
            // A replica that takes no connections any more has taken its sessions with it.
            let is_lost = way.destination.hosted && way.has_session();
            let retry_after = whole_seconds(wait);
            return Err(if is_lost {
                Refusal::SessionUnknown
            } else {
                Refusal::UpstreamFailing { retry_after }
            });
        }
        Ok((way, fields))
    }

    fn to_streamable_http(&self, admitted: &Admitted, parts: &mut Parts) -> Result<Way, Refusal> {
        let Lease { grant, route, .. } = &admitted.lease;
        let stateless = headers::knows_no_sessions(&parts.headers);
        if stateless {
            // "Ignore it" (2026-07-28, Streamable HTTP, Earlier Streamable HTTP Revisions).
            parts.headers.remove(SESSION_ID);
        }
        let session = admitted.owner().session(&self.vault, &parts.headers);
        let destination = match &session {
            Ok(Some(session)) => route.of_session(session.destination)?,
            Ok(None) if stateless => route.pick_for(grant.token.0)?,
            // That an instance is stopped is said first.
            Ok(None) | Err(_) => route.pick()?,
        };
        if !matches!(parts.method, Method::POST | Method::GET | Method::DELETE) {
            return Err(Refusal::MethodNotAllowed);
        }
        // A client that speaks both transports asks the one address that it was given for both (2025-11-25,
        // Transports, Backwards Compatibility).
        let is_http_sse = destination.transport == RemoteTransport::Sse && parts.method == Method::GET;
        let uri = if is_http_sse { destination.sse()? } else { destination.streamable_http()? };
        let listens = stateless && headers::listens(&parts.headers);
        let is_endless = parts.method == Method::GET || listens;
        Ok(Way { destination, uri, session: session?, is_endless, is_message: false, is_http_sse })
    }

    fn to_messages(&self, admitted: &Admitted, parts: &Parts) -> Result<Way, Refusal> {
        let messages = session_in_query(parts.uri.query()).ok_or(Refusal::SessionMissing);
        let messages = messages.and_then(|sealed| admitted.owner().messages(&self.vault, &sealed));
        let destination = match &messages {
            Ok(messages) => admitted.lease.route.of_session(messages.destination)?,
            Err(_) => admitted.lease.route.pick()?,
        };
        if parts.method != Method::POST {
            return Err(Refusal::MethodOfHttpSse);
        }
        let uri = destination.at(messages?.address);
        Ok(Way { destination, uri, session: None, is_endless: false, is_message: true, is_http_sse: false })
    }
}

fn to_http_sse(admitted: &Admitted, parts: &Parts) -> Result<Way, Refusal> {
    let destination = admitted.lease.route.pick()?;
    if parts.method != Method::GET {
        return Err(Refusal::MethodOfHttpSse);
    }
    let uri = destination.sse()?;
    Ok(Way { destination, uri, session: None, is_endless: true, is_message: false, is_http_sse: true })
}

/// The session of HTTP+SSE that a query names.
pub(super) fn session_in_query(query: Option<&str>) -> Option<Cow<'_, str>> {
    let mut parameters = url::form_urlencoded::parse(query?.as_bytes());
    parameters.find_map(|(name, value)| (name == SESSION_PARAMETER).then_some(value))
}

/// The header fields that the upstream gets, made of the client's.
fn upstream_fields(
    mut fields: HeaderMap,
    way: &Way,
    grant: &Grant,
    trace: &TraceContext,
) -> Result<HeaderMap, Refusal> {
    let passed = match way.destination.before_api {
        true => {
            let credential = credential::of_kind(&fields, grant.kind).unwrap_or_default().to_owned();
            headers::for_api(&fields, &grant.passthrough, &credential)
        }
        false => vec![],
    };
    if way.destination.hosted || grant.passthrough.is_empty() {
        headers::strip_request(&mut fields, &[], "");
    } else {
        let credential = credential::of_kind(&fields, grant.kind).unwrap_or_default().to_owned();
        headers::strip_request(&mut fields, &grant.passthrough, &credential);
    }
    if let Some(session) = &way.session {
        fields.insert(SESSION_ID, session.upstream_id.clone());
    }
    if way.destination.hosted {
        fields.insert(CLIENT, headers::client(grant.token));
    }
    trace.inject(&mut fields);
    for (name, value) in &way.destination.headers {
        fields.insert(name, value.clone());
    }
    for (name, value) in passed {
        fields.append(name, value);
    }
    if !way.destination.hosted {
        for (name, value) in grant.headers()? {
            fields.insert(name, value.clone());
        }
    } else if way.destination.before_api {
        for (name, value) in grant.headers()? {
            fields.insert(headers::named_for_api(name), value.clone());
        }
    }
    Ok(fields)
}
