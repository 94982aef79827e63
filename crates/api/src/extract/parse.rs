//! JSON as bodies have it: one document, read into the form that a handler wants.
//!
//! JSON has one kind of number, and JSON Schema calls `2.0` and `2e0` integers; serde tells them from `2`. And of two
//! members of one name nobody can say which is meant (RFC 8259 section 4). So the text becomes a value first, in which
//! whole numbers are integers and names are single, and the value becomes the form.

use std::fmt;

use serde::de::{DeserializeOwned, Error as _, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::{Map, Value};
use serde_path_to_error::{Path as ErrorPath, Segment};

use crate::error::Error;
use crate::violation::{Place, Violation, pointer};

/// Up to here every whole number has a floating-point number of its own; further on, one stands for several.
const EXACT_MAX: f64 = 9_007_199_254_740_992.0;

/// # Errors
/// `Error::MalformedJson` if it is no JSON document, `Error::Invalid` if it is one of another form.
pub(super) fn parse<T: DeserializeOwned>(body: &[u8]) -> Result<T, Error> {
    let mut deserializer = serde_json::Deserializer::from_slice(body);
    let read = serde_path_to_error::deserialize(&mut deserializer).map_err(unreadable);
    let Document(value) = read?;
    deserializer.end().map_err(|error| malformed(&error))?;
    serde_path_to_error::deserialize(value).map_err(unreadable)
}

fn malformed(error: &serde_json::Error) -> Error {
    Error::MalformedJson { line: error.line(), column: error.column() }
}

fn unreadable(error: serde_path_to_error::Error<serde_json::Error>) -> Error {
    let inner = error.inner();
    if !inner.is_data() {
        return malformed(inner);
    }
    let place = Place::Pointer(json_pointer(error.path()));
    Error::Invalid(vec![Violation { place, detail: in_words(&inner.to_string()) }])
}

/// A JSON value whose whole numbers are integers, and whose objects have each name once.
struct Document(Value);

impl<'de> Deserialize<'de> for Document {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(OfAnyValue).map(Document)
    }
}

struct OfAnyValue;

impl<'de> Visitor<'de> for OfAnyValue {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        let is_whole = value.fract() == 0.0 && value.abs() <= EXACT_MAX;
        Ok(if is_whole { Value::from(value as i64) } else { Value::from(value) })
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<Value, A::Error> {
        let mut values = vec![];
        while let Some(Document(value)) = elements.next_element()? {
            values.push(value);
        }
        Ok(values.into())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Value, A::Error> {
        let mut object = Map::new();
        while let Some((name, Document(value))) = members.next_entry::<String, _>()? {
            if object.contains_key(&name) {
                return Err(A::Error::custom("an object has each name once, and here one is given twice"));
            }
            object.insert(name, value);
        }
        Ok(object.into())
    }
}

fn json_pointer(path: &ErrorPath) -> String {
    let keys: Vec<String> = path
        .iter()
        .map(|segment| match segment {
            Segment::Seq { index } => index.to_string(),
            Segment::Map { key } => key.clone(),
            Segment::Enum { variant } => variant.clone(),
            Segment::Unknown => "?".to_owned(),
        })
        .collect();
    pointer(&keys.iter().map(String::as_str).collect::<Vec<_>>())
}

/// The message of a JSON data error without the value that it quotes, which may be a secret in the wrong place, and
/// without the position, which the pointer tells.
fn in_words(message: &str) -> String {
    let quotes_a_value = message.starts_with("invalid type: ") || message.starts_with("invalid value: ");
    let message = message.rsplit_once(" at line ").map_or(message, |(message, _)| message);
    match message.rsplit_once(", expected ") {
        Some((_, expected)) if quotes_a_value => format!("{} was expected", form(expected)),
        Some(_) | None => message.to_owned(),
    }
}

/// What serde names after a type of Rust, in the words of JSON.
fn form(expected: &str) -> String {
    let max: u64 = match expected {
        "u8" => u8::MAX.into(),
        "u16" => u16::MAX.into(),
        "u32" => u32::MAX.into(),
        "u64" => u64::MAX,
        other => return other.to_owned(),
    };
    format!("a whole number from 0 to {max}")
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    #[expect(dead_code, reason = "only its form counts")]
    struct Form {
        name: String,
        #[serde(default)]
        inner: BTreeMap<String, Inner>,
    }

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Inner {
        list: Vec<u8>,
    }

    #[track_caller]
    fn violation(body: &str) -> (String, String) {
        match parse::<Form>(body.as_bytes()) {
            Err(Error::Invalid(violations)) => match violations.as_slice() {
                [Violation { place: Place::Pointer(pointer), detail }] => (pointer.clone(), detail.clone()),
                other => panic!("{other:?}"),
            },
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_wrong_form_is_named_with_its_place_and_without_its_value() {
        let (pointer, detail) = violation(r#"{"name": "a", "inner": {"x/y": {"list": [1, "hunter2"]}}}"#);
        assert_eq!(
            (pointer.as_str(), detail.as_str()),
            ("/inner/x~1y/list/1", "a whole number from 0 to 255 was expected")
        );
        let (pointer, detail) = violation(r#"{"name": {"hunter2": ", expected nothing"}}"#);
        assert_eq!((pointer.as_str(), detail.as_str()), ("/name", "a string was expected"));
        let (pointer, detail) = violation(r#"{"inner": {}}"#);
        assert_eq!((pointer.as_str(), detail.as_str()), ("", "missing field `name`"));
    }

    #[test]
    fn an_unknown_field_is_named() {
        let (pointer, detail) = violation(r#"{"name": "a", "colour": "red"}"#);
        assert_eq!(pointer, "/colour");
        assert_eq!(detail, "unknown field `colour`, expected `name` or `inner`");
    }

    #[test]
    fn what_is_not_json_is_malformed() {
        let deep = "[".repeat(100_000);
        for body in ["", "{", "nul", "{\"name\": \"a\"} x", "{\"name\": \"\u{0}\"}", &deep] {
            let error = parse::<Form>(body.as_bytes()).unwrap_err();
            assert!(
                matches!(error, Error::MalformedJson { .. } | Error::Invalid(_)),
                "{body:.20?}: {error:?}"
            );
        }
        assert!(matches!(parse::<Form>(b"{\"name\": \"\xff\"}"), Err(Error::MalformedJson { .. })));
    }

    #[test]
    fn a_number_is_whole_however_it_is_written() {
        let list = |list: &str| {
            let body = format!(r#"{{"name": "a", "inner": {{"x": {{"list": {list}}}}}}}"#);
            parse::<Form>(body.as_bytes()).map(|form| form.inner["x"].list.clone())
        };
        assert_eq!(list("[2, 2.0, 2e0, 0.2e1, -0.0]").unwrap(), [2, 2, 2, 2, 0]);
        for other in ["2.5", "-2.0", "256.0", "1e300"] {
            match list(&format!("[{other}]")) {
                Err(Error::Invalid(violations)) => {
                    assert_eq!(violations[0].detail, "a whole number from 0 to 255 was expected", "{other}");
                }
                read => panic!("{other}: {read:?}"),
            }
        }
    }

    #[test]
    fn no_name_is_given_twice() {
        for body in [
            r#"{"name": "a", "name": "b"}"#,
            r#"{"name": "a", "inner": {"x": {"list": []}, "x": {"list": []}}}"#,
        ] {
            let detail = violation(body).1;
            assert_eq!(detail, "an object has each name once, and here one is given twice", "{body}");
        }
    }
}
