//! Any split gives the same summary, arbitrary bytes never panic, and serde_json agrees on valid messages.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;

fn scan(bytes: &[u8]) -> Summary {
    let mut scanner = Scanner::new();
    scanner.feed(bytes);
    scanner.into_summary()
}

fn text(text: &str) -> Option<Text> {
    Some(Text { text: text.into(), truncated: false })
}

fn scan_bytewise(bytes: &[u8]) -> Summary {
    let mut scanner = Scanner::new();
    bytes.iter().for_each(|byte| scanner.feed(std::slice::from_ref(byte)));
    scanner.into_summary()
}

#[test]
fn a_tool_call_is_found_in_any_key_order() {
    let orders = [
        r#"{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"name":"echo","arguments":{"name":"x"}}}"#,
        r#" {"params" : {"arguments":{"name":["x",{"id":1}]}, "name":"echo"}, "method":"tools/call", "id" : 7 } "#,
    ];
    for order in orders {
        let found = scan(order.as_bytes());
        assert_eq!(found.method, text("tools/call"));
        assert_eq!(found.id, text("7"));
        assert_eq!(found.target(), text("echo").as_ref());
        assert!(found.complete && !found.batch && found.messages == 1, "{found:?}");
    }
}

#[test]
fn escapes_are_decoded_in_names_and_kept_in_ids() {
    let found = scan(r#"{"\u006dethod":"a\u00e9\ud83d\ude00\n\/","id":"\"\u0041\\"}"#.as_bytes());
    assert_eq!(found.method, text("aé😀\n/"));
    assert_eq!(found.id, text(r#""\"\u0041\\""#));
}

#[test]
fn half_surrogate_pairs_become_replacement_characters() {
    let found = scan(br#"{"method":"\ud83dx\ude00\ud83d"}"#);
    assert_eq!(found.method, text("\u{fffd}x\u{fffd}\u{fffd}"));
}

#[test]
fn errors_and_failed_tools_are_told_apart() {
    let error = scan(br#"{"id":1,"error":{"data":{"code":5},"code":-32601,"message":"no"}}"#);
    assert!(error.error && !error.result && !error.is_error);
    assert_eq!(error.error_code, Some(-32601));
    let failed = scan(br#"{"result":{"content":[{"isError":false}],"isError":true},"id":"a"}"#);
    assert!(failed.result && failed.is_error && !failed.error);
    let both_given = scan(br#"{"result":{"isError":false},"error":null,"id":1}"#);
    assert!(both_given.result && !both_given.is_error && !both_given.error);
}

#[test]
fn of_a_batch_the_first_message_is_read_and_all_are_counted() {
    let found = scan(br#"[{"id":1,"method":"a"},{"id":2,"method":"b","params":{"name":"c"}},{"id":3}]"#);
    assert!(found.batch && found.complete);
    assert_eq!((found.messages, found.method, found.name), (3, text("a"), None));
    assert_eq!(scan(b"[]").messages, 0);
    assert_eq!(scan(br#"["x",{"method":"b"}]"#).method, None);
    assert_eq!(scan(br#"[[{"method":"b"}]]"#).method, None);
}

#[test]
fn the_last_of_equal_keys_counts() {
    let found = scan(br#"{"method":"a","params":{"name":"x","uri":"y"},"method":"b","params":{}}"#);
    assert_eq!((found.method, found.name, found.uri), (text("b"), None, None));
    let found = scan(br#"{"error":{"code":1},"error":null}"#);
    assert_eq!((found.error, found.error_code), (false, None));
}

#[test]
fn params_that_are_no_object_give_no_name() {
    assert_eq!(scan(br#"{"params":[{"name":"x"}],"result":"name"}"#).name, None);
    assert_eq!(scan(br#"{"params":"name","name":"x"}"#).name, None);
}

#[test]
fn long_texts_are_cut_at_a_character() {
    let long = "é".repeat(METHOD_BYTES_MAX);
    let found = scan(format!(r#"{{"method":"x{long}"}}"#).as_bytes()).method.unwrap();
    assert!(found.truncated);
    assert_eq!(found.text, format!("x{}", "é".repeat((METHOD_BYTES_MAX - 1) / 2)));
    let number = scan(format!(r#"{{"id":{}}}"#, "9".repeat(ID_BYTES_MAX + 1)).as_bytes()).id.unwrap();
    assert!(number.truncated && number.text.len() == ID_BYTES_MAX);
}

#[test]
fn initialize_names_its_revision() {
    let found = scan(br#"{"method":"initialize","params":{"protocolVersion":"2025-11-25"}}"#);
    assert_eq!(found.protocol_version, text("2025-11-25"));
    assert_eq!(scan(br#"{"result":{"protocolVersion":"x"}}"#).protocol_version, text("x"));
}

#[test]
fn a_body_that_breaks_off_gives_what_came_before() {
    let found = scan(br#"{"method":"tools/call","params":{"name":"ec"#);
    assert_eq!((found.method, found.name, found.complete), (text("tools/call"), None, false));
    assert_eq!(scan(br#"x{"method":"a"}"#), Summary::default());
}

/// JSON whose keys are often those the scanner looks for.
fn json_value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        any::<String>().prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 48, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::vec((key(), inner), 0..6)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

fn key() -> impl Strategy<Value = String> {
    prop_oneof![
        4 => prop::sample::select(vec![
            "method", "id", "params", "result", "error", "name", "uri", "code", "isError", "protocolVersion",
        ]).prop_map(str::to_owned),
        1 => any::<String>(),
    ]
}

fn message() -> impl Strategy<Value = Value> {
    prop::collection::vec((key(), json_value()), 0..8)
        .prop_map(|members| Value::Object(members.into_iter().collect()))
}

/// What serde_json says about the message, in the scanner's words.
fn expected(message: &Value) -> Summary {
    let cut = |value: &Value, limit: usize| {
        let whole = value.as_str()?;
        Some(Text { text: whole[..whole.floor_char_boundary(limit)].into(), truncated: whole.len() > limit })
    };
    let given = |key: &str| message.get(key).is_some_and(|value| !value.is_null());
    let mut members = message.as_object().expect("a generated message is an object").iter();
    let revision = members.rfind(|(key, _)| ["params", "result"].contains(&key.as_str()));
    Summary {
        method: cut(&message["method"], METHOD_BYTES_MAX),
        id: message.get("id").filter(|id| !id.is_object() && !id.is_array()).map(|id| {
            let whole = id.to_string();
            let text = whole[..whole.floor_char_boundary(ID_BYTES_MAX)].to_owned();
            Text { text, truncated: whole.len() > ID_BYTES_MAX }
        }),
        name: cut(&message["params"]["name"], TARGET_BYTES_MAX),
        uri: cut(&message["params"]["uri"], TARGET_BYTES_MAX),
        protocol_version: revision.and_then(|(_, value)| cut(&value["protocolVersion"], REVISION_BYTES_MAX)),
        result: given("result"),
        is_error: message["result"]["isError"] == json!(true),
        error: given("error"),
        error_code: message["error"]["code"].as_i64(),
        batch: false,
        messages: 1,
        complete: true,
    }
}

proptest! {
    #[test]
    fn serde_json_agrees(message in message()) {
        prop_assert_eq!(scan(message.to_string().as_bytes()), expected(&message));
        prop_assert_eq!(scan(format!("{message:#}").as_bytes()), expected(&message));
    }

    #[test]
    fn splits_change_nothing(message in message(), cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..6)) {
        let bytes = json!([message]).to_string().into_bytes();
        let mut cuts: Vec<usize> = cuts.into_iter().map(|cut| cut.index(bytes.len())).collect();
        cuts.sort_unstable();
        let mut scanner = Scanner::new();
        let mut start = 0;
        for cut in cuts {
            scanner.feed(&bytes[start..cut]);
            start = cut;
        }
        scanner.feed(&bytes[start..]);
        prop_assert_eq!(scanner.summary(), &scan(&bytes));
        prop_assert_eq!(scan_bytewise(&bytes), scan(&bytes));
        prop_assert_eq!(scan(&bytes), Summary { batch: true, ..expected(&message) });
    }

    #[test]
    fn arbitrary_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        prop_assert_eq!(scan(&bytes), scan_bytewise(&bytes));
    }

    #[test]
    fn arbitrary_json_fragments_never_panic(
        text in r#"([{}\[\]:,"\\]|"(method|id|params|name|error|code|\\u[0-9a-dA-D]{0,4})"|[0-9]|true|null| ){0,60}"#,
    ) {
        let open = format!("{{{text}");
        prop_assert_eq!(scan(open.as_bytes()), scan_bytewise(open.as_bytes()));
    }
}
