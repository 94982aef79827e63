//! From the dialects of OpenAPI 3.0 and 3.1 to JSON Schema 2020-12.

use serde_json::{Map, Value, json};

use super::{Form, Schemas};
use crate::document::At;

/// Keywords that hold one schema.
const SCHEMA: [&str; 11] = [
    "items",
    "additionalProperties",
    "not",
    "if",
    "then",
    "else",
    "contains",
    "propertyNames",
    "unevaluatedItems",
    "unevaluatedProperties",
    "contentSchema",
];
/// Keywords that hold a list of schemas.
const SCHEMAS: [&str; 4] = ["allOf", "anyOf", "oneOf", "prefixItems"];
/// Keywords that hold schemas by names.
const NAMED: [&str; 3] = ["properties", "patternProperties", "dependentSchemas"];
/// Keywords that hold values.
const VALUES: [&str; 22] = [
    "type",
    "enum",
    "const",
    "required",
    "format",
    "pattern",
    "minimum",
    "maximum",
    "exclusiveMinimum",
    "exclusiveMaximum",
    "multipleOf",
    "minLength",
    "maxLength",
    "minItems",
    "maxItems",
    "uniqueItems",
    "minProperties",
    "maxProperties",
    "contentEncoding",
    "contentMediaType",
    "default",
    "deprecated",
];
/// The types of JSON Schema.
const TYPES: [&str; 7] = ["object", "array", "string", "number", "integer", "boolean", "null"];
/// Nesting beyond which a schema takes anything; documents are not deeper.
const DEPTH_MAX: usize = 128;
/// The largest default that is shown, in bytes.
const DEFAULT_BYTES_MAX: usize = 200;

pub(super) fn convert<'d>(schemas: &mut Schemas<'d>, at: &At<'d>, form: Form, depth: usize) -> Value {
    let members = match at.value {
        Value::Object(members) if depth < DEPTH_MAX => members,
        Value::Bool(all) => return Value::Bool(*all),
        _ => return json!({}),
    };
    let is_3_0 = schemas.document.is_3_0(at.document);
    let mut made = Map::new();
    if let Some(reference) = at.text("$ref") {
        let reference = schemas.reference(at, reference);
        if is_3_0 {
            return reference;
        }
        if let Value::Object(reference) = reference {
            made.extend(reference);
        }
    }
    for (key, value) in members {
        let key = key.as_str();
        if let Some(value) = keyword(schemas, at, form, depth, key, value) {
            made.insert(key.to_owned(), value);
        }
    }
    if is_3_0 {
        bounds_of_3_0(&mut made);
    }
    let nullable = members.get("nullable") == Some(&Value::Bool(true));
    tidy(&mut made, members, form);
    if nullable { or_null(made) } else { Value::Object(made) }
}

/// A keyword as it stands in 2020-12, if it is kept.
fn keyword<'d>(
    schemas: &mut Schemas<'d>,
    at: &At<'d>,
    form: Form,
    depth: usize,
    key: &str,
    value: &'d Value,
) -> Option<Value> {
    if SCHEMA.contains(&key) {
        // Closing an object or forbidding something would refuse answers that are as good as any.
        let refuses = matches!(key, "not" | "if" | "then" | "else" | "contains" | "propertyNames");
        if form.output && (refuses || value.is_boolean()) {
            return None;
        }
        let inner = at.member(key).filter(|at| at.value.is_object() || at.value.is_boolean())?;
        return Some(convert(schemas, &inner, form, depth + 1));
    }
    if SCHEMAS.contains(&key) {
        let inner = at.member(key)?;
        let count = value.as_array().filter(|items| !items.is_empty())?.len();
        let items = (0..count).filter_map(|index| inner.member(&index.to_string()));
        return Some(
            items.collect::<Vec<_>>().iter().map(|at| convert(schemas, at, form, depth + 1)).collect(),
        );
    }
    if NAMED.contains(&key) {
        let inner = at.member(key)?;
        let hidden = if form.output { "writeOnly" } else { "readOnly" };
        let mut named = Map::new();
        for name in value.as_object()?.keys() {
            let at = inner.member(name)?;
            if key != "properties" || at.value.get(hidden) != Some(&Value::Bool(true)) {
                named.insert(name.clone(), convert(schemas, &at, form, depth + 1));
            }
        }
        return Some(Value::Object(named));
    }
    match key {
        "description" | "title" => {
            let text = value.as_str().filter(|text| !text.trim().is_empty())?;
            let kept = key == "description" && form.description_chars > 0;
            kept.then(|| Value::String(shortened(text, form.description_chars)))
        }
        "type" => kind(value),
        "required" | "enum" if !value.is_array() => None,
        "default" if serde_json::to_string(value).map_or(0, |text| text.len()) > DEFAULT_BYTES_MAX => None,
        _ if VALUES.contains(&key) => Some(value.clone()),
        _ => None,
    }
}

/// The first characters of a text, with a mark if there are more.
pub(crate) fn shortened(text: &str, chars_max: usize) -> String {
    let text = text.trim();
    match text.char_indices().nth(chars_max) {
        None => text.to_owned(),
        Some(_) => {
            let end = text.char_indices().nth(chars_max.saturating_sub(1)).map_or(0, |(at, _)| at);
            format!("{}…", text[..end].trim_end())
        }
    }
}

/// A type, or a list of them; others than JSON Schema knows are no restriction.
fn kind(value: &Value) -> Option<Value> {
    let is_type = |value: &Value| value.as_str().is_some_and(|name| TYPES.contains(&name));
    match value {
        Value::Array(types) => (!types.is_empty() && types.iter().all(is_type)).then(|| value.clone()),
        _ => is_type(value).then(|| value.clone()),
    }
}

/// In 3.0, `exclusiveMinimum` says of `minimum` whether it is allowed itself.
fn bounds_of_3_0(made: &mut Map<String, Value>) {
    for (exclusive, bound) in [("exclusiveMinimum", "minimum"), ("exclusiveMaximum", "maximum")] {
        match made.remove(exclusive) {
            Some(Value::Bool(true)) => {
                if let Some(value) = made.remove(bound) {
                    made.insert(exclusive.to_owned(), value);
                }
            }
            Some(number @ Value::Number(_)) => {
                made.insert(exclusive.to_owned(), number);
            }
            _ => {}
        }
    }
}

fn tidy(made: &mut Map<String, Value>, members: &Map<String, Value>, form: Form) {
    if form.output {
        for key in [
            "required",
            "enum",
            "const",
            "format",
            "pattern",
            "default",
            "minimum",
            "maximum",
            "exclusiveMinimum",
            "exclusiveMaximum",
            "multipleOf",
            "minLength",
            "maxLength",
            "minItems",
            "maxItems",
            "uniqueItems",
            "minProperties",
            "maxProperties",
            "deprecated",
        ] {
            made.remove(key);
        }
        return;
    }
    // Base64 is how bytes get into JSON; what says so itself stays as it is.
    if made.get("format").is_some_and(|format| format == "binary") && !made.contains_key("contentEncoding") {
        made.remove("format");
        made.insert("contentEncoding".to_owned(), json!("base64"));
    }
    // Only the API sets what is read-only.
    let properties = members.get("properties");
    let is_read_only = |name: &Value| {
        let property = name.as_str().and_then(|name| properties?.get(name));
        property.is_some_and(|property| property.get("readOnly") == Some(&Value::Bool(true)))
    };
    if let Some(Value::Array(required)) = made.get_mut("required") {
        required.retain(|name| name.is_string() && !is_read_only(name));
        if required.is_empty() {
            made.remove("required");
        }
    }
}

/// The schema of 3.0 that takes `null` as well.
fn or_null(mut made: Map<String, Value>) -> Value {
    if let Some(Value::Array(values)) = made.get_mut("enum")
        && !values.contains(&Value::Null)
    {
        values.push(Value::Null);
    }
    match made.remove("type") {
        Some(Value::Array(mut types)) => {
            if !types.iter().any(|name| name == "null") {
                types.push(json!("null"));
            }
            made.insert("type".to_owned(), Value::Array(types));
        }
        Some(kind) => {
            made.insert("type".to_owned(), json!([kind, "null"]));
        }
        None if ["$ref", "allOf", "anyOf", "oneOf"].iter().any(|key| made.contains_key(*key)) => {
            return json!({ "anyOf": [Value::Object(made), { "type": "null" }] });
        }
        None => {}
    }
    Value::Object(made)
}
