//! Puts the bridge's numbers in the place of a caller's ids and back, and changes no other byte.
//!
//! Of a message change: `id`; `params._meta.progressToken` of a request and `params.progressToken` of its progress;
//! `requestId` of a cancellation; and the subscription id that 2026-07-28 puts into `_meta`, which is the id of the request
//! that listens.

#[cfg(test)]
mod tests;

use std::ops::Range;

use bytes::Bytes;
use mcp::message::{self, Id, Request, Response};
use mcp::splice::{self, Edits};
use serde_json::value::RawValue;

/// What 2026-07-28 has in `_meta`.
pub(crate) mod meta {
    pub(crate) const REVISION: &str = "io.modelcontextprotocol/protocolVersion";
    pub(crate) const CLIENT_CAPABILITIES: &str = "io.modelcontextprotocol/clientCapabilities";
    pub(crate) const CLIENT_INFO: &str = "io.modelcontextprotocol/clientInfo";
    pub(crate) const SERVER_INFO: &str = "io.modelcontextprotocol/serverInfo";
    pub(crate) const LOG_LEVEL: &str = "io.modelcontextprotocol/logLevel";
    pub(crate) const SUBSCRIPTION: &str = "io.modelcontextprotocol/subscriptionId";
}

/// A request on its way to a shared child.
pub(crate) struct Outgoing<'a> {
    request: &'a Request<'a>,
    token: Option<Range<usize>>,
    logs: bool,
    /// More that is to be changed of the request.
    pub(crate) edits: Edits<'a>,
}

impl<'a> Outgoing<'a> {
    /// The request as it stands, but for its ids.
    pub(crate) fn of(request: &'a Request<'a>) -> Self {
        let text = request.raw;
        let meta = splice::find(text, &["params", "_meta"]);
        let in_meta = |key: &str| {
            let meta = meta.clone()?;
            let value = splice::find(&text[meta.clone()], &[key])?;
            Some(meta.start + value.start..meta.start + value.end)
        };
        let token = in_meta("progressToken").filter(|token| Id::read_text(&text[token.clone()]).is_some());
        let logs = in_meta(meta::LOG_LEVEL).is_some();
        Self { request, token, logs, edits: Edits::of(text) }
    }

    pub(super) fn id(&self) -> &'a RawValue {
        self.request.id
    }

    pub(super) fn token(&self) -> Option<Box<RawValue>> {
        let token = self.request.raw[self.token.clone()?].to_owned();
        RawValue::from_string(token).ok()
    }

    pub(super) fn logs(&self) -> bool {
        self.logs
    }

    /// The caller wants to read what the server logs meanwhile, or not.
    pub(crate) fn wants_logs(&mut self, wanted: bool) {
        self.logs = wanted;
    }

    pub(super) fn listens(&self) -> bool {
        self.request.method == "subscriptions/listen"
    }

    /// The line for the child, in which the call bears this number.
    pub(super) fn line(self, number: u64) -> Bytes {
        let Self { request, token, mut edits, .. } = self;
        if let Some(id) = splice::range_of(request.raw, request.id.get()) {
            edits.replace(id, number.to_string());
        }
        if let Some(token) = token {
            edits.replace(token, number.to_string());
        }
        line(edits.apply())
    }
}

/// Puts members into `params._meta` of a message. What stands there and is no object has no meaning, and goes.
pub(crate) fn into_meta(edits: &mut Edits<'_>, text: &str, members: &str) {
    let is_object = |place: &Range<usize>| text[place.clone()].starts_with('{');
    match (splice::find(text, &["params", "_meta"]), splice::find(text, &["params"])) {
        (Some(meta), _) if is_object(&meta) => edits.insert(&meta, members.to_owned()),
        (Some(meta), _) => edits.replace(meta, format!("{{{members}}}")),
        (None, Some(params)) if is_object(&params) => {
            edits.insert(&params, format!("\"_meta\":{{{members}}}"));
        }
        (None, Some(params)) => edits.replace(params, format!("{{\"_meta\":{{{members}}}}}")),
        (None, None) => {
            if let Some(message) = splice::find(text, &[]) {
                edits.insert(&message, format!("\"params\":{{\"_meta\":{{{members}}}}}"));
            }
        }
    }
}

/// The text on one line.
pub(crate) fn line(text: String) -> Bytes {
    match message::line(&text) {
        std::borrow::Cow::Borrowed(_) => text.into(),
        std::borrow::Cow::Owned(line) => line.into(),
    }
}

/// A request that the bridge wrote, with its number for an id.
pub(super) fn with_id(text: &str, number: u64) -> Option<Bytes> {
    let mut edits = Edits::of(text);
    edits.replace(splice::find(text, &["id"])?, number.to_string());
    Some(edits.apply().into())
}

/// An answer with the id of its caller. What listened also has it in `_meta`.
pub(super) fn answer(response: &Response<'_>, id: &RawValue, listens: bool) -> Bytes {
    let text = response.raw;
    let mut edits = Edits::of(text);
    if let Some(range) = splice::range_of(text, response.id.get()) {
        edits.replace(range, id.get());
    }
    if listens && let Some(subscription) = splice::find(text, &["result", "_meta", meta::SUBSCRIPTION]) {
        edits.replace(subscription, id.get());
    }
    edits.apply().into()
}

/// The number in a message of the child at the end of this path, and where it lies.
pub(super) fn number_at(text: &str, path: &[&str]) -> Option<(u64, Range<usize>)> {
    let range = splice::find(text, path)?;
    let number = number(Id::read_text(&text[range.clone()])?)?;
    Some((number, range))
}

/// The number of a call, by an id that the child wrote. Some servers make texts of numbers.
pub(super) fn number(id: Id) -> Option<u64> {
    match id {
        Id::Integer(number) => u64::try_from(number).ok(),
        Id::Text(text) => text.parse().ok(),
        Id::Number(_) => None,
    }
}

/// The answer to a request that has only to be heard.
pub(crate) fn empty_result(id: &RawValue) -> Bytes {
    format!(r#"{{"jsonrpc":"2.0","id":{id},"result":{{}}}}"#).into()
}

/// The last message of a subscription that a client has under this id.
pub(crate) fn end_of_subscription(id: &RawValue) -> Bytes {
    let key = meta::SUBSCRIPTION;
    format!(r#"{{"jsonrpc":"2.0","id":{id},"result":{{"resultType":"complete","_meta":{{"{key}":{id}}}}}}}"#)
        .into()
}

/// A message in which something else is put in one place.
pub(super) fn with(text: &str, place: Range<usize>, by: &RawValue) -> Bytes {
    let mut edits = Edits::of(text);
    edits.replace(place, by.get());
    edits.apply().into()
}

/// Tells a child that nobody waits for the answer to a call any more.
pub(super) fn cancellation(number: u64) -> Bytes {
    let text = format!(
        r#"{{"jsonrpc":"2.0","method":"notifications/cancelled","params":{{"requestId":{number},"reason":"the client has left"}}}}"#
    );
    text.into()
}
