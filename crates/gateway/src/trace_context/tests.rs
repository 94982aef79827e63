//! Goal: a client's valid ids are kept, anything else is replaced, and the upstream sees one consistent context.

use super::*;

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";

fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, value) in pairs {
        headers.append(*name, HeaderValue::from_str(value).expect("a header value"));
    }
    headers
}

fn injected(context: &TraceContext, mut headers: HeaderMap) -> HeaderMap {
    context.inject(&mut headers);
    headers
}

#[test]
fn a_valid_traceparent_is_continued_under_a_span_of_our_own() {
    let client = headers(&[
        ("traceparent", &format!("00-{TRACE}-00f067aa0ba902b7-00")),
        ("tracestate", "vendor=1"),
        ("x-trace-id", "ignored-beside-traceparent"),
    ]);
    let context = TraceContext::of(&client);
    assert_eq!(context.trace_id, TRACE);
    let upstream = injected(&context, client);
    assert_eq!(upstream["traceparent"], format!("00-{TRACE}-{}-00", context.span_id));
    assert_eq!(upstream["tracestate"], "vendor=1");
    assert_eq!(upstream["x-trace-id"], TRACE);
}

#[test]
fn a_clients_own_trace_id_is_kept_as_it_is() {
    let client = headers(&[("x-trace-id", "order-4711"), ("tracestate", "vendor=1")]);
    let context = TraceContext::of(&client);
    assert_eq!(context.trace_id, "order-4711");
    let upstream = injected(&context, client);
    assert_eq!(upstream["x-trace-id"], "order-4711");
    assert!(!upstream.contains_key("traceparent") && !upstream.contains_key("tracestate"));
}

#[test]
fn a_later_version_of_traceparent_may_have_more_fields() {
    let client = headers(&[("traceparent", &format!("cc-{TRACE}-00f067aa0ba902b7-01-what-ever"))]);
    assert_eq!(TraceContext::of(&client).trace_id, TRACE);
}

#[test]
fn what_is_malformed_is_replaced_by_32_digits() {
    let long = "x".repeat(TRACE_ID_BYTES_MAX + 1);
    for client in [
        vec![],
        vec![("traceparent", "00-xyz-00f067aa0ba902b7-01")],
        vec![("traceparent", "00-00000000000000000000000000000000-00f067aa0ba902b7-01")],
        vec![("traceparent", "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01")],
        vec![("traceparent", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-more")],
        vec![("traceparent", "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01")],
        vec![("x-trace-id", "")],
        vec![("x-trace-id", "with space")],
        vec![("x-trace-id", long.as_str())],
        vec![("x-trace-id", "one"), ("x-trace-id", "two")],
    ] {
        let context = TraceContext::of(&headers(&client));
        assert!(is_w3c_trace_id(&context.trace_id), "{client:?} gave {context:?}");
        assert!(is_hex(&context.span_id, 16), "{context:?}");
    }
}
