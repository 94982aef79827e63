//! One request and its answer, as the access log sees them: counts bytes, scans them as they pass, and writes the
//! trace events. `proxy` opens an exchange, the two bodies report to it.
//!
//! An exchange writes `request` once it has been passed on, `sse_start` when the answer is an event stream, and at
//! its end exactly one of `response` (a POST or DELETE that was answered, in whichever form, even if nobody waited for
//! the end of the body), `sse_end` (a GET stream), `auth_failed`, or `error` (the gateway answered in its own name, or
//! the answer broke off). Neither credentials nor query strings nor session ids get in here.

mod answer_scan;

use std::sync::Arc;
use std::time::Instant;

use access_log::{Level, TraceEvent, TraceRecord};
use http::{HeaderMap, Method, StatusCode, header};
use jiff::Timestamp;
use mcp::scan::{Scanner, Summary, Text};
use parking_lot::Mutex;

use crate::headers;
use crate::refusal::Refusal;
use crate::traces::Traces;
use answer_scan::AnswerScan;

/// The longest text of a field that somebody else chooses, in bytes. With these fields full, a batch still fits into
/// a message.
pub(crate) const TEXT_BYTES_MAX: usize = 512;

/// One request and its answer.
pub(crate) struct Exchange {
    started: Instant,
    traces: Traces,
    state: Mutex<State>,
}

struct State {
    /// What every record of this exchange says.
    record: TraceRecord,
    is_get: bool,
    request: Option<Scanner>,
    answer: AnswerScan,
    /// Why the request's body was cut off, if it was.
    body_refusal: Option<Refusal>,
    passed_on: bool,
    finished: bool,
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
    /// Opens the exchange of a request whose facts are in `record`.
    pub(crate) fn begin(
        traces: Traces,
        record: TraceRecord,
        method: &Method,
        headers: &HeaderMap,
    ) -> Arc<Self> {
        let scan = method == Method::POST && headers::is_identity_coded(headers);
        let state = State {
            record,
            is_get: method == Method::GET,
            request: scan.then(Scanner::new),
            answer: AnswerScan::Opaque,
            body_refusal: None,
            passed_on: false,
            finished: false,
        };
        Arc::new(Self { started: Instant::now(), traces, state: Mutex::new(state) })
    }

    /// The next bytes of the request's body.
    pub(crate) fn request_data(&self, chunk: &[u8]) {
        let mut state = self.state.lock();
        state.record.request_bytes += chunk.len() as u64;
        if let Some(scanner) = &mut state.request {
            scanner.feed(chunk);
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

    /// The request is with the upstream: its body has ended, or an answer has begun before that.
    pub(crate) fn passed_on(&self) {
        let mut state = self.state.lock();
        if std::mem::replace(&mut state.passed_on, true) || state.finished {
            return;
        }
        state.read_request();
        self.traces.push(state.record.clone());
    }

    /// The head of the upstream's answer.
    pub(crate) fn answer_begins(&self, status: StatusCode, headers: &HeaderMap, session: Option<String>) {
        self.passed_on();
        let is_stream = headers::is_event_stream(headers);
        let mut state = self.state.lock();
        state.record.status = status.as_u16();
        state.record.content_type = bounded(headers.get(header::CONTENT_TYPE));
        if let Some(session) = session {
            state.record.session_id = session;
        }
        state.answer = match headers::is_identity_coded(headers) {
            false => AnswerScan::Opaque,
            true if is_stream => AnswerScan::Events(Box::default()),
            true if headers::media_type(headers).eq_ignore_ascii_case("application/json") => {
                AnswerScan::Json(Scanner::new())
            }
            true => AnswerScan::Opaque,
        };
        if is_stream {
            self.traces.push(self.at_now(&state, TraceEvent::SseStart, Level::Info, String::new()));
        }
    }

    /// The next bytes of the answer's body.
    pub(crate) fn answer_data(&self, chunk: &[u8]) {
        let mut state = self.state.lock();
        state.record.response_bytes += chunk.len() as u64;
        state.answer.feed(chunk);
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
        state.read_request();
        let status = state.record.status;
        let (event, level, error) = match state.as_seen(end) {
            End::Complete => {
                let error = state.read_answer();
                let event =
                    if state.is_get && status == 200 { TraceEvent::SseEnd } else { TraceEvent::Response };
                // A server without a stream of its own says 405 to every client that asks for one.
                let usual = state.is_get && status == StatusCode::METHOD_NOT_ALLOWED.as_u16();
                (event, if usual { Level::Info } else { level(status, &error) }, error)
            }
            End::Refused(refusal, detail) => {
                state.record.status = refusal.status().as_u16();
                let error = match detail {
                    Some(detail) => format!("{}: {refusal}: {detail}", refusal.code()),
                    None => format!("{}: {refusal}", refusal.code()),
                };
                let is_auth = refusal.is_about_credentials();
                let event = if is_auth { TraceEvent::AuthFailed } else { TraceEvent::Error };
                (event, level(state.record.status, &error), error)
            }
            End::Broken(detail) => {
                (TraceEvent::Error, Level::Error, format!("the upstream broke off: {detail}"))
            }
            // A client ends a GET stream by going away: there is no other way.
            End::ClientGone if state.is_get && status == 200 => {
                (TraceEvent::SseEnd, Level::Info, String::new())
            }
            End::ClientGone => (TraceEvent::Error, Level::Warn, "the client went away".to_owned()),
            End::CutOff(why) | End::Lost(why) if state.is_get && status == 200 => {
                (TraceEvent::SseEnd, Level::Info, why.to_owned())
            }
            End::CutOff(why) | End::Lost(why) => (TraceEvent::Error, Level::Warn, why.to_owned()),
        };
        self.traces.push(self.at_now(&state, event, level, error));
    }

    fn at_now(&self, state: &State, event: TraceEvent, level: Level, error: String) -> TraceRecord {
        let latency = u64::try_from(self.started.elapsed().as_nanos()).unwrap_or(u64::MAX);
        let error = truncated(&error);
        TraceRecord {
            time: Timestamp::now(),
            event,
            level,
            latency_ns: latency,
            error,
            ..state.record.clone()
        }
    }
}

impl State {
    /// Takes what the scanner has found in the request into the record.
    fn read_request(&mut self) {
        let Some(scanner) = &self.request else { return };
        let summary = scanner.summary();
        self.record.rpc_method = text(summary.method.as_ref());
        self.record.rpc_id = text(summary.id.as_ref());
        self.record.tool = text(summary.target());
        if self.record.protocol_version.is_empty() {
            self.record.protocol_version = text(summary.protocol_version.as_ref());
        }
    }

    /// An end that comes after the answer to a call breaks nothing off: a client may go as soon as it has read it.
    fn as_seen(&self, end: End) -> End {
        match end {
            End::ClientGone | End::CutOff(_) | End::Lost(_) if !self.is_get && self.answer.is_answered() => {
                End::Complete
            }
            end => end,
        }
    }

    /// Takes what the scanner has found in the answer into the record; gives what the answer says went wrong.
    fn read_answer(&mut self) -> String {
        let Some(summary) = self.answer.summary() else { return String::new() };
        let error = answer_error(summary);
        // What was agreed on counts, not what the client asked for.
        if let Some(version) = &summary.protocol_version {
            self.record.protocol_version = version.text.clone();
        }
        error
    }
}

fn answer_error(summary: &Summary) -> String {
    match (summary.error, summary.error_code, summary.is_error) {
        (true, Some(code), _) => format!("json-rpc error {code}"),
        (true, None, _) => "json-rpc error".to_owned(),
        (false, _, true) => "the tool reported an error".to_owned(),
        (false, _, false) => String::new(),
    }
}

fn level(status: u16, error: &str) -> Level {
    match status {
        500.. => Level::Error,
        400.. => Level::Warn,
        _ if error.is_empty() => Level::Info,
        _ => Level::Warn,
    }
}

fn text(found: Option<&Text>) -> String {
    found.map(|found| found.text.clone()).unwrap_or_default()
}

/// A header's value as the log may hold it.
pub(crate) fn bounded(value: Option<&http::HeaderValue>) -> String {
    value.map(|value| truncated(&String::from_utf8_lossy(value.as_bytes()))).unwrap_or_default()
}

/// A text cut at [`TEXT_BYTES_MAX`], between characters.
pub(crate) fn truncated(text: &str) -> String {
    text[..text.floor_char_boundary(TEXT_BYTES_MAX)].to_owned()
}
