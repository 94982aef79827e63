//! One request from its head to the head of its answer: who asks, where it goes, what crosses. Bodies stream past in
//! `body`; every refusal is worded in `refusal`. `server` calls `serve` for each request. Nothing here waits for NATS
//! or a database.

mod http_sse;
mod record;
mod session_count;
mod upstream_failed;
mod way;

use std::net::IpAddr;
use std::sync::Arc;

use bytes::Bytes;
use domain::InstanceId;
use http::request::Parts;
use http::{HeaderValue, Method, Request, Response, StatusCode, header};
use http_body_util::{Either, Full};
use hyper::body::Incoming;
use ipnet::IpNet;
use mcp::origin::{Foreign, Names};
use mcp::session::SESSION_ID;
use service::{Readiness, health};
use store::Vault;
use url::Url;
use uuid::Uuid;

use crate::admission::{Admission, Denied};
use crate::body::{Answer, AnswerBody, Form, Open, RequestBody, discard};
use crate::challenge::{Asked, Issuer};
use crate::client_address::client_address;
use crate::exchange::{End, Exchange};
use crate::headers;
use crate::lease::{Closing, Lease};
use crate::limits::{Limits, Rates};
use crate::oauth::{Protection, metadata};
use crate::path::{self, Endpoint, Target};
use crate::refusal::Refusal;
use crate::routes::{InFlight, Route, Routes};
use crate::session::Owner;
use crate::trace_context::TraceContext;
use crate::traces::{Receipt, Traces};
use crate::upstream::Upstreams;
use way::Way;

/// Tells proxies in between not to hold an event stream back.
const X_ACCEL_BUFFERING: header::HeaderName = header::HeaderName::from_static("x-accel-buffering");

/// Everything that a request needs.
pub(crate) struct Gateway {
    pub(crate) request_body_bytes_max: u64,
    /// What requests may call it.
    pub(crate) names: Names,
    /// Where clients reach it, if it was told.
    pub(crate) public_url: Option<Url>,
    pub(crate) trusted_proxies: Vec<IpNet>,
    pub(crate) admission: Admission,
    pub(crate) routes: Arc<Routes>,
    pub(crate) upstreams: Upstreams,
    pub(crate) traces: Traces,
    pub(crate) vault: Vault,
    pub(crate) closing: Closing,
    pub(crate) rates: Rates,
    pub(crate) limits: Limits,
    pub(crate) readiness: Readiness,
}

/// A request that has been let in.
struct Admitted {
    lease: Lease,
    endpoint: Endpoint,
    trace: TraceContext,
    exchange: Arc<Exchange>,
}

impl Admitted {
    /// Who a session of this request belongs to.
    fn owner(&self) -> Owner {
        Owner { instance: self.lease.route.id, token: self.lease.grant.token }
    }
}

impl Gateway {
    /// Answers a request that came over a connection of `peer`.
    pub(crate) async fn serve(&self, peer: IpAddr, request: Request<Incoming>) -> Response<Answer> {
        match path::target(request.uri().path()) {
            Target::Healthz => plain(StatusCode::OK, "ok\n"),
            Target::Readyz => health::readyz(&self.readiness).map(Either::Left),
            Target::Metadata { instance, path } => {
                let protection = self.routes.find(instance).and_then(|route| route.protection.clone());
                let base = metadata::base(self.public_url.as_ref(), request.headers());
                match protection {
                    Some(protection) => json(metadata::document(&base, path, &protection.authorization)),
                    None => plain(StatusCode::NOT_FOUND, "not found\n"),
                }
            }
            Target::Unknown => plain(StatusCode::NOT_FOUND, "not found\n"),
            Target::Mcp { instance, endpoint } => {
                let route = self.routes.find(instance);
                let client = client_address(peer, request.headers(), &self.trusted_proxies);
                self.exchange(client, route, endpoint, request).await
            }
        }
    }

    async fn exchange(
        &self,
        client: IpAddr,
        route: Option<Arc<Route>>,
        endpoint: Endpoint,
        request: Request<Incoming>,
    ) -> Response<Answer> {
        let (parts, body) = request.into_parts();
        let trace = TraceContext::of(&parts.headers);
        let instance = route.as_ref().map_or(InstanceId(Uuid::nil()), |route| route.id);
        let protection = route.as_ref().and_then(|route| route.protection.clone());
        let grant = match self.names.check(&parts.headers) {
            Ok(()) => self.admission.admit(client, &parts, instance, protection.as_deref()).await,
            Err(Foreign::Host) => Err(Refusal::ForeignHost.into()),
            Err(Foreign::Origin) => Err(Refusal::ForeignOrigin.into()),
        };
        let asked = grant.as_ref().err().map(|denied| self.asked(denied, &parts, protection.as_deref()));
        let call = self.call(client, &parts, &trace, route.as_ref(), &grant);
        let exchange = Exchange::begin(self.traces.clone(), call, &parts.headers);
        let method = parts.method.clone();
        let answered = match (route, grant) {
            (Some(route), Ok(grant)) => {
                let lease = Lease { grant, route, closing: self.closing.clone() };
                let (trace, exchange) = (trace.clone(), exchange.clone());
                let admitted = Admitted { lease, endpoint, trace, exchange };
                self.forward(admitted, parts, body).await
            }
            (_, Err(denied)) => Err(refuse(&exchange, denied.refusal, None, Some(body))),
            (None, Ok(_)) => Err(refuse(&exchange, Refusal::TokenInvalid, None, Some(body))),
        };
        match answered {
            Ok(answer) => answer,
            Err(refusal) => {
                let is_safe = is_safe(exchange.take_receipt()).await;
                let refusal = if is_safe { refusal } else { Refusal::LogUnavailable };
                refusal.response(&method, &trace, &asked.unwrap_or_default()).map(Either::Left)
            }
        }
    }

    /// What the challenge of a request that is not let in depends on.
    fn asked(&self, denied: &Denied, parts: &Parts, protection: Option<&Protection>) -> Asked {
        let issuer = protection.map(|protection| {
            let base = metadata::base(self.public_url.as_ref(), &parts.headers);
            let scopes = protection.authorization.scopes.iter().map(String::as_str).collect::<Vec<_>>();
            Issuer { metadata_url: metadata::url(&base, parts.uri.path()), scopes: scopes.join(" ") }
        });
        Asked { presented: denied.presented, issuer }
    }

    async fn forward(
        &self,
        admitted: Admitted,
        mut parts: Parts,
        body: Incoming,
    ) -> Result<Response<Answer>, Refusal> {
        let exchange = &admitted.exchange;
        let (way, fields) = match self.check(&admitted, &mut parts, &body) {
            Ok(checked) => checked,
            Err(refusal) => return Err(refuse(exchange, refusal, None, Some(body))),
        };
        exchange.leads_to(&way.destination);
        let open_request = match admitted.lease.grant.uses.open(self.limits.open_per_token_max) {
            Ok(open_request) => open_request,
            Err(refusal) => return Err(refuse(exchange, refusal, None, Some(body))),
        };
        let method = parts.method.clone();
        let messages = path::message(parts.uri.path());
        let has_body = method == Method::POST;
        let mut request = Request::new(RequestBody::new(
            has_body.then_some(body),
            self.request_body_bytes_max,
            exchange.clone(),
        ));
        *request.method_mut() = parts.method;
        *request.uri_mut() = way.uri.clone();
        *request.headers_mut() = fields;
        let in_flight = InFlight::begin(way.destination.clone());
        let open = Open { exchange: exchange.clone(), _in_flight: in_flight, _open_request: open_request };
        let answer = tokio::select! {
            biased;
            answer = tokio::time::timeout(self.limits.answer_wait, self.upstreams.to(&way.destination).request(request)) => answer,
            refusal = admitted.lease.lost() => return Err(refuse(exchange, refusal, None, None)),
        };
        match answer {
            Ok(Ok(answer)) => {
                way.destination.answered();
                self.note_session(&admitted, &way, &method, &answer)?;
                self.answer(admitted, &way, messages, open, answer).await
            }
            Ok(Err(error)) => Err(self.upstream_failed(&admitted, &way, &error)),
            Err(_) => Err(refuse(exchange, Refusal::UpstreamAnswerTimeout, None, None)),
        }
    }

    /// Passes the answer on, unless it must not be seen. A stream of HTTP+SSE names `messages` to the client.
    async fn answer(
        &self,
        admitted: Admitted,
        way: &Way,
        messages: String,
        open: Open,
        answer: Response<Incoming>,
    ) -> Result<Response<Answer>, Refusal> {
        let owner = admitted.owner();
        let exchange = admitted.exchange.clone();
        let (mut parts, mut body) = answer.into_parts();
        exchange.is_answered();
        if !is_safe(exchange.take_receipt()).await {
            return Err(refuse(&exchange, Refusal::LogUnavailable, None, None));
        }
        if let Some(refusal) = unseen(parts.status) {
            let detail = format!("status {}", parts.status.as_u16());
            return Err(refuse(&exchange, refusal, Some(detail), None));
        }
        headers::strip_answer(&mut parts.headers);
        parts.headers.insert(crate::trace_context::X_TRACE_ID, admitted.trace.header_value());
        if let Some(id) = parts.headers.get_mut(SESSION_ID) {
            *id = owner.name(&self.vault, way.session.as_ref(), way.destination.id, id);
        }
        let is_events = headers::is_event_stream(&parts.headers);
        let opened = match way.is_http_sse && is_events && parts.status == StatusCode::OK {
            true => match self.open_http_sse(&admitted, way, messages, &mut body).await {
                Ok(opened) => Some(opened),
                Err((refusal, detail)) => return Err(refuse(&exchange, refusal, detail, None)),
            },
            false => None,
        };
        let session = match &opened {
            Some(opened) => opened.session().map(|session| self.session_digest(session.as_bytes())),
            None => parts.headers.get(SESSION_ID).map(|id| self.session_digest(id.as_bytes())),
        };
        exchange.answer_begins(parts.status, &parts.headers, session);
        let form = if is_events {
            parts.headers.insert(X_ACCEL_BUFFERING, HeaderValue::from_static("no"));
            Form::Events
        } else {
            Form::Whole
        };
        let endless = way.is_endless && is_events;
        let lease = admitted.lease;
        let ending = if endless { lease.ending_of_stream() } else { lease.ending_of_answer() };
        let body = AnswerBody::new(body, form, ending, self.limits.stream_idle, open);
        // An empty body has ended already, before its head has gone out.
        if !is_safe(body.take_receipt()).await {
            return Err(Refusal::LogUnavailable);
        }
        let body = match opened {
            Some(opened) => body.beginning_with(opened.first, opened.rewriter),
            None => body,
        };
        Ok(Response::from_parts(parts, Either::Right(body)))
    }
}

/// Whether nothing has to be waited for, or it has come: the record of what is answered is safe.
async fn is_safe(receipt: Option<Receipt>) -> bool {
    match receipt {
        Some(receipt) => receipt.arrives().await,
        None => true,
    }
}

/// Ends an exchange with a refusal, and takes in what the client still sends.
fn refuse(exchange: &Exchange, refusal: Refusal, detail: Option<String>, body: Option<Incoming>) -> Refusal {
    exchange.finish(End::Refused(refusal, detail));
    if let Some(body) = body {
        discard(body);
    }
    refusal
}

/// Why an answer with this status is not passed on, if it is not.
fn unseen(status: StatusCode) -> Option<Refusal> {
    match status {
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN | StatusCode::PROXY_AUTHENTICATION_REQUIRED => {
            Some(Refusal::UpstreamDenied)
        }
        _ if status.is_redirection() => Some(Refusal::UpstreamRedirected),
        _ => None,
    }
}

fn json(document: String) -> Response<Answer> {
    let mut response = Response::new(Either::Left(Full::new(document.into())));
    let content_type = HeaderValue::from_static("application/json");
    response.headers_mut().insert(header::CONTENT_TYPE, content_type);
    response
}

fn plain(status: StatusCode, text: &'static str) -> Response<Answer> {
    let mut response = Response::new(Either::Left(Full::new(Bytes::from_static(text.as_bytes()))));
    *response.status_mut() = status;
    let content_type = HeaderValue::from_static("text/plain; charset=utf-8");
    response.headers_mut().insert(header::CONTENT_TYPE, content_type);
    response
}
