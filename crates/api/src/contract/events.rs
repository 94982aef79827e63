//! The log.

use std::borrow::Cow;

use http::StatusCode as S;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};

use crate::contract::json;
use crate::error::problem_type as T;
use crate::events::{
    EventDocument, TraceDocument, UndoneDocument, VerificationDocument, VerifyProgressDocument,
};
use crate::openapi::{Answer, Operation, field};
use crate::problem::Problem;

/// A frame of the stream.
struct Frame;

impl JsonSchema for Frame {
    fn schema_name() -> Cow<'static, str> {
        "Frame".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let (event, problem) =
            (generator.subschema_for::<EventDocument<'_>>(), generator.subschema_for::<Problem>());
        let end = json_schema!({ "type": "object", "required": ["next_sequence", "reason"] });
        json_schema!({
            "oneOf": [
                {
                    "description": "An event of the log; the frame's id is the event's sequence.",
                    "required": ["id", "data"],
                    "properties": { "event": { "const": "message" }, "data": json(event) },
                },
                {
                    "description": "Comes after the last event that was asked for.",
                    "required": ["event", "data"],
                    "properties": { "event": { "const": "end" }, "data": json(end) },
                },
                {
                    "description": "The stream cannot go on.",
                    "required": ["event", "data"],
                    "properties": { "event": { "const": "problem" }, "data": json(problem) },
                },
            ],
        })
    }
}

/// A frame of a verification.
struct VerifyFrame;

impl JsonSchema for VerifyFrame {
    fn schema_name() -> Cow<'static, str> {
        "VerifyFrame".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let progress = generator.subschema_for::<VerifyProgressDocument>();
        let end = generator.subschema_for::<VerificationDocument>();
        let problem = generator.subschema_for::<Problem>();
        json_schema!({
            "oneOf": [
                {
                    "description": "How far the comparison has come.",
                    "required": ["event", "data"],
                    "properties": { "event": { "const": "progress" }, "data": json(progress) },
                },
                {
                    "description": "What was found. Nothing comes after it.",
                    "required": ["event", "data"],
                    "properties": { "event": { "const": "end" }, "data": json(end) },
                },
                {
                    "description": "The comparison cannot go on.",
                    "required": ["event", "data"],
                    "properties": { "event": { "const": "problem" }, "data": json(problem) },
                },
            ],
        })
    }
}

/// A frame of long work.
#[derive(JsonSchema)]
#[expect(dead_code, reason = "only its form counts")]
struct StepFrame {
    /// `progress`, `end` or `problem`.
    event: String,
    /// A JSON document.
    data: String,
}

pub(crate) fn tail() -> Operation {
    let stream = Answer::of_type::<Frame>("text/event-stream", "One frame for each event");
    Operation::new("tail_events", "Follow the events as they come")
        .description(
            "Server-sent events. A frame without a name is an event of the log, and its id the sequence; `end` comes \
             after the last one that was asked for; `problem` holds a problem document where the stream cannot go on.",
        )
        .header(field::LAST_EVENT_ID)
        .answers(S::OK, stream)
        .problems([T::INSTANCE_NOT_FOUND, T::TEMPLATE_NOT_FOUND, T::TOO_MANY_TAILS, T::STORE_UNAVAILABLE])
}

pub(crate) fn export() -> Operation {
    let file = Answer::of_type::<String>(
        "application/vnd.msgpack",
        "The file; with `format=jsonl` it is `application/jsonl`",
    )
    .or_type("application/jsonl");
    Operation::new("export_events", "Export the log as a file that can be imported")
        .description(
            "A header, the wrapped keys of secrets, the events as they are stored, a checksum after each run of them, \
             and a footer. An answer that breaks off has no footer, and is refused by every import.",
        )
        .answers(S::OK, file)
        .problems([T::TOO_MANY_EXPORTS, T::STORE_UNAVAILABLE])
}

pub(crate) fn import() -> Operation {
    let stream =
        Answer::of_type::<StepFrame>("text/event-stream", "`progress` frames, then `end` or `problem`");
    Operation::new("import_events", "Import a file of exported events")
        .description(
            "The file is checked to its end before anything is changed. Its events are appended at their own \
             sequences; those that the log has already are compared. May be repeated: what is there stays as it is. \
             Other commands wait meanwhile.",
        )
        .answers(S::OK, stream)
        .problems([
            T::BODY_TIMEOUT,
            T::BODY_INCOMPLETE,
            T::ARCHIVE_DAMAGED,
            T::OTHER_MASTER_KEY,
            T::IMPORT_RUNNING,
            T::LOG_DIFFERS,
            T::LOG_GAP,
            T::NO_ROOM,
            T::TOO_MANY_TAILS,
        ])
}

pub(crate) fn replay() -> Operation {
    let stream =
        Answer::of_type::<StepFrame>("text/event-stream", "`progress` frames, then `end` or `problem`");
    Operation::new("replay_events", "Publish events once more, at a subject of NATS")
        .description(
            "Each message is the event as `GET /events` shows it, or with `raw=true` as it is stored, with the header \
             fields `Mcpcan-Sequence` and `Mcpcan-Subject`. Nothing is stored: who does not listen misses it. The \
             replay ends when the client goes.",
        )
        .header(field::LAST_EVENT_ID)
        .answers(S::OK, stream)
        .problems([T::INSTANCE_NOT_FOUND, T::TEMPLATE_NOT_FOUND, T::TOO_MANY_TAILS, T::STORE_UNAVAILABLE])
}

pub(crate) fn show() -> Operation {
    Operation::new("show_event", "Show an event with what led to it and what it led to")
        .answers(S::OK, Answer::json::<TraceDocument>("The event among those that it hangs together with"))
        .problems([T::EVENT_NOT_FOUND, T::LOG_UNREADABLE, T::STORE_UNAVAILABLE])
}

pub(crate) fn verify() -> Operation {
    Operation::new("verify_events", "Compare the log with its hash chain")
        .description(
            "Server-sent events: `progress` now and then, `end` with what was found, `problem` with a problem document \
             where the comparison cannot go on. Each finding names the event that was changed, is missing, stands \
             elsewhere or was never linked.",
        )
        .answers(S::OK, Answer::of_type::<VerifyFrame>("text/event-stream", "One frame for each step"))
        .problems([T::TOO_MANY_TAILS])
}

pub(crate) fn undo() -> Operation {
    Operation::new("undo_event", "Take a change back")
        .description(
            "A command is made of the event, of what was before it and of what is now. It is refused with a `reason` \
             where such a change is never taken back (`keys_shredded`, `fact`, `restart`, `part`), where somebody has \
             changed the same again (`overtaken`), or where it is gone (`gone`); and by the decider, if somebody is \
             faster. The log keeps both.",
        )
        .answers(S::OK, Answer::json::<UndoneDocument>("The command, and the event that came of it"))
        .problems(REFUSALS_OF_UNDO)
}

/// What can stand in the way of a compensating command, beside its form.
const REFUSALS_OF_UNDO: [crate::problem::ProblemType; 12] = [
    T::EVENT_NOT_FOUND,
    T::NOT_UNDONE,
    T::REVISION_CHANGED,
    T::NAME_TAKEN,
    T::INSTANCE_NOT_FOUND,
    T::INSTANCE_DELETED,
    T::TOKEN_NOT_FOUND,
    T::TOKEN_REVOKED,
    T::NOT_OF_MODE,
    T::NO_COMMAND,
    T::REQUEST_ABOVE_LIMIT,
    T::BEYOND_A_BOUND,
];
