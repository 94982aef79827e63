//! Counts the sessions of a token as they begin and end. One too many is ended at once: only the server can tell that
//! a request begins a session.

use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode};
use hyper::body::Incoming;
use mcp::session::SESSION_ID;

use super::way::Way;
use super::{Admitted, Gateway, refuse};
use crate::body::RequestBody;
use crate::refusal::Refusal;

impl Gateway {
    /// # Errors
    /// The answer begins a session, and the token has too many.
    pub(super) fn note_session(
        &self,
        admitted: &Admitted,
        way: &Way,
        method: &Method,
        answer: &Response<Incoming>,
    ) -> Result<(), Refusal> {
        let (uses, status) = (&admitted.lease.grant.uses, answer.status());
        let Some(session) = &way.session else {
            let Some(upstream_id) = answer.headers().get(SESSION_ID) else { return Ok(()) };
            let begun = uses.session_begun(upstream_id, self.limits.sessions_per_token_max);
            return begun.map_err(|refusal| {
                self.end_session(admitted, way, upstream_id.clone());
                refuse(&admitted.exchange, refusal, None, None)
            });
        };
        let is_ended = *method == Method::DELETE && status.is_success();
        if is_ended || status == StatusCode::NOT_FOUND {
            uses.session_ended(&session.upstream_id);
        } else {
            uses.session_used(&session.upstream_id, self.limits.sessions_per_token_max);
        }
        Ok(())
    }

    /// Asks the upstream to end a session (2025-11-25, Transports, Session Management). Nobody waits for it.
    fn end_session(&self, admitted: &Admitted, way: &Way, upstream_id: HeaderValue) {
        let mut request = Request::new(RequestBody::new(None, 0, admitted.exchange.clone()));
        *request.method_mut() = Method::DELETE;
        *request.uri_mut() = way.destination.uri.clone();
        let fields: &mut HeaderMap = request.headers_mut();
        fields.extend(way.destination.headers.clone());
        if let (false, Ok(own)) = (way.destination.hosted, admitted.lease.grant.headers()) {
            fields.extend(own.clone());
        }
        fields.insert(SESSION_ID, upstream_id);
        let (ending, wait) = (self.upstreams.to(&way.destination).request(request), self.limits.answer_wait);
        tokio::spawn(async move {
            if !matches!(tokio::time::timeout(wait, ending).await, Ok(Ok(_))) {
                tracing::debug!("a session beyond the bound was not ended: its server gives it up by itself");
            }
        });
    }
}
