//! How the platform is.

use http::StatusCode as S;

use crate::error::problem_type as T;
use crate::openapi::{Answer, Operation};
use crate::status::StatusDocument;

pub(crate) fn show() -> Operation {
    Operation::new("show_status", "Show which roles can do their work, and how far log rows have come")
        .answers(S::OK, Answer::json::<StatusDocument>("How the platform is"))
        .problems([T::STORE_UNAVAILABLE])
}
