//! Commands that nobody waited for.

use http::StatusCode as S;

use crate::commands::CommandDocument;
use crate::error::problem_type as T;
use crate::openapi::{Answer, Operation};

pub(crate) fn show() -> Operation {
    Operation::new("show_command", "Show what has become of a command")
        .description("For 24 hours after it was decided, whoever sent it.")
        .answers(S::OK, Answer::json::<CommandDocument>("The command, as far as it has come"))
        .problems([T::COMMAND_NOT_FOUND, T::STORE_UNAVAILABLE])
}
