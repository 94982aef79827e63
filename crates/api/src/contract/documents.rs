//! OpenAPI documents that instances serve.

use http::StatusCode as S;

use crate::documents::KeptDocument;
use crate::error::problem_type as T;
use crate::openapi::{Answer, Operation};

pub(crate) fn keep() -> Operation {
    Operation::new("keep_document", "Keep an OpenAPI document")
        .description(
            "OpenAPI 3.0 or 3.1, JSON or YAML, or a bundle of several. A hosted instance whose command is \
             `mcpcan-openapi --document DOCUMENT` serves its operations as tools. May be repeated: the same document \
             is kept once.",
        )
        .answers(S::OK, Answer::json::<KeptDocument>("The document, which is kept"))
        .problems([T::DOCUMENT_REFUSED, T::BODY_TIMEOUT, T::BODY_INCOMPLETE, T::STORE_UNAVAILABLE])
}
