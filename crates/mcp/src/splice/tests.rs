//! Texts that are hard to cut, and any text at random.

use proptest::prelude::*;
use serde_json::Value;

use super::*;

#[test]
fn a_value_is_found_by_its_keys() {
    let text = r#" {"a":{"\u0062":[1,{"c":2}],"b" : "x\"}" },"n":-1.50e3,"z":{}} "#;
    let at = |path: &[&str]| find(text, path).map(|range| &text[range]);
    assert_eq!(at(&["a", "b"]), Some(r#""x\"}""#));
    assert_eq!(at(&["n"]), Some("-1.50e3"));
    assert_eq!(at(&["z"]), Some("{}"));
    assert_eq!(at(&[]), Some(text.trim()));
    for missing in [&["b"][..], &["n", "b"], &["a", "b", "c"], &["z", "z"]] {
        assert_eq!(at(missing), None, "{missing:?}");
    }
    assert_eq!(find(r#"{"a":{"#, &["a"]), None);
    assert_eq!(find("", &[]), None);
}

#[test]
fn members_come_and_go_with_their_commas() {
    let removed = |text: &str, key: &str| {
        let mut edits = Edits::of(text);
        edits.remove(&find(text, &[]).unwrap(), key);
        edits.apply()
    };
    assert_eq!(removed(r#"{"a":1, "b":2}"#, "a"), r#"{"b":2}"#);
    assert_eq!(removed(r#"{"a":1, "b":2}"#, "b"), r#"{"a":1}"#);
    assert_eq!(removed(r#"{ "a":1 }"#, "a"), "{  }");
    assert_eq!(removed(r#"{"a":1,"b":2,"a":3}"#, "a"), r#"{"b":2}"#);
    assert_eq!(removed(r#"{"b":2,"a":1,"a":3}"#, "a"), r#"{"b":2}"#);
    let inserted = |text: &'static str| {
        let mut edits = Edits::of(text);
        edits.insert(&find(text, &[]).unwrap(), r#""x":0"#);
        edits.apply()
    };
    assert_eq!(inserted(r#"{"a":1}"#), r#"{"x":0,"a":1}"#);
    assert_eq!(inserted("{ }"), r#"{"x":0 }"#);
}

fn json() -> impl Strategy<Value = String> {
    let key =
        prop_oneof!["[a-c]", Just("_meta".to_owned()), Just("\\u0061".to_owned()), "[ -~&&[^\"\\\\]]{0,6}"];
    let scalar = prop_oneof![
        Just("null".to_owned()),
        Just("12345678901234567890123".to_owned()),
        Just("-1.0E+5".to_owned()),
        Just(r#""a\"\\}{\u00e9,:""#.to_owned()),
        "[a-z{}\\[\\],: ]{0,8}".prop_map(|text| format!("\"{text}\"")),
    ];
    scalar.prop_recursive(4, 40, 5, move |inner| {
        let member = (key.clone(), inner.clone()).prop_map(|(key, value)| format!("\"{key}\" :{value}"));
        prop_oneof![
            proptest::collection::vec(inner, 0..4).prop_map(|list| format!("[{}]", list.join(" ,"))),
            proptest::collection::vec(member, 0..5).prop_map(|list| format!("{{\n{}}}", list.join(", "))),
        ]
    })
}

proptest! {
    #[test]
    fn of_any_text_only_the_value_that_was_found_changes(
        text in json(),
        path in proptest::collection::vec(prop_oneof!["[a-c]", Just("_meta".to_owned())], 0..3),
    ) {
        let path: Vec<&str> = path.iter().map(String::as_str).collect();
        let pointer: String = path.iter().map(|key| format!("/{key}")).collect();
        let value: Value = serde_json::from_str(&text).unwrap();
        let expected = value.pointer(&pointer).filter(|_| is_object_path(&value, &path));
        let Some(range) = find(&text, &path) else {
            prop_assert_eq!(expected, None);
            return Ok(());
        };
        prop_assert_eq!(expected, Some(&serde_json::from_str::<Value>(&text[range.clone()]).unwrap()));
        let mut edits = Edits::of(&text);
        edits.replace(range.clone(), "\"new\"");
        prop_assert_eq!(edits.apply(), format!("{}\"new\"{}", &text[..range.start], &text[range.end..]));
    }

    #[test]
    fn no_text_makes_it_panic(text in "[{}\\[\\]:,\"\\\\ a1]{0,30}") {
        let _ = find(&text, &["a", "1"]);
        let mut edits = Edits::of(&text);
        edits.remove(&(0..text.len()), "a");
        edits.apply();
    }
}

#[test]
fn members_go_into_one_object_one_after_the_other() {
    for (text, expected) in [("{}", r#"{"b":2,"a":1}"#), (r#"{"c":3}"#, r#"{"b":2,"a":1,"c":3}"#)] {
        let object = find(text, &[]).unwrap();
        let mut edits = Edits::of(text);
        edits.insert(&object, r#""a":1"#);
        edits.insert(&object, r#""b":2"#);
        assert_eq!(edits.apply(), expected);
    }
}

/// A JSON pointer also leads into arrays.
fn is_object_path(value: &Value, path: &[&str]) -> bool {
    path.iter().try_fold(value, |value, key| value.as_object()?.get(*key)).is_some()
}
