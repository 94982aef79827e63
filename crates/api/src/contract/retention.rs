//! Retention plans.

use http::StatusCode as S;

use crate::error::problem_type as T;
use crate::openapi::{Answer, Operation, field};
use crate::retention::RetentionDocument;

fn plan(description: &'static str) -> Answer {
    Answer::json::<RetentionDocument>(description).with(field::ETAG)
}

pub(crate) fn show() -> Operation {
    Operation::new("show_retention", "Show for how long the log rows of an instance are kept")
        .answers(S::OK, plan("The plan, or the default"))
        .problems([T::INSTANCE_NOT_FOUND])
}

pub(crate) fn set() -> Operation {
    Operation::new("set_retention", "Say for how long the log rows of an instance are kept")
        .description("Rows that are there already go when they would have gone.")
        .answers(S::OK, plan("The plan"))
        .problems([T::INSTANCE_NOT_FOUND, T::BEYOND_A_BOUND])
}

pub(crate) fn reset() -> Operation {
    Operation::new("reset_retention", "Keep the log rows of an instance for as long as those of any other")
        .answers(S::OK, plan("The default"))
        .problems([T::INSTANCE_NOT_FOUND])
}
