//! The access log.

use std::borrow::Cow;

use ::access_log::{LevelCounts, Place, TraceRecord};
use http::StatusCode as S;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};

use crate::contract::json;
use crate::error::problem_type as T;
use crate::openapi::{Answer, Operation, field};
use crate::paging::Page;
use crate::problem::{Problem, ProblemType};

/// A frame of a log that is followed.
pub(super) struct RowFrame<R>(std::marker::PhantomData<R>);

impl<R: JsonSchema> JsonSchema for RowFrame<R> {
    fn schema_name() -> Cow<'static, str> {
        format!("FrameOf{}", R::schema_name()).into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let (row, problem) = (generator.subschema_for::<R>(), generator.subschema_for::<Problem>());
        let (id, place) = (generator.subschema_for::<Place>(), generator.subschema_for::<Place>());
        let gap = json_schema!({
            "type": "object", "required": ["from", "before"], "properties": { "from": place, "before": place },
        });
        json_schema!({
            "oneOf": [
                {
                    "description": "A row; the frame's id is the row's place.",
                    "required": ["id", "data"],
                    "properties": { "event": { "const": "message" }, "id": id, "data": json(row) },
                },
                {
                    "description": "Rows from `from` on and before `before` may be missing: they were dropped before they \
                        were known to be kept.",
                    "required": ["event", "data"],
                    "properties": { "event": { "const": "gap" }, "data": json(gap) },
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

const TAIL_PROBLEMS: [ProblemType; 6] = [
    T::INSTANCE_NOT_FOUND,
    T::PLACE_TO_COME,
    T::TOO_MANY_TAILS,
    T::STORE_UNAVAILABLE,
    T::ACCESS_LOG_UNAVAILABLE,
    T::ACCESS_LOG_UNREADABLE,
];

/// What a stream of frames says of itself.
const TAIL_DESCRIPTION: &str = "Server-sent events, in the order in which rows were stored: history as it was asked for, \
    then each row as soon as it is published. A frame without a name is a row; a client that comes again with the id of \
    the last one as `Last-Event-ID` misses none and gets none twice. `gap` names rows that may be missing; `problem` holds \
    a problem document where the stream cannot go on, `client_too_slow` where nothing was taken for 30 seconds.";

pub(crate) fn search() -> Operation {
    Operation::new("search_access_log", "Search who called what, newest first")
        .answers(S::OK, Answer::json::<Page<TraceRecord>>("One page of rows"))
        .problems([T::INSTANCE_NOT_FOUND, T::ACCESS_LOG_UNAVAILABLE, T::ACCESS_LOG_UNREADABLE])
}

pub(crate) fn count() -> Operation {
    Operation::new("count_access_log", "How many rows of each level a search would find")
        .answers(S::OK, Answer::json::<LevelCounts>("A number for each level"))
        .problems([T::INSTANCE_NOT_FOUND, T::ACCESS_LOG_UNAVAILABLE, T::ACCESS_LOG_UNREADABLE])
}

pub(crate) fn show_trace() -> Operation {
    Operation::new("show_trace", "All rows of one trace id, oldest first")
        .answers(S::OK, Answer::json::<Page<TraceRecord>>("The rows; of a longer trace the first"))
        .problems([T::ACCESS_LOG_UNAVAILABLE, T::ACCESS_LOG_UNREADABLE])
}

pub(crate) fn tail() -> Operation {
    following::<TraceRecord>(Operation::new("tail_access_log", "Follow who calls what"))
}

/// A log that is followed.
pub(super) fn following<R: JsonSchema>(operation: Operation) -> Operation {
    operation
        .description(TAIL_DESCRIPTION)
        .header(field::LAST_PLACE)
        .answers(S::OK, Answer::of_type::<RowFrame<R>>("text/event-stream", "One frame for each row"))
        .problems(TAIL_PROBLEMS)
}

pub(crate) fn export() -> Operation {
    let file = Answer::of_type::<String>("application/jsonl", "The file, in the order of time");
    let file = file.or_type("text/csv").or_type("application/vnd.apache.parquet");
    exporting(Operation::new("export_access_log", "Export who called what as a file"), file)
}

/// Rows as a file.
pub(super) fn exporting(operation: Operation, file: Answer) -> Operation {
    operation
        .description(
            "Written while it is read, oldest row first, up to now or `until`. Fields have the names that they have in \
             answers. An answer that breaks off is not complete: it goes on with `after`, made of `time` and `place` of \
             the last row that has come. It breaks off when nothing of it is taken for half a minute.",
        )
        .answers(S::OK, file.with(field::ROW_COUNT))
        .problems([
            T::INSTANCE_NOT_FOUND,
            T::EXPORT_TOO_LARGE,
            T::TOO_MANY_EXPORTS,
            T::ACCESS_LOG_UNAVAILABLE,
            T::ACCESS_LOG_UNREADABLE,
        ])
}
