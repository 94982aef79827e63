//! One event of a call on its way to the publisher, which makes a record of it: what makes records costs the threads
//! that serve requests nothing.

use std::sync::Arc;

use access_log::{Level, TraceEvent, TraceRecord};
use domain::instance::Capture;
use http::{HeaderName, header};
use jiff::Timestamp;
use mcp::session::PROTOCOL_VERSION;
use uuid::Uuid;

use super::call::Call;
use super::head::Head;
use super::prefix::{BODY_BYTES_MAX, Prefix};
use super::receipt::Acknowledge;
use crate::exchange::truncated;
use crate::masking::{self, Masking, Secrets, cut};
use crate::routes::Destination;

/// What every entry takes in memory, about, in bytes.
const ENTRY_BYTES: usize = 1024;

/// An event and what is known of the call by then.
pub(crate) struct Entry {
    pub(crate) call: Arc<Call>,
    pub(crate) time: Timestamp,
    pub(crate) event: TraceEvent,
    pub(crate) level: Level,
    pub(crate) latency_ns: u64,
    pub(crate) first_byte_ns: u64,
    pub(crate) rpc: Arc<Rpc>,
    pub(crate) destination: Option<Arc<Destination>>,
    /// Nothing before there is an answer.
    pub(crate) answer: Answer,
    pub(crate) request_bytes: u64,
    pub(crate) response_bytes: u64,
    pub(crate) error_class: &'static str,
    pub(crate) error: String,
    /// Whether it is the first event of the call: then it has what the request said.
    pub(crate) is_first: bool,
    /// The head of the answer, on the first event of the answer.
    pub(crate) answer_head: Option<Arc<Head>>,
    pub(crate) body: Option<Body>,
    /// Whoever waits until it has arrived.
    pub(crate) acknowledge: Option<Acknowledge>,
}

/// What an answer says of the call.
#[derive(Clone, Default)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) rpc_error_code: i32,
    pub(crate) is_error: bool,
    /// The digest of the session that it names.
    pub(crate) session: Option<String>,
    pub(crate) content_type: Option<String>,
    /// The revision that was agreed on.
    pub(crate) protocol_version: Option<String>,
}

/// What the message of a request says.
#[derive(Default)]
pub(crate) struct Rpc {
    pub(crate) method: String,
    pub(crate) id: String,
    pub(crate) target: String,
    pub(crate) protocol_version: String,
}

/// The beginning of a body and what it is.
pub(crate) struct Body {
    pub(crate) kind: BodyKind,
    pub(crate) prefix: Prefix,
}

/// How a body is masked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum BodyKind {
    /// Text, which may be JSON whatever it is called.
    Text,
    /// `application/x-www-form-urlencoded`: only the names of its fields are recorded.
    Form,
}

/// What makes records of entries.
pub(crate) struct Recorder {
    pub(crate) gateway_id: String,
    pub(crate) masking: Masking,
}

impl Entry {
    /// How much it takes in memory, about, beyond what it shares with others of its call.
    pub(super) fn bytes(&self) -> usize {
        let body = self.body.as_ref().map_or(0, |body| body.prefix.as_bytes().len());
        let heads = if self.is_first { self.call.head.bytes() } else { 0 };
        ENTRY_BYTES + heads + self.answer_head.as_ref().map_or(0, |head| head.bytes()) + body
    }

    /// The instance that it counts for; nil if there is none.
    pub(super) fn instance(&self) -> Uuid {
        self.call.route.as_ref().map(|route| route.id.0).unwrap_or_default()
    }
}

impl Recorder {
    /// The record of an entry, without secrets, and who waits for it.
    pub(super) fn record(&self, mut entry: Entry) -> (TraceRecord, Option<Acknowledge>) {
        let awaited = entry.acknowledge.take();
        (self.masked(&entry), awaited)
    }

    fn masked(&self, entry: &Entry) -> TraceRecord {
        let call = &entry.call;
        let secrets = call.secrets(entry.destination.as_deref());
        let clean = |text: &str| truncated(&self.masking.text(text, &secrets));
        let captures = call.capture != Capture::Off;
        let answer = &entry.answer;
        let first = |name: &HeaderName| call.head.text(name);
        let of_request = [first(&PROTOCOL_VERSION), entry.rpc.protocol_version.clone()];
        let said = answer.protocol_version.iter().chain(&of_request).find(|version| !version.is_empty());
        let content_type = answer.content_type.clone().unwrap_or_else(|| first(&header::CONTENT_TYPE));
        let mut record = TraceRecord {
            level: entry.level,
            trace_id: clean(&call.trace.trace_id),
            span_id: call.trace.span_id.clone(),
            parent_span_id: call.trace.parent_span_id.clone(),
            instance_id: entry.instance(),
            instance_name: call.route.as_ref().map(|route| route.name.clone()).unwrap_or_default(),
            replica_id: entry.destination.as_ref().filter(|to| to.hosted).map(|to| to.id).unwrap_or_default(),
            token_id: call.grant.as_ref().map(|grant| grant.token.0).unwrap_or_default(),
            token_label: call.grant.as_ref().map(|grant| grant.label.clone()).unwrap_or_default(),
            token_header: call.token_header().to_owned(),
            gateway_id: self.gateway_id.clone(),
            session_id: answer.session.clone().unwrap_or_else(|| call.session.clone()),
            protocol_version: clean(said.map_or("", String::as_str)),
            http_method: clean(call.method.as_str()),
            path: clean(&call.path),
            rpc_method: clean(&entry.rpc.method),
            rpc_id: clean(&entry.rpc.id),
            tool: clean(&entry.rpc.target),
            status: answer.status,
            rpc_error_code: answer.rpc_error_code,
            is_error: answer.is_error,
            latency_ns: entry.latency_ns,
            first_byte_ns: entry.first_byte_ns,
            request_bytes: entry.request_bytes,
            response_bytes: entry.response_bytes,
            client_address: call.client.to_canonical().to_string(),
            user_agent: clean(&first(&header::USER_AGENT)),
            content_type: clean(&content_type),
            error_class: entry.error_class.to_owned(),
            error: clean(&entry.error),
            ..TraceRecord::new(entry.time, entry.event)
        };
        if captures && entry.is_first {
            record.headers = call.fields(&call.head, &self.masking, &secrets);
            record.cookies = call.cookies(&secrets);
            record.form = masking::form_names(call.query.as_bytes(), &secrets);
        }
        if captures && let Some(head) = &entry.answer_head {
            record.response_headers = call.fields(head, &self.masking, &secrets);
        }
        if let Some(body) = &entry.body {
            self.add_body(&mut record, body, call.capture, &secrets);
        }
        record
    }

    fn add_body(&self, record: &mut TraceRecord, body: &Body, capture: Capture, secrets: &Secrets) {
        let Some(text) = body.prefix.text() else { return };
        if body.kind == BodyKind::Form {
            // Clients that are told no media type send JSON as a form too.
            let is_json = text.trim_start().starts_with(['{', '[']);
            if !is_json {
                return record.form.extend(masking::form_names(body.prefix.as_bytes(), secrets));
            }
            if capture != Capture::Bodies {
                return;
            }
        }
        let masked = self.masking.body(&text, secrets);
        record.is_body_cut = body.prefix.is_cut() || masked.len() > BODY_BYTES_MAX;
        record.body = cut(masked, BODY_BYTES_MAX);
    }
}
