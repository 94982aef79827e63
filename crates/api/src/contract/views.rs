//! The views as operators see them.

use http::StatusCode as S;

use crate::error::problem_type as T;
use crate::openapi::{Answer, Operation, field};
use crate::paging::Page;
use crate::views::{RebuildDocument, ViewDocument};

pub(crate) fn list() -> Operation {
    Operation::new("list_views", "List the views with how far they are")
        .answers(S::OK, Answer::json::<Page<ViewDocument>>("All views"))
        .problems([T::STORE_UNAVAILABLE])
}

pub(crate) fn show() -> Operation {
    Operation::new("show_view", "Show how a view is, and what is in its way")
        .answers(S::OK, Answer::json::<ViewDocument>("The view"))
        .problems([T::VIEW_NOT_FOUND, T::STORE_UNAVAILABLE])
}

pub(crate) fn rebuild() -> Operation {
    let answer = |description| Answer::json::<RebuildDocument>(description).with(field::IDEMPOTENCY_KEY);
    Operation::new("rebuild_view", "Fold a view anew from the whole log")
        .description(
            "What there is goes on serving until the new generation has caught up. A rebuild that is under way is \
             not begun twice.",
        )
        .header(field::IDEMPOTENCY_KEY)
        .answers(S::ACCEPTED, answer("The rebuild begins"))
        .answers(S::OK, answer("It was under way before"))
        .problems([T::INVALID_KEY, T::VIEW_NOT_FOUND, T::STORE_UNAVAILABLE])
}
