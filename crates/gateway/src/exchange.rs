//! One request and its answer, as the access log sees them: counts bytes, scans them as they pass, and writes the
//! trace events. `proxy` opens an exchange, the two bodies report to it.
//!
//! An exchange writes `request` once it has been passed on, `sse_start` when the answer is an event stream, and at
//! its end exactly one of `response` (a POST or DELETE that was answered, in whichever form, even if nobody waited for
//! the end of the body), `sse_end` (a GET stream), `auth_failed`, `rate_limited`, or `error` (the gateway answered in its
//! own name, or the answer broke off). What they say is in `outcome`.

mod answer_scan;
mod kept;
mod outcome;
mod state;

use std::sync::Arc;
use std::time::Instant;

use access_log::{Level, TraceEvent};
use domain::instance::Capture;
use http::{HeaderMap, Method, StatusCode, header};
use jiff::Timestamp;
use mcp::scan::Scanner;
use parking_lot::Mutex;

use crate::headers;
use crate::refusal::Refusal;
use crate::routes::Destination;
use crate::traces::{Acknowledge, Answer, Body, Call, Entry, Head, Receipt, Traces};
use answer_scan::AnswerScan;
use kept::kept;
use outcome::Outcome;
use state::State;

/// The longest text of a field that somebody else chooses, in bytes.
pub(crate) const TEXT_BYTES_MAX: usize = 512;

/// One request and its answer.
pub(crate) struct Exchange {
    started: Instant,
    traces: Traces,
    call: Arc<Call>,
    state: Mutex<State>,
}

/// How an exchange ended.
#[derive(Debug)]
pub(crate) enum End {
    /// The answer went to the client as a whole, or the gateway ended a stream that would go on for ever.
    Complete,
    /// The gateway answered in its own name; with what went wrong inside, if there is more to say.
    Refused(Refusal, Option<String>),
    /// The upstream broke off in the middle of its answer.
    Broken(String),
    /// The client went away before the end.
    ClientGone,
    /// The gateway broke off a call that had not ended.
    CutOff(&'static str),
    /// The same, and nobody can go on with it elsewhere: what it hung on has gone.
    Lost(&'static str),
}

impl Exchange {
    /// Opens the exchange of a request whose facts are in `call`.
    pub(crate) fn begin(traces: Traces, call: Call, headers: &HeaderMap) -> Arc<Self> {
        let is_read = call.method == Method::POST && headers::is_identity_coded(headers);
        let kind = if is_read { kept(headers, call.capture) } else { None };
        let state = State::new(call.method == Method::GET, is_read.then(Scanner::new), kind.map(Body::of));
        Arc::new(Self { started: Instant::now(), traces, call: Arc::new(call), state: Mutex::new(state) })
    }

    /// The next bytes of the request's body.
    pub(crate) fn request_data(&self, chunk: &[u8]) {
        let mut state = self.state.lock();
        state.request_bytes += chunk.len() as u64;
        if let Some(scanner) = &mut state.request {
            scanner.feed(chunk);
        }
        if let Some(body) = &mut state.request_body {
            body.prefix.feed(chunk);
        }
    }

    /// The body was cut off; the answer, if there still is one, is this refusal.
    pub(crate) fn refuse_body(&self, refusal: Refusal) {
        self.state.lock().body_refusal = Some(refusal);
    }

    /// Why the body was cut off, if it was.
    pub(crate) fn body_refusal(&self) -> Option<Refusal> {
        self.state.lock().body_refusal
    }

    /// Where the request goes.
    pub(crate) fn leads_to(&self, destination: &Arc<Destination>) {
        self.state.lock().destination = Some(destination.clone());
    }

    /// The request is with the upstream as a whole.
    pub(crate) fn passed_on(&self) {
        self.pass_on(true);
    }

    /// An answer has begun, which may be before the request's body has ended.
    pub(crate) fn is_answered(&self) {
        self.pass_on(false);
    }

    fn pass_on(&self, is_whole: bool) {
        let mut state = self.state.lock();
        if std::mem::replace(&mut state.passed_on, true) || state.finished {
            return;
        }
        let body = state.request_body.take();
        let body = if is_whole || state.is_get { body } else { body.map(Body::cut) };
        let outcome =
            Outcome { event: TraceEvent::Request, level: Level::Info, class: "", error: String::new() };
        let entry = self.entry(&mut state, outcome);
        let acknowledge = self.asked_for(&mut state);
        let first =
            Entry { time: self.call.started, latency_ns: 0, is_first: true, body, acknowledge, ..entry };
        self.traces.push(first);
    }

    /// The head of the upstream's answer.
    pub(crate) fn answer_begins(&self, status: StatusCode, headers: &HeaderMap, session: Option<String>) {
        self.is_answered();
        let is_stream = headers::is_event_stream(headers);
        let mut state = self.state.lock();
        let content_type = bounded(headers.get(header::CONTENT_TYPE));
        let status = status.as_u16();
        state.answer_says = Answer { status, session, content_type: Some(content_type), ..Answer::default() };
        if self.call.capture != Capture::Off {
            state.answer_head = Some(Arc::new(Head::of(headers, self.call.capture)));
        }
        let kept = kept(headers, self.call.capture);
        state.answer = match headers::is_identity_coded(headers) {
            false => AnswerScan::Opaque,
            true if is_stream => AnswerScan::events(kept.is_some()),
            true => {
                state.answer_body = kept.map(Body::of);
                let is_json = headers::media_type(headers).eq_ignore_ascii_case("application/json");
                if is_json { AnswerScan::Json(Scanner::new()) } else { AnswerScan::Opaque }
            }
        };
        if is_stream {
            let outcome =
                Outcome { event: TraceEvent::SseStart, level: Level::Info, class: "", error: String::new() };
            let entry = self.entry(&mut state, outcome);
            self.traces.push(entry);
        }
    }

    /// The next bytes of the answer's body.
    pub(crate) fn answer_data(&self, chunk: &[u8]) {
        let mut state = self.state.lock();
        if state.response_bytes == 0 && !chunk.is_empty() {
            state.first_byte_ns = self.elapsed_ns();
        }
        state.response_bytes += chunk.len() as u64;
        state.answer.feed(chunk);
        if let Some(body) = &mut state.answer_body {
            body.prefix.feed(chunk);
        }
    }

    /// The id of the call that waits for its answer, as it stands in the request; none if there is none, or if it is too
    /// long to be known.
    pub(crate) fn unanswered(&self) -> Option<String> {
        let state = self.state.lock();
        if state.is_get || state.answer.is_answered() {
            return None;
        }
        let summary = state.request.as_ref()?.summary();
        let id = summary.id.as_ref().filter(|id| summary.method.is_some() && !id.truncated)?;
        Some(id.text.clone())
    }

    /// Writes the last record. The first call counts.
    pub(crate) fn finish(&self, end: End) {
        let mut state = self.state.lock();
        if std::mem::replace(&mut state.finished, true) {
            return;
        }
        let end = state.as_seen(end);
        if let Some(summary) = state.answer.summary() {
            let says = outcome::of_message(summary);
            state.answer_says =
                Answer { protocol_version: says.protocol_version, ..state.answer_says.clone() };
            if matches!(end, End::Complete) {
                state.answer_says.rpc_error_code = says.rpc_error_code;
                state.answer_says.is_error = says.is_error;
            }
        }
        if let End::Refused(refusal, _) = &end {
            state.answer_says.status = refusal.status().as_u16();
        }
        let outcome = outcome::of(&end, state.is_get, &state.answer_says, state.answer.summary());
        let body = state.answer.take_message().or_else(|| state.answer_body.take());
        let is_first = !state.passed_on;
        let entry = self.entry(&mut state, outcome);
        let is_awaited = match &end {
            End::Refused(Refusal::LogUnavailable, _) | End::ClientGone => false,
            // Nothing of the call can have been seen elsewhere.
            End::Refused(..) => state.passed_on || state.request_bytes > 0,
            End::Complete | End::Broken(_) | End::CutOff(_) | End::Lost(_) => true,
        };
        let acknowledge = if is_awaited { self.asked_for(&mut state) } else { None };
        self.traces.push(Entry { is_first, body, acknowledge, ..entry });
    }

    /// What the answer waits for, if it waits: that the events so far have arrived.
    pub(crate) fn take_receipt(&self) -> Option<Receipt> {
        self.state.lock().receipt.take()
    }

    /// Asks for a receipt where answers wait for one.
    fn asked_for(&self, state: &mut State) -> Option<Acknowledge> {
        let is_strict = self.call.route.as_ref().is_some_and(|route| route.logging.strict);
        if !is_strict {
            return None;
        }
        Some(state.receipt.get_or_insert_default().ask())
    }

    /// What is known now. The head of the answer goes with the first entry that is asked for after it.
    fn entry(&self, state: &mut State, outcome: Outcome) -> Entry {
        let rpc = state.read_request();
        let level = outcome.level_of(&rpc.method);
        Entry {
            call: self.call.clone(),
            time: Timestamp::now(),
            event: outcome.event,
            level,
            latency_ns: self.elapsed_ns(),
            first_byte_ns: state.first_byte_ns,
            rpc,
            destination: state.destination.clone(),
            answer: state.answer_says.clone(),
            request_bytes: state.request_bytes,
            response_bytes: state.response_bytes,
            error_class: outcome.class,
            error: outcome.error,
            is_first: false,
            answer_head: state.answer_head.take(),
            body: None,
            acknowledge: None,
        }
    }

    fn elapsed_ns(&self) -> u64 {
        u64::try_from(self.started.elapsed().as_nanos()).unwrap_or(u64::MAX)
    }
}

/// A header's value as the log may hold it.
pub(crate) fn bounded(value: Option<&http::HeaderValue>) -> String {
    value.map(|value| truncated(&String::from_utf8_lossy(value.as_bytes()))).unwrap_or_default()
}

/// A text cut at [`TEXT_BYTES_MAX`], between characters.
pub(crate) fn truncated(text: &str) -> String {
    text[..text.floor_char_boundary(TEXT_BYTES_MAX)].to_owned()
}
