//! The log.

use http::StatusCode as S;

use crate::error::problem_type as T;
use crate::openapi::{Answer, Operation, field};

pub(crate) fn tail() -> Operation {
    let stream = Answer::text("text/event-stream", "One frame for each event, without end");
    Operation::new("tail_events", "Follow the events as they come")
        .header(field::LAST_EVENT_ID)
        .answers(S::OK, stream)
        .problems([T::INSTANCE_NOT_FOUND, T::TOO_MANY_TAILS, T::STORE_UNAVAILABLE])
}
