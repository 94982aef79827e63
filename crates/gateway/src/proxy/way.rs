//! Where a request goes and with which header fields, decided before a byte of it is passed on.

use std::sync::Arc;

use http::request::Parts;
use http::{HeaderMap, Method};
use http_body::Body as _;
use hyper::body::Incoming;
use mcp::session::SESSION_ID;

use super::{Admitted, Gateway};
use crate::lease::Lease;
use crate::limits::whole_seconds;
use crate::refusal::Refusal;
use crate::routes::Destination;
use crate::session::Session;
use crate::tokens::Grant;
use crate::trace_context::TraceContext;
use crate::{credential, headers};

/// Where a request goes, and the session that it belongs to there.
pub(super) struct Way {
    pub(super) destination: Arc<Destination>,
    pub(super) session: Option<Session>,
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
        let session = admitted.owner().session(&self.vault, &parts.headers);
        let destination = match &session {
            Ok(Some(session)) => route.of_session(session.destination)?,
            // That an instance is stopped is said first.
            Ok(None) | Err(_) => route.pick()?,
        };
        if !matches!(parts.method, Method::POST | Method::GET | Method::DELETE) {
            return Err(Refusal::MethodNotAllowed);
        }
        if body.size_hint().lower() > self.request_body_bytes_max {
            return Err(Refusal::BodyTooLarge);
        }
        let way = Way { destination, session: session? };
        let fields = upstream_fields(std::mem::take(&mut parts.headers), &way, grant, &admitted.trace)?;
        if let Err(wait) = way.destination.admit() {
            // A replica that takes no connections any more has taken its sessions with it.
            let is_lost = way.destination.hosted && way.session.is_some();
            let retry_after = whole_seconds(wait);
            return Err(if is_lost {
                Refusal::SessionUnknown
            } else {
                Refusal::UpstreamFailing { retry_after }
            });
        }
        Ok((way, fields))
    }
}

/// The header fields that the upstream gets, made of the client's.
fn upstream_fields(
    mut fields: HeaderMap,
    way: &Way,
    grant: &Grant,
    trace: &TraceContext,
) -> Result<HeaderMap, Refusal> {
    if way.destination.hosted || grant.passthrough.is_empty() {
        headers::strip_request(&mut fields, &[], "");
    } else {
        let credential = credential::of_kind(&fields, grant.kind).unwrap_or_default().to_owned();
        headers::strip_request(&mut fields, &grant.passthrough, &credential);
    }
    if let Some(session) = &way.session {
        fields.insert(SESSION_ID, session.upstream_id.clone());
    }
    trace.inject(&mut fields);
    for (name, value) in &way.destination.headers {
        fields.insert(name, value.clone());
    }
    if !way.destination.hosted {
        for (name, value) in grant.headers()? {
            fields.insert(name, value.clone());
        }
    }
    Ok(fields)
}
