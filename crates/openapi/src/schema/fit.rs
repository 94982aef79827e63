//! Makes a schema small enough, by cutting what is nested deepest.

use serde_json::{Map, Value, json};

/// How deep a schema is kept, from what is tried first on.
const DEPTHS: [usize; 6] = [6, 4, 3, 2, 1, 0];

/// Bytes of a value as JSON.
pub(crate) fn bytes(value: &Value) -> usize {
    struct Count(usize);

    impl std::io::Write for Count {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0 += bytes.len();
            Ok(bytes.len())
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    let mut count = Count(0);
    serde_json::to_writer(&mut count, value).expect("counting does not fail");
    count.0
}

/// The schema, cut until it has at most so many bytes; and whether it had to be cut.
pub(crate) fn fit(schema: Value, bytes_max: usize) -> (Value, bool) {
    if bytes(&schema) <= bytes_max {
        return (schema, false);
    }
    let cut = DEPTHS.iter().map(|depth| cut(&schema, *depth)).find(|cut| bytes(cut) <= bytes_max);
    (cut.unwrap_or_else(|| stub(&schema)), true)
}

/// What is left of a schema for which there is no room: its type.
pub(crate) fn stub(schema: &Value) -> Value {
    match schema.get("type") {
        Some(kind) => json!({ "type": kind }),
        None => json!({}),
    }
}

fn cut(schema: &Value, depth: usize) -> Value {
    let Value::Object(members) = schema else { return schema.clone() };
    if depth == 0 {
        return stub(schema);
    }
    let mut kept = Map::new();
    for (key, value) in members {
        let value = match (key.as_str(), value) {
            ("properties" | "patternProperties" | "dependentSchemas", Value::Object(schemas)) => {
                let schemas = schemas.iter().map(|(name, schema)| (name.clone(), cut(schema, depth - 1)));
                Value::Object(schemas.collect())
            }
            ("allOf" | "anyOf" | "oneOf" | "prefixItems", Value::Array(schemas)) => {
                // Alternatives that were cut may fit one value both, which `oneOf` refuses.
                let key = if key == "oneOf" { "anyOf" } else { key };
                let schemas = schemas.iter().map(|schema| cut(schema, depth - 1)).collect();
                kept.insert(key.to_owned(), Value::Array(schemas));
                continue;
            }
            // What is cut takes more than before, so its opposite would take less.
            (
                "not" | "if" | "then" | "else" | "contains" | "unevaluatedProperties" | "unevaluatedItems",
                _,
            ) => {
                continue;
            }
            ("items" | "additionalProperties" | "propertyNames" | "contentSchema", schema) => {
                cut(schema, depth - 1)
            }
            ("description", Value::String(_)) if depth == 1 => continue,
            (_, value) => value.clone(),
        };
        kept.insert(key.clone(), value);
    }
    Value::Object(kept)
}
