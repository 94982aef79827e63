//! Statistics.

use http::StatusCode as S;

use crate::error::problem_type as T;
use crate::openapi::{Answer, Operation};
use crate::statistics::StatisticsDocument;

pub(crate) fn show() -> Operation {
    statistics(Operation::new("show_statistics", "Show how much was called, how well and by whom"))
}

pub(crate) fn of_instance() -> Operation {
    statistics(Operation::new(
        "show_instance_statistics",
        "Show how much an instance was called, how well and by whom",
    ))
    .problems([T::INSTANCE_NOT_FOUND])
}

fn statistics(operation: Operation) -> Operation {
    operation
        .description(
            "Out of sums by minute, which are kept for 400 days, longer than the rows of the access log. A call counts \
             when it has ended, and within two seconds. Latencies are off by one in a hundred at most.",
        )
        .answers(S::OK, Answer::json::<StatisticsDocument>("The statistics"))
        .problems([T::UNPROCESSABLE_REQUEST, T::ACCESS_LOG_UNAVAILABLE, T::ACCESS_LOG_UNREADABLE])
}
