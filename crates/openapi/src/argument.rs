//! One argument of a call, read one level at a time: numbers stay the text that the model wrote.

use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

/// A value of an argument.
pub(crate) enum Argument<'a> {
    Null,
    Text(String),
    /// A number, `true` or `false`, as it was written.
    Plain(&'a str),
    List(Vec<&'a RawValue>),
    Object(Members<'a>),
}

impl<'a> Argument<'a> {
    pub(crate) fn read(raw: &'a RawValue) -> Self {
        let text = raw.get();
        let read = match text.as_bytes().first() {
            Some(b'n') => Ok(Argument::Null),
            Some(b'"') => serde_json::from_str(text).map(Argument::Text),
            Some(b'[') => serde_json::from_str(text).map(Argument::List),
            Some(b'{') => serde_json::from_str(text).map(Argument::Object),
            _ => Ok(Argument::Plain(text)),
        };
        // A text that stands for half of a character pair is the only JSON that is none of these.
        read.unwrap_or(Argument::Plain(text))
    }
}

/// The members of an object in their order.
#[derive(Default)]
pub(crate) struct Members<'a>(pub(crate) Vec<(String, &'a RawValue)>);

impl<'a> Members<'a> {
    pub(crate) fn get(&self, name: &str) -> Option<&'a RawValue> {
        // Of several members of one name the last is meant, as in most readers of JSON.
        self.0.iter().rev().find(|(member, _)| member == name).map(|(_, value)| *value)
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Members<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct InOrder;

        impl<'de> Visitor<'de> for InOrder {
            type Value = Vec<(String, &'de RawValue)>;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut members = vec![];
                while let Some(member) = map.next_entry()? {
                    members.push(member);
                }
                Ok(members)
            }
        }

        deserializer.deserialize_map(InOrder).map(Members)
    }
}

/// How a value stands in a text: what is not nested as it is, what is nested as JSON.
pub(crate) fn text(raw: &RawValue) -> Option<String> {
    match Argument::read(raw) {
        Argument::Null => None,
        Argument::Text(text) => Some(text),
        Argument::Plain(text) => Some(text.to_owned()),
        Argument::List(_) | Argument::Object(_) => Some(raw.get().to_owned()),
    }
}
