//! The access log.

use ::access_log::{LevelCounts, TraceRecord};
use http::StatusCode as S;

use crate::error::problem_type as T;
use crate::openapi::{Answer, Operation};
use crate::paging::Page;

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
