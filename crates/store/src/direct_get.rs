//! Reading a stream by direct get (NATS ADR-31), which needs no consumer: page by page, from a sequence or a time on.

use futures_util::StreamExt;
use serde_json::Value;

use crate::connection::{REQUEST_TIMEOUT, Store};
use crate::envelope;
use crate::error::{During, Unavailable};

/// The status that ends a page.
const END_OF_PAGE: u16 = 204;
/// The status of a page that would be empty.
const NOTHING_THERE: u16 = 404;

/// How many messages come after one, as far as its server knew.
const PENDING: &str = "Nats-Num-Pending";

/// Messages of one request, in order.
pub(crate) struct Page {
    pub(crate) messages: Vec<async_nats::Message>,
    /// Whether the stream holds more that was asked for.
    pub(crate) more: bool,
}

impl Store {
    /// The messages that a request for direct get names. It has to be a request for a batch.
    pub(crate) async fn direct_get(
        &self,
        stream: &str,
        request: &Value,
        operation: &'static str,
    ) -> Result<Page, Unavailable> {
        let inbox = self.client.new_inbox();
        let mut replies = self.client.subscribe(inbox.clone()).await.during(operation)?;
        let request = async_nats::Request::new().payload(request.to_string().into()).inbox(inbox);
        self.jetstream.send_request(format!("DIRECT.GET.{stream}"), request).await.during(operation)?;
        let mut page = Page { messages: Vec::new(), more: false };
        loop {
            let reply = tokio::time::timeout(REQUEST_TIMEOUT, replies.next()).await.during(operation)?;
            let reply = reply.ok_or("the connection was closed").during(operation)?;
            match reply.status.map(|status| status.as_u16()) {
                None => page.messages.push(reply),
                Some(END_OF_PAGE) => {
                    page.more = reply.headers.is_some_and(|headers| has_more(&headers));
                    return Ok(page);
                }
                Some(NOTHING_THERE) => return Ok(page),
                Some(status) => {
                    let reason = reply.description.unwrap_or_default();
                    return Err(Unavailable::new(operation, format!("{status} {reason}")));
                }
            }
        }
    }
}

fn has_more(headers: &async_nats::HeaderMap) -> bool {
    envelope::parse::<u64>(headers, PENDING).is_ok_and(|pending| pending > 0)
}

/// Sends nothing that JetStream could refuse with a status other than those above.
pub(crate) fn batch_from(sequence: u64, subjects: &str, messages_max: usize) -> Value {
    serde_json::json!({ "seq": sequence.max(1), "next_by_subj": subjects, "batch": messages_max })
}

/// The same, ended before so many bytes are exceeded; one message comes in any case.
pub(crate) fn batch_within(sequence: u64, subjects: &str, messages_max: usize, bytes_max: usize) -> Value {
    let mut request = batch_from(sequence, subjects, messages_max);
    request["max_bytes"] = bytes_max.into();
    request
}

/// The first message of a stream that was stored at a time or later.
pub(crate) fn first_since(time: jiff::Timestamp, subjects: &str) -> Value {
    serde_json::json!({ "start_time": time.to_string(), "next_by_subj": subjects, "batch": 1 })
}

/// The last message of each of these subjects.
pub(crate) fn last_of(subjects: [String; 1]) -> Value {
    serde_json::json!({ "multi_last": subjects })
}
