//! Header fields that a client's token lets through to an API: from the request that a client makes to `_meta` of the
//! call, which is how they get through a pipe.
//!
//! Only what the bridge's own caller puts there counts: a client's `_meta` of this name goes, whatever it says.

use ::http::HeaderMap;
use bytes::Bytes;
use mcp::message::{self, Body, Message};
use mcp::session::PASSED_PREFIX;
use mcp::splice::{self, Edits};
use serde_json::{Map, Value};

use crate::link::into_meta;

/// Where they stand in `_meta` of a call.
pub(crate) const META: &str = "mcpcan/header-fields";

/// The body of a POST with the header fields in its calls; as it is, if it has none.
pub(crate) fn into_calls(headers: &HeaderMap, body: Bytes) -> Bytes {
    let Ok(Body::One(Message::Request(request))) = message::parse(&body) else { return body };
    if request.method != "tools/call" {
        return body;
    }
    let passed = passed(headers);
    let text = request.raw;
    let mut edits = Edits::of(text);
    match splice::find(text, &["params", "_meta", META]) {
        Some(claimed) => edits.replace(claimed, passed.to_string()),
        None if passed.as_object().is_some_and(Map::is_empty) => return body,
        None => into_meta(&mut edits, text, &format!("\"{META}\":{passed}")),
    }
    edits.apply().into()
}

fn passed(headers: &HeaderMap) -> Value {
    let mut passed = Map::new();
    for (name, value) in headers {
        if let (Some(name), Ok(value)) = (name.as_str().strip_prefix(PASSED_PREFIX), value.to_str())
            && !name.is_empty()
        {
            passed.insert(name.to_owned(), Value::String(value.to_owned()));
        }
    }
    Value::Object(passed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_header_fields_of_the_request_get_into_a_call() {
        let headers: HeaderMap = [("mcpcan-pass-x-user", "me"), ("x-other", "no")]
            .iter()
            .map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap()))
            .collect();
        let put = |headers: &HeaderMap, meta: &str| {
            let body =
                format!(r#"{{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{{"name":"a"{meta}}}}}"#);
            let body: Value = serde_json::from_slice(&into_calls(headers, body.into())).unwrap();
            body["params"]["_meta"][META].clone()
        };
        let forged = format!(r#","_meta":{{"{META}":{{"authorization":"forged"}}}}"#);
        assert_eq!(put(&headers, ""), serde_json::json!({ "x-user": "me" }));
        assert_eq!(put(&headers, &forged), serde_json::json!({ "x-user": "me" }));
        assert_eq!(put(&HeaderMap::new(), &forged), serde_json::json!({}));
    }
}
