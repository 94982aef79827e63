//! The access log.

use ::access_log::TraceRecord;
use http::StatusCode as S;

use crate::error::problem_type as T;
use crate::openapi::{Answer, Operation};
use crate::paging::Page;

pub(crate) fn search() -> Operation {
    Operation::new("search_access_log", "Search who called what, newest first")
        .answers(S::OK, Answer::json::<Page<TraceRecord>>("One page of rows"))
        .problems([T::INSTANCE_NOT_FOUND, T::ACCESS_LOG_UNAVAILABLE, T::ACCESS_LOG_UNREADABLE])
}
