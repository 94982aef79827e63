//! What an operation takes, read off the types of its handler's extractors.

use axum::extract::State;
use http::{HeaderMap, StatusCode};
use schemars::{JsonSchema, SchemaGenerator};

use super::{Answer, Operation, field};
use crate::command::Caller;
use crate::commands::CommandDocument;
use crate::error::problem_type as T;
use crate::events::Upload;
use crate::extract::{Json, MERGE_PATCH, MergePatch, Path, Query};
use crate::problem::ProblemType;

/// An extractor that knows what it takes from a request, and how a request can fail to give it.
pub(crate) trait Input {
    fn describe(operation: &mut Operation);
}

/// The extractors of a handler: `axum` makes its type parameter a tuple of a marker and them.
pub(crate) trait Inputs: 'static {
    fn describe(operation: &mut Operation);
}

impl<S> Input for State<S> {
    fn describe(_: &mut Operation) {}
}

/// Which fields are read is for the operation to say.
impl Input for HeaderMap {
    fn describe(_: &mut Operation) {}
}

/// Which parameters there are, the path says.
impl<P> Input for Path<P> {
    fn describe(operation: &mut Operation) {
        operation.meets([T::INVALID_PATH]);
    }
}

impl<Q: JsonSchema> Input for Query<Q> {
    fn describe(operation: &mut Operation) {
        operation.query = Some(SchemaGenerator::subschema_for::<Q>);
        operation.meets([T::INVALID_QUERY, T::INVALID_REQUEST]);
    }
}

impl<B: JsonSchema> Input for Json<B> {
    fn describe(operation: &mut Operation) {
        operation.body = Some(SchemaGenerator::subschema_for::<B>);
        operation.meets(BODY_PROBLEMS);
    }
}

impl<B: JsonSchema> Input for Option<Json<B>> {
    fn describe(operation: &mut Operation) {
        Json::<B>::describe(operation);
        operation.body_is_optional = true;
    }
}

/// What is wrong with the bytes is for the operation to say.
impl Input for Upload {
    fn describe(operation: &mut Operation) {
        operation.takes_bytes = true;
    }
}

impl<B: JsonSchema> Input for MergePatch<B> {
    fn describe(operation: &mut Operation) {
        operation.body = Some(SchemaGenerator::subschema_for::<B>);
        operation.body_media_types.push(MERGE_PATCH);
        operation.meets(BODY_PROBLEMS);
    }
}

const BODY_PROBLEMS: [ProblemType; 6] = [
    T::NOT_JSON,
    T::BODY_TOO_LARGE,
    T::BODY_TIMEOUT,
    T::BODY_INCOMPLETE,
    T::MALFORMED_JSON,
    T::INVALID_REQUEST,
];

impl Input for Caller {
    fn describe(operation: &mut Operation) {
        for header in [field::IDEMPOTENCY_KEY, field::IF_MATCH, field::PREFER] {
            operation.takes_header(header);
        }
        operation.may_answer(StatusCode::ACCEPTED, accepted());
        operation.answers_with(field::IDEMPOTENCY_KEY);
        operation.meets([
            T::INVALID_KEY,
            T::INVALID_IF_MATCH,
            T::REVISION_CHANGED,
            T::KEY_REUSED,
            T::NOT_VISIBLE,
            T::LOG_UNREADABLE,
            T::STORE_UNAVAILABLE,
        ]);
    }
}

/// The answer to a command that is not decided yet, for whoever does not want to wait, or has waited too long.
fn accepted() -> Answer {
    Answer::json::<CommandDocument>("The command, which is accepted and will be decided")
        .with(field::LOCATION)
        .with(field::RETRY_AFTER)
        .may_have(field::PREFERENCE_APPLIED)
        .identifies("command", "/id")
}

impl Inputs for ((),) {
    fn describe(_: &mut Operation) {}
}

macro_rules! inputs {
    ($($input:ident),+) => {
        impl<M: 'static, $($input: Input + 'static),+> Inputs for (M, $($input,)+) {
            fn describe(operation: &mut Operation) {
                $($input::describe(operation);)+
            }
        }
    };
}

inputs!(A);
inputs!(A, B);
inputs!(A, B, C);
inputs!(A, B, C, D);
inputs!(A, B, C, D, E);
inputs!(A, B, C, D, E, F);
