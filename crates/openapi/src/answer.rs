//! What an API answers, as the result of a call. A good answer is never turned into an error: what is declared and what
//! comes are two things.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde::Serialize;
use serde_json::value::{RawValue, to_raw_value};
use serde_json::{Value, json};

use crate::body::is_text;
use crate::parameter::is_json;

/// An answer that has come whole.
pub struct Answer<'a> {
    pub status: u16,
    /// The words of the status line, which say more than the number.
    pub reason: &'a str,
    pub content_type: Option<&'a str>,
    pub body: &'a [u8],
    /// Where it comes from, without a query: it names what is no text.
    pub url: &'a str,
}

/// How clients take results.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Taken {
    /// Structured content has to be an object: so it is in revisions with sessions.
    pub objects_only: bool,
    /// The tool says what it answers, so clients ask for structured content.
    pub has_output_schema: bool,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct CallResult {
    content: Vec<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    structured_content: Option<Box<RawValue>>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    is_error: bool,
}

/// The result of a call. JSON passes as it is, with every number as it was written.
pub fn result(answer: &Answer<'_>, taken: Taken) -> Box<RawValue> {
    if !(200..300).contains(&answer.status) {
        return failed_with(answer);
    }
    let essence = essence(answer.content_type);
    let text = std::str::from_utf8(answer.body).ok();
    if let Some(text) = text
        .filter(|text| is_json(&essence) || essence.is_empty() && text.trim_start().starts_with(['{', '[']))
        && let Ok(json) = serde_json::from_str::<Box<RawValue>>(text)
    {
        return of_json(json, taken);
    }
    let content = content(answer, &essence, text);
    let structured = taken.has_output_schema.then(|| {
        let result =
            text.filter(|_| is_text(&essence) || essence.is_empty()).map(|text| json!({ "result": text }));
        raw(&result.unwrap_or_else(|| json!({ "status": answer.status, "contentType": essence })))
    });
    raw(&CallResult { content: vec![content], structured_content: structured, is_error: false })
}

/// The result of a call that has not got an answer.
pub fn failure(reason: &str) -> Box<RawValue> {
    let content = vec![json!({ "type": "text", "text": reason })];
    raw(&CallResult { content, structured_content: None, is_error: true })
}

fn of_json(json: Box<RawValue>, taken: Taken) -> Box<RawValue> {
    let content = vec![json!({ "type": "text", "text": json.get() })];
    let is_object = json.get().starts_with('{');
    let structured = if is_object || !taken.objects_only {
        json
    } else {
        RawValue::from_string(format!("{{\"result\":{}}}", json.get())).expect("JSON in an object is JSON")
    };
    raw(&CallResult { content, structured_content: Some(structured), is_error: false })
}

/// A failure with what the API says of it.
fn failed_with(answer: &Answer<'_>) -> Box<RawValue> {
    let essence = essence(answer.content_type);
    let status =
        json!({ "type": "text", "text": format!("HTTP {} {}", answer.status, answer.reason).trim_end() });
    let mut blocks = vec![status];
    if !answer.body.is_empty() {
        blocks.push(content(answer, &essence, std::str::from_utf8(answer.body).ok()));
    }
    raw(&CallResult { content: blocks, structured_content: None, is_error: true })
}

/// A body as a block of content.
fn content(answer: &Answer<'_>, essence: &str, text: Option<&str>) -> Value {
    let encoded = || BASE64_STANDARD.encode(answer.body);
    match (essence, text) {
        (_, Some("")) => {
            json!({ "type": "text", "text": format!("HTTP {} {}", answer.status, answer.reason).trim_end() })
        }
        ("image/svg+xml", Some(text)) => json!({ "type": "text", "text": text }),
        (image, _) if image.starts_with("image/") => {
            json!({ "type": "image", "data": encoded(), "mimeType": image })
        }
        (audio, _) if audio.starts_with("audio/") => {
            json!({ "type": "audio", "data": encoded(), "mimeType": audio })
        }
        (essence, Some(text)) if essence.is_empty() || is_text(essence) || is_json(essence) => {
            json!({ "type": "text", "text": text })
        }
        (essence, _) => {
            let media_type = if essence.is_empty() { "application/octet-stream" } else { essence };
            json!({ "type": "resource", "resource": { "uri": answer.url, "mimeType": media_type, "blob": encoded() } })
        }
    }
}

fn essence(content_type: Option<&str>) -> String {
    let essence = content_type.unwrap_or_default().split(';').next().unwrap_or_default();
    essence.trim().to_ascii_lowercase()
}

fn raw<T: Serialize>(value: &T) -> Box<RawValue> {
    to_raw_value(value).expect("texts and JSON always serialise")
}
