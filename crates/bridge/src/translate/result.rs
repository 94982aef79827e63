//! What 2026-07-28 demands of a result and an error beyond what older servers say.

use mcp::message::{Outcome, Response, code};
use mcp::protocol::Revision;
use mcp::splice::{self, Edits};
use serde_json::value::RawValue;

use crate::link::{Introduction, meta};

/// Methods whose results say for how long they may be kept: not at all, since an older server does not say.
const CACHEABLE: [&str; 5] =
    ["tools/list", "prompts/list", "resources/list", "resources/templates/list", "resources/read"];

/// The answer as the client of a method is to get it, under its own id.
pub(super) fn answer(response: &Response<'_>, id: &RawValue, method: &str, server: &Introduction) -> String {
    let text = response.raw;
    let mut edits = Edits::of(text);
    if let Some(place) = splice::range_of(text, response.id.get()) {
        edits.replace(place, id.get());
    }
    match response.outcome {
        Outcome::Result(_) => complete(&mut edits, text, method, server),
        Outcome::Error(_) => renumber(&mut edits, text),
    }
    edits.apply()
}

fn complete(edits: &mut Edits<'_>, text: &str, method: &str, server: &Introduction) {
    let object =
        |path: &[&str]| splice::find(text, path).filter(|place| text[place.clone()].starts_with('{'));
    let Some(result) = object(&["result"]) else { return };
    let mut members = Vec::new();
    if splice::find(text, &["result", "resultType"]).is_none() {
        members.push(r#""resultType":"complete""#.to_owned());
    }
    if CACHEABLE.contains(&method) {
        for (key, value) in [("ttlMs", "0"), ("cacheScope", r#""private""#)] {
            if splice::find(text, &["result", key]).is_none() {
                members.push(format!("\"{key}\":{value}"));
            }
        }
    }
    if let Some(info) = server.member(&["serverInfo"]) {
        let member = format!("\"{}\":{info}", meta::SERVER_INFO);
        match object(&["result", "_meta"]) {
            Some(meta) => edits.insert(&meta, member),
            None => members.push(format!("\"_meta\":{{{member}}}")),
        }
    }
    if !members.is_empty() {
        edits.insert(&result, members.join(","));
    }
}

/// A code that the revision has given up is not said any more.
fn renumber(edits: &mut Edits<'_>, text: &str) {
    let Some(place) = splice::find(text, &["error", "code"]) else { return };
    if text[place.clone()].parse() == Ok(code::RESOURCE_NOT_FOUND) {
        edits.replace(place, code::INVALID_PARAMS.to_string());
    }
}

/// The result of `server/discover`, by what the server said when it was initialised.
pub(crate) fn discovery(server: &Introduction) -> Box<RawValue> {
    let revision = Revision::LATEST_STATELESS;
    let capabilities = server.member(&["capabilities"]).unwrap_or("{}");
    let mut edits = Edits::of(capabilities);
    if let Some(object) = splice::find(capabilities, &[]) {
        // Tasks are another thing there.
        edits.remove(&object, "tasks");
    }
    let mut text = format!(
        r#"{{"resultType":"complete","supportedVersions":["{revision}"],"capabilities":{},"ttlMs":0,"cacheScope":"private""#,
        edits.apply()
    );
    if let Some(instructions) = server.member(&["instructions"]) {
        text.push_str(",\"instructions\":");
        text.push_str(instructions);
    }
    if let Some(info) = server.member(&["serverInfo"]) {
        text.push_str(&format!(",\"_meta\":{{\"{}\":{info}}}", meta::SERVER_INFO));
    }
    text.push('}');
    RawValue::from_string(text).unwrap_or_else(|_| RawValue::NULL.to_owned())
}
