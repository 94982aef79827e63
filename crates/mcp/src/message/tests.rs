//! What is a message and what is not, and that nothing in one is rewritten.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;

fn one(text: &str) -> Message<'_> {
    match parse(text.as_bytes()).expect("a message") {
        Body::One(message) => message,
        Body::Batch(_) => panic!("a batch"),
    }
}

#[test]
fn a_request_keeps_its_bytes() {
    let text = r#"{"params":{"z":1.0,"a":123456789012345678901234567890,"é":-0e5},"id":9007199254740993,"x":1,
        "jsonrpc":"2.0","method":"tools\/call"}"#;
    let Message::Request(request) = one(text) else { panic!("no request") };
    assert_eq!(request.raw, text);
    assert_eq!(request.id.get(), "9007199254740993");
    assert_eq!(request.method, "tools/call");
    assert_eq!(request.params.unwrap().get(), r#"{"z":1.0,"a":123456789012345678901234567890,"é":-0e5}"#);
    assert_eq!(line(request.raw), text.replace('\n', " "));
}

#[test]
fn the_three_kinds_are_told_apart() {
    assert!(matches!(one(r#"{"jsonrpc":"2.0","method":"a"}"#), Message::Notification(_)));
    assert!(matches!(one(r#"{"jsonrpc":"2.0","id":"a","method":"a"}"#), Message::Request(_)));
    let Message::Response(response) = one(r#"{"jsonrpc":"2.0","id":1,"result":null}"#) else { panic!() };
    assert!(matches!(response.outcome, Outcome::Result(result) if result.get() == "null"));
    let text = r#"{"jsonrpc":"2.0","id":null,"result":null,"error":{"code":-1,"message":"m","data":[1.0]}}"#;
    let Message::Response(response) = one(text) else { panic!() };
    let error = response.outcome.error().unwrap();
    assert_eq!((error.code, error.data.unwrap().get()), (-1, "[1.0]"));
}

#[test]
fn a_batch_is_its_messages() {
    let Ok(Body::Batch(batch)) =
        parse(br#" [{"jsonrpc":"2.0","method":"a"},{"jsonrpc":"2.0","id":1,"result":{}}] "#)
    else {
        panic!("no batch")
    };
    assert_eq!(batch.len(), 2);
}

#[test]
fn what_is_no_message_is_refused_with_the_code_for_it() {
    let cases = [
        ("", code::PARSE_ERROR),
        ("{", code::PARSE_ERROR),
        ("{\"jsonrpc\":\"2.0\",\"method\":\"a\nb\"}", code::PARSE_ERROR),
        ("[]", code::INVALID_REQUEST),
        ("7", code::INVALID_REQUEST),
        (r#"{"id":1,"method":"a"}"#, code::INVALID_REQUEST),
        (r#"{"jsonrpc":"1.0","id":1,"method":"a"}"#, code::INVALID_REQUEST),
        (r#"{"jsonrpc":"2.0","id":null,"method":"a"}"#, code::INVALID_REQUEST),
        (r#"{"jsonrpc":"2.0","id":{},"method":"a"}"#, code::INVALID_REQUEST),
        (r#"{"jsonrpc":"2.0","id":1,"id":2,"method":"a"}"#, code::INVALID_REQUEST),
        (r#"{"jsonrpc":"2.0","id":1,"method":"a","result":1}"#, code::INVALID_REQUEST),
        (r#"{"jsonrpc":"2.0","id":1}"#, code::INVALID_REQUEST),
        (r#"{"jsonrpc":"2.0","result":1}"#, code::INVALID_REQUEST),
        (r#"[["2.0",1,"a",null,null,null]]"#, code::INVALID_REQUEST),
        (r#"[{"jsonrpc":"2.0","method":"a"},1]"#, code::INVALID_REQUEST),
    ];
    for (text, code) in cases {
        assert_eq!(parse(text.as_bytes()).map(drop).map_err(|error| error.code()), Err(code), "{text}");
    }
    assert_eq!(parse(b"\"\xFF\"").unwrap_err().code(), code::PARSE_ERROR);
}

#[test]
fn deep_nesting_is_no_danger() {
    let deep = format!(
        r#"{{"jsonrpc":"2.0","method":"a","params":{}{}}}"#,
        "[".repeat(1 << 20),
        "]".repeat(1 << 20)
    );
    assert!(parse(deep.as_bytes()).is_ok());
}

#[test]
fn ids_are_equal_however_they_are_written() {
    let id = |text: &str| Id::read(&RawValue::from_string(text.into()).unwrap());
    assert_eq!(id(r#""a""#), id(r#""\u0061""#));
    assert_eq!(id("1"), id("1.0"));
    assert_eq!(id("100"), id("1e2"));
    assert_ne!(id("1"), id(r#""1""#));
    assert_ne!(id("9007199254740993"), id("9007199254740992"));
    assert_ne!(id("18446744073709551616"), id("18446744073709551617"));
    assert_eq!(id("null"), None);
}

#[test]
fn our_own_messages_read_back() {
    let raw = |text: &str| RawValue::from_string(text.into()).unwrap();
    let bytes = request(&raw("7"), "ping", Some(&raw("{\"b\":1.0}")));
    assert_eq!(bytes, br#"{"jsonrpc":"2.0","id":7,"method":"ping","params":{"b":1.0}}"#);
    let bytes = notification("notifications/initialized", None);
    assert_eq!(bytes, br#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#);
    let bytes = error(None, code::PARSE_ERROR, "a \"quote\"", None);
    assert_eq!(bytes, br#"{"jsonrpc":"2.0","id":null,"error":{"code":-32700,"message":"a \"quote\""}}"#);
    assert_eq!(result(&raw("\"x\""), &raw("{}")), br#"{"jsonrpc":"2.0","id":"x","result":{}}"#);
}

proptest! {
    #[test]
    fn arbitrary_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        drop(parse(&bytes));
    }

    #[test]
    fn requests_with_any_texts_are_read_as_serde_json_reads_them(method in ".*", id in ".*", arg in ".*", pretty: bool) {
        let value = json!({"jsonrpc": "2.0", "id": id, "method": method, "params": {"arg": arg}});
        let text = if pretty { format!("{value:#}") } else { value.to_string() };
        let Message::Request(request) = one(&text) else { panic!("no request") };
        prop_assert_eq!(&request.method, &method);
        prop_assert_eq!(Id::read(request.id), Some(Id::Text(id)));
        prop_assert_eq!(serde_json::from_str::<Value>(&line(request.raw)).unwrap(), value);
        let params: Value = serde_json::from_str(request.params.unwrap().get()).unwrap();
        prop_assert_eq!(params, json!({"arg": arg}));
    }
}
