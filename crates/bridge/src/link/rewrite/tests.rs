//! Any message with any ids, and what it is after them.

use mcp::message::{Body, Message};
use proptest::prelude::*;

use super::*;

fn json() -> impl Strategy<Value = String> {
    let scalar = prop_oneof![
        Just("9007199254740993".to_owned()),
        Just("1.50e+02".to_owned()),
        Just("null".to_owned()),
        Just(r#""\u00e9\n\"id\":7,""#.to_owned()),
        "[a-z{}\\[\\],: ]{0,8}".prop_map(|text| format!("\"{text}\"")),
    ];
    scalar.prop_recursive(3, 24, 4, |inner| {
        let member = ("(id|progressToken|_meta|a)", inner.clone());
        let member = member.prop_map(|(key, value)| format!("\"{key}\" : {value}"));
        prop_oneof![
            proptest::collection::vec(inner, 0..4).prop_map(|list| format!("[{}]", list.join(" ,"))),
            proptest::collection::vec(member, 0..4).prop_map(|list| format!("{{{}}}", list.join(", "))),
        ]
    })
}

fn id() -> impl Strategy<Value = String> {
    prop_oneof!["\"[a-z]{0,4}\"", "[1-9][0-9]{0,30}", Just("-0.5".to_owned()), Just(r#""\u0061""#.to_owned())]
}

fn read(text: &str) -> Message<'_> {
    match message::parse(text.as_bytes()) {
        Ok(Body::One(message)) => message,
        other => panic!("{text}: {other:?}"),
    }
}

proptest! {
    #[test]
    fn of_a_request_only_the_ids_change(id in id(), token in id(), a in json(), b in json(), c in json()) {
        let text = |id: &str, token: &str| format!(
            r#" {{ "x":{a},"id" :{id},"params":{{"a":{b},"_meta": {{"p":{c}, "progressToken":{token}}},"id":1}},"jsonrpc":"2.0","method":"m"}}"#
        );
        let original = text(&id, &token);
        let Message::Request(request) = read(&original) else { panic!("{original}") };
        let outgoing = Outgoing::of(&request);
        prop_assert_eq!(outgoing.id().get(), &id);
        let kept = outgoing.token().map(|token| token.get().to_owned());
        prop_assert_eq!(kept, Some(token));
        let expected = text("42", "42");
        prop_assert_eq!(outgoing.line(42), expected.trim());
    }

    #[test]
    fn of_an_answer_only_the_ids_change(id in id(), a in json(), b in json()) {
        let text = |id: &str| format!(
            r#"{{"result":{{"a":{a},"_meta":{{"io.modelcontextprotocol/subscriptionId":{id},"b":{b}}}}},"id":{id},"jsonrpc":"2.0"}}"#
        );
        let raw = RawValue::from_string(id.clone()).unwrap();
        let original = text("7");
        let Message::Response(response) = read(&original) else { panic!("{original}") };
        prop_assert_eq!(answer(&response, &raw, true), text(&id));
        // What did not listen has such a field by chance.
        let only_outside = text("7").replace(r#","id":7,"jsonrpc""#, &format!(r#","id":{id},"jsonrpc""#));
        prop_assert_eq!(answer(&response, &raw, false), only_outside);
    }
}

#[test]
fn a_token_that_is_none_is_left_to_the_server() {
    let text = r#"{"jsonrpc":"2.0","id":1,"method":"m","params":{"_meta":{"progressToken":{}}}}"#;
    let Message::Request(request) = read(text) else { panic!("{text}") };
    let outgoing = Outgoing::of(&request);
    assert!(outgoing.token().is_none());
    assert_eq!(outgoing.line(2), text.replace(":1,", ":2,"));
}

#[test]
fn a_message_for_a_child_has_one_line() {
    let text = "{\"jsonrpc\":\"2.0\",\n\"id\":1,\r\n\"method\":\"m\"}";
    let Message::Request(request) = read(text) else { panic!("{text}") };
    assert_eq!(Outgoing::of(&request).line(2), "{\"jsonrpc\":\"2.0\", \"id\":2,  \"method\":\"m\"}");
}

#[test]
fn members_come_into_meta_whatever_stands_there() {
    for (text, expected) in [
        (r#"{"id":1}"#, r#"{"params":{"_meta":{"a":1}},"id":1}"#),
        (r#"{"params":{}}"#, r#"{"params":{"_meta":{"a":1}}}"#),
        (r#"{"params":{"b":1.0}}"#, r#"{"params":{"_meta":{"a":1},"b":1.0}}"#),
        (r#"{"params":{"_meta":{"b":2}}}"#, r#"{"params":{"_meta":{"a":1,"b":2}}}"#),
        (r#"{"params":{"_meta":7}}"#, r#"{"params":{"_meta":{"a":1}}}"#),
        (r#"{"params":null,"id":1}"#, r#"{"params":{"_meta":{"a":1}},"id":1}"#),
    ] {
        let mut edits = Edits::of(text);
        into_meta(&mut edits, text, r#""a":1"#);
        assert_eq!(edits.apply(), expected, "{text}");
    }
}
