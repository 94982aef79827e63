//! How values of parameters become text: each style with and without explode (OpenAPI 3.1.1, Style Values and Style
//! Examples; RFC 6570 for what those leave open).

use serde_json::value::RawValue;

use crate::argument::{self, Argument};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Style {
    Simple,
    Label,
    Matrix,
    Form,
    SpaceDelimited,
    PipeDelimited,
    DeepObject,
}

/// What of a value is percent-encoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Encoding {
    /// All but the unreserved characters (RFC 3986, section 2.3).
    Strict,
    /// Not the reserved characters either, nor what is encoded already (`allowReserved`).
    Reserved,
    /// Nothing: header fields are no part of an address.
    Nothing,
}

/// A value as styles see it: no deeper than one level, what is deeper is JSON.
pub(crate) enum Shape {
    Scalar(String),
    List(Vec<String>),
    Object(Vec<(String, String)>),
    /// What `deepObject` makes of an object: each value with the names that lead to it.
    Deep(Vec<(Vec<String>, String)>),
}

/// Objects in objects that `deepObject` follows; what is deeper is JSON.
const DEEP_MAX: usize = 16;

impl Style {
    pub(crate) fn from_name(name: &str) -> Option<Self> {
        Some(match name {
            "simple" => Style::Simple,
            "label" => Style::Label,
            "matrix" => Style::Matrix,
            "form" => Style::Form,
            "spaceDelimited" => Style::SpaceDelimited,
            "pipeDelimited" => Style::PipeDelimited,
            "deepObject" => Style::DeepObject,
            _ => return None,
        })
    }
}

impl Shape {
    /// `None` for what has no text: `null`, and lists and objects with nothing in them.
    pub(crate) fn of(raw: &RawValue) -> Option<Self> {
        match Argument::read(raw) {
            Argument::Null => None,
            Argument::Text(text) => Some(Shape::Scalar(text)),
            Argument::Plain(text) => Some(Shape::Scalar(text.to_owned())),
            Argument::List(items) => {
                let items: Vec<_> = items.into_iter().filter_map(argument::text).collect();
                (!items.is_empty()).then_some(Shape::List(items))
            }
            Argument::Object(members) => {
                let members = members.0.into_iter();
                let members: Vec<_> =
                    members.filter_map(|(name, value)| Some((name, argument::text(value)?))).collect();
                (!members.is_empty()).then_some(Shape::Object(members))
            }
        }
    }
}

/// Objects in objects are not defined for `deepObject`; this is what the usual servers read.
pub(crate) fn deep(raw: &RawValue) -> Option<Shape> {
    let mut values = vec![];
    descend(raw, &mut vec![], &mut values);
    match Argument::read(raw) {
        Argument::Object(_) => (!values.is_empty()).then_some(Shape::Deep(values)),
        _ => Shape::of(raw),
    }
}

fn descend(raw: &RawValue, path: &mut Vec<String>, values: &mut Vec<(Vec<String>, String)>) {
    match Argument::read(raw) {
        Argument::Object(members) if path.len() < DEEP_MAX => {
            for (name, value) in members.0 {
                path.push(name);
                descend(value, path, values);
                path.pop();
            }
        }
        Argument::List(items) => {
            values.extend(items.into_iter().filter_map(argument::text).map(|text| (path.clone(), text)));
        }
        _ => values.extend(argument::text(raw).map(|text| (path.clone(), text))),
    }
}

impl Encoding {
    pub(crate) fn apply(self, text: &str) -> String {
        if self == Encoding::Nothing {
            return text.to_owned();
        }
        let bytes = text.as_bytes();
        let mut encoded = String::with_capacity(bytes.len());
        for (at, byte) in bytes.iter().enumerate() {
            if self.keeps(bytes, at) {
                encoded.push(char::from(*byte));
            } else {
                encoded.push_str(&format!("%{byte:02X}"));
            }
        }
        encoded
    }

    fn keeps(self, bytes: &[u8], at: usize) -> bool {
        let byte = bytes[at];
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            return true;
        }
        let is_triplet = || {
            let digits = bytes.get(at + 1..at + 3);
            byte == b'%' && digits.is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit))
        };
        // `&` and `+` would change what the query says, and `#` would end it, whatever is allowed.
        self == Encoding::Reserved && (b":/?[]@!$'()*,;=".contains(&byte) || is_triplet())
    }
}

/// What stands in a path, after the slash.
pub(crate) fn in_path(name: &str, style: Style, explode: bool, shape: &Shape, encoding: Encoding) -> String {
    let encoded_name = Encoding::Strict.apply(name);
    let (prefix, joint) = match style {
        Style::Label => (".", if explode { "." } else { "," }),
        Style::Matrix => (";", if explode { ";" } else { "," }),
        _ => ("", ","),
    };
    let is_matrix = style == Style::Matrix;
    // Matrix names what is empty without `=` (RFC 6570, section 3.2.7).
    let named = |name: &str, value: &str| {
        if value.is_empty() { name.to_owned() } else { format!("{name}={value}") }
    };
    let value = match shape {
        Shape::Scalar(text) if is_matrix => named(&encoded_name, &encoding.apply(text)),
        Shape::List(items) if is_matrix && explode => {
            let items = items.iter().map(|item| named(&encoded_name, &encoding.apply(item)));
            items.collect::<Vec<_>>().join(joint)
        }
        Shape::List(_) | Shape::Object(_) if is_matrix && !explode => {
            named(&encoded_name, &joined(shape, false, joint, encoding))
        }
        shape => joined(shape, explode, joint, encoding),
    };
    format!("{prefix}{value}")
}

/// What a header field says.
pub(crate) fn in_header(explode: bool, shape: &Shape) -> String {
    joined(shape, explode, ",", Encoding::Nothing)
}

/// The pairs of a query, of a form, or of a cookie.
pub(crate) fn pairs(
    name: &str,
    style: Style,
    explode: bool,
    shape: &Shape,
    encoding: Encoding,
) -> Vec<(String, String)> {
    let encoded_name = Encoding::Strict.apply(name);
    let joint = match style {
        Style::SpaceDelimited => "%20",
        Style::PipeDelimited => "%7C",
        _ => ",",
    };
    match shape {
        Shape::Scalar(text) => vec![(encoded_name, encoding.apply(text))],
        Shape::List(items) if explode || style == Style::DeepObject => {
            items.iter().map(|item| (encoded_name.clone(), encoding.apply(item))).collect()
        }
        Shape::Deep(values) => {
            let key = |path: &[String]| {
                let members = path.iter().map(|member| format!("%5B{}%5D", Encoding::Strict.apply(member)));
                std::iter::once(encoded_name.clone()).chain(members).collect::<String>()
            };
            values.iter().map(|(path, value)| (key(path), encoding.apply(value))).collect()
        }
        Shape::Object(members) if explode => {
            let pair =
                |(member, value): &(String, String)| (Encoding::Strict.apply(member), encoding.apply(value));
            members.iter().map(pair).collect()
        }
        shape => vec![(encoded_name, joined(shape, false, joint, encoding))],
    }
}

fn joined(shape: &Shape, explode: bool, joint: &str, encoding: Encoding) -> String {
    let parts: Vec<String> = match shape {
        Shape::Scalar(text) => return encoding.apply(text),
        Shape::List(items) => items.iter().map(|item| encoding.apply(item)).collect(),
        Shape::Object(members) if explode => members
            .iter()
            .map(|(name, value)| format!("{}={}", encoding.apply(name), encoding.apply(value)))
            .collect(),
        Shape::Object(members) => {
            members.iter().flat_map(|(name, value)| [encoding.apply(name), encoding.apply(value)]).collect()
        }
        Shape::Deep(values) => values.iter().map(|(_, value)| encoding.apply(value)).collect(),
    };
    parts.join(joint)
}
