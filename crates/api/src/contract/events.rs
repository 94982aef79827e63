//! The log.

use http::StatusCode as S;

use crate::error::problem_type as T;
use crate::events::TraceDocument;
use crate::openapi::{Answer, Operation, field};

pub(crate) fn tail() -> Operation {
    let stream = Answer::text("text/event-stream", "One frame for each event");
    Operation::new("tail_events", "Follow the events as they come")
        .description(
            "Server-sent events. A frame without a name is an event of the log, and its id the sequence; `end` comes \
             after the last one that was asked for; `problem` holds a problem document where the stream cannot go on.",
        )
        .header(field::LAST_EVENT_ID)
        .answers(S::OK, stream)
        .problems([T::INSTANCE_NOT_FOUND, T::TOO_MANY_TAILS, T::STORE_UNAVAILABLE])
}

pub(crate) fn show() -> Operation {
    Operation::new("show_event", "Show an event with what led to it and what it led to")
        .answers(S::OK, Answer::json::<TraceDocument>("The event among those that it hangs together with"))
        .problems([T::EVENT_NOT_FOUND, T::LOG_UNREADABLE, T::STORE_UNAVAILABLE])
}
