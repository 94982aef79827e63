//! What the access log says of a request before anything has come of it.

use std::net::IpAddr;
use std::sync::Arc;

use domain::instance::Capture;
use http::request::Parts;
use jiff::Timestamp;
use mcp::session;

use super::Gateway;
use super::way::session_in_query;
use crate::admission::Denied;
use crate::exchange::truncated;
use crate::masking::cut;
use crate::routes::Route;
use crate::tokens::Grant;
use crate::trace_context::TraceContext;
use crate::traces::{Call, Head, QUERY_BYTES_MAX};

/// How much of a session id's digest the log gets, in hexadecimal digits: enough to tell sessions apart.
const SESSION_DIGITS: usize = 16;

impl Gateway {
    pub(super) fn session_digest(&self, id: &[u8]) -> String {
        let mut digest = self.vault.digest(id).0;
        digest.truncate(SESSION_DIGITS);
        digest
    }

    /// What every record of a request says.
    pub(super) fn call(
        &self,
        client: IpAddr,
        parts: &Parts,
        trace: &TraceContext,
        route: Option<&Arc<Route>>,
        grant: &Result<Arc<Grant>, Denied>,
    ) -> Call {
        let query = parts.uri.query().unwrap_or_default();
        let session = match parts.headers.get(session::SESSION_ID) {
            Some(id) => Some(self.session_digest(id.as_bytes())),
            None => session_in_query(Some(query)).map(|id| self.session_digest(id.as_bytes())),
        };
        let path = route.map(|_| truncated(parts.uri.path()));
        let capture = route.map_or_else(Capture::default, |route| route.logging.capture);
        Call {
            started: Timestamp::now(),
            client,
            method: parts.method.clone(),
            path: path.unwrap_or_else(|| "/mcp-gateway/…".to_owned()),
            query: cut(query.to_owned(), QUERY_BYTES_MAX),
            head: Head::of(&parts.headers, capture),
            trace: trace.clone(),
            route: route.cloned(),
            presented: match grant {
                Ok(grant) => Some(grant.kind),
                Err(denied) => denied.presented,
            },
            grant: grant.as_ref().ok().cloned(),
            session: session.unwrap_or_default(),
            capture,
        }
    }
}
