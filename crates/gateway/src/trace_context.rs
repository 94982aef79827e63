//! The ids that one request is found by: taken from the client, or made here (W3C Trace Context, level 1).

use http::{HeaderMap, HeaderName, HeaderValue};
use uuid::Uuid;

/// The client's own trace id, and the header in which every answer names it.
pub(crate) const X_TRACE_ID: HeaderName = HeaderName::from_static("x-trace-id");
const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");
const TRACESTATE: HeaderName = HeaderName::from_static("tracestate");

/// The longest trace id that is accepted in `X-Trace-Id`.
const TRACE_ID_BYTES_MAX: usize = 64;
/// The `sampled` flag, for traces that begin here.
const SAMPLED: &str = "01";

/// The ids of one request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct TraceContext {
    /// 32 hexadecimal digits, or what the client put into `X-Trace-Id`.
    pub(crate) trace_id: String,
    /// The gateway's own span: 16 hexadecimal digits.
    pub(crate) span_id: String,
    /// The span that the client named as the caller's; empty if it named none.
    pub(crate) parent_span_id: String,
    flags: String,
    /// Whether the client sent a `traceparent` that is valid: only then is its `tracestate` worth anything.
    continued: bool,
}

impl TraceContext {
    /// The context of a request: `traceparent` counts before `X-Trace-Id`, what is malformed does not count.
    pub(crate) fn of(headers: &HeaderMap) -> Self {
        let random = Uuid::new_v4().simple().to_string();
        let span_id = Uuid::new_v4().simple().to_string().split_off(16);
        if let Some((trace_id, parent, flags)) = only(headers, &TRACEPARENT).and_then(parse_traceparent) {
            let [trace_id, parent_span_id, flags] = [trace_id, parent, flags].map(str::to_owned);
            return Self { trace_id, span_id, parent_span_id, flags, continued: true };
        }
        let own = only(headers, &X_TRACE_ID).filter(|id| is_trace_id(id));
        let trace_id = own.map_or(random, str::to_owned);
        let parent_span_id = String::new();
        Self { trace_id, span_id, parent_span_id, flags: SAMPLED.to_owned(), continued: false }
    }

    /// Puts the ids into the request to the upstream. An `X-Trace-Id` that is no W3C trace id goes on as it is, and
    /// no `traceparent` is made up beside it.
    pub(crate) fn inject(&self, headers: &mut HeaderMap) {
        if !self.continued {
            headers.remove(TRACESTATE);
        }
        headers.remove(TRACEPARENT);
        if is_w3c_trace_id(&self.trace_id) {
            let traceparent = format!("00-{}-{}-{}", self.trace_id, self.span_id, self.flags);
            headers.insert(TRACEPARENT, visible(&traceparent));
        }
        headers.insert(X_TRACE_ID, self.header_value());
    }

    /// The trace id as a header value.
    pub(crate) fn header_value(&self) -> HeaderValue {
        visible(&self.trace_id)
    }
}

fn visible(text: &str) -> HeaderValue {
    HeaderValue::from_str(text).expect("trace ids are checked to be visible ASCII")
}

/// The header's value, if it occurs exactly once: of two, neither can be trusted.
fn only<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    let mut values = headers.get_all(name).iter();
    match (values.next(), values.next()) {
        (Some(value), None) => value.to_str().ok(),
        _ => None,
    }
}

/// Trace id, parent id and flags of `version-trace_id-parent_id-flags`. Later versions may append fields.
fn parse_traceparent(text: &str) -> Option<(&str, &str, &str)> {
    let mut parts = text.splitn(5, '-');
    let (version, trace_id, parent_id, flags) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
    let valid = is_hex(version, 2)
        && version != "ff"
        && (version != "00" || parts.next().is_none())
        && is_w3c_trace_id(trace_id)
        && is_hex(parent_id, 16)
        && !is_zero(parent_id)
        && is_hex(flags, 2);
    valid.then_some((trace_id, parent_id, flags))
}

fn is_trace_id(text: &str) -> bool {
    (1..=TRACE_ID_BYTES_MAX).contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b':'))
}

fn is_w3c_trace_id(text: &str) -> bool {
    is_hex(text, 32) && !is_zero(text)
}

fn is_hex(text: &str, digits: usize) -> bool {
    text.len() == digits && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

fn is_zero(text: &str) -> bool {
    text.bytes().all(|byte| byte == b'0')
}

#[cfg(test)]
mod tests;
