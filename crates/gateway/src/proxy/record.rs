//! What the access log says of a request before anything has come of it.

use std::net::IpAddr;

use access_log::{TraceEvent, TraceRecord};
use http::header;
use http::request::Parts;
use jiff::Timestamp;
use mcp::session;

use super::Gateway;
use super::way::session_in_query;
use crate::exchange::{bounded, truncated};
use crate::routes::Route;
use crate::tokens::Grant;
use crate::trace_context::TraceContext;

/// How much of a session id's digest the log gets, in hexadecimal digits: enough to tell sessions apart.
const SESSION_DIGITS: usize = 16;

impl Gateway {
    pub(super) fn session_digest(&self, id: &[u8]) -> String {
        let mut digest = self.vault.digest(id).0;
        digest.truncate(SESSION_DIGITS);
        digest
    }

    /// What every record of a request says. Its path is that of the instance it names, or a masked one: what is no
    /// instance may be anything, a mistyped secret included.
    pub(super) fn record(
        &self,
        client: IpAddr,
        parts: &Parts,
        trace: &TraceContext,
        route: Option<&Route>,
        grant: Option<&Grant>,
    ) -> TraceRecord {
        let session = match parts.headers.get(session::SESSION_ID) {
            Some(id) => Some(self.session_digest(id.as_bytes())),
            None => session_in_query(parts.uri.query()).map(|id| self.session_digest(id.as_bytes())),
        };
        let path = route.map(|_| truncated(parts.uri.path()));
        TraceRecord {
            trace_id: trace.trace_id.clone(),
            span_id: trace.span_id.clone(),
            instance_id: route.map(|route| route.id.0).unwrap_or_default(),
            instance_name: route.map(|route| route.name.clone()).unwrap_or_default(),
            token_id: grant.map(|grant| grant.token.0).unwrap_or_default(),
            token_label: grant.map(|grant| grant.label.clone()).unwrap_or_default(),
            gateway_id: self.gateway_id.clone(),
            session_id: session.unwrap_or_default(),
            protocol_version: bounded(parts.headers.get(session::PROTOCOL_VERSION)),
            http_method: truncated(parts.method.as_str()),
            path: path.unwrap_or_else(|| "/mcp-gateway/…".to_owned()),
            client_address: client.to_canonical().to_string(),
            user_agent: bounded(parts.headers.get(header::USER_AGENT)),
            content_type: bounded(parts.headers.get(header::CONTENT_TYPE)),
            ..TraceRecord::new(Timestamp::now(), TraceEvent::Request)
        }
    }
}
