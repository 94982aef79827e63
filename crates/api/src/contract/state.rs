//! What was so at an earlier moment.

use http::StatusCode as S;

use crate::error::problem_type as T;
use crate::openapi::{Answer, Operation};
use crate::problem::ProblemType;
use crate::state::{DiffDocument, StateDocument};

/// What stands in the way of telling the past.
const PROBLEMS: [ProblemType; 7] = [
    T::MOMENT_TO_COME,
    T::UNKNOWN_AGGREGATE,
    T::NEVER_EXISTED,
    T::DID_NOT_EXIST_YET,
    T::EVENT_NOT_FOUND,
    T::LOG_UNREADABLE,
    T::STORE_UNAVAILABLE,
];

pub(crate) fn show() -> Operation {
    Operation::new("show_state", "Show what something was like at an earlier moment")
        .answers(S::OK, Answer::json::<StateDocument>("What showing it would have answered then"))
        .problems(PROBLEMS)
        .problems([T::WAS_GONE])
}

pub(crate) fn diff() -> Operation {
    Operation::new("diff_state", "Show what has changed between two moments")
        .answers(S::OK, Answer::json::<DiffDocument>("The changes"))
        .problems(PROBLEMS)
        .problems([T::WAS_GONE])
}
