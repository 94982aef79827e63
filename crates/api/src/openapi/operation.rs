//! What the document says of one route.

use std::collections::{BTreeMap, BTreeSet};

use http::StatusCode;
use schemars::{JsonSchema, Schema, SchemaGenerator};

use super::field::Field;
use crate::problem::ProblemType;

/// Makes the schema of a type.
pub(super) type SchemaOf = fn(&mut SchemaGenerator) -> Schema;

/// One operation. Its inputs are added from the types of its handler.
pub(crate) struct Operation {
    pub(super) id: &'static str,
    pub(super) summary: &'static str,
    pub(super) description: Option<&'static str>,
    pub(super) headers: Vec<Field>,
    /// An object whose properties are the query parameters.
    pub(super) query: Option<SchemaOf>,
    pub(super) body: Option<SchemaOf>,
    pub(super) body_is_optional: bool,
    /// Whether the body is taken as it comes.
    pub(super) takes_bytes: bool,
    pub(super) body_media_types: Vec<&'static str>,
    pub(super) answers: BTreeMap<u16, Answer>,
    pub(super) problems: BTreeSet<ProblemType>,
}

impl Operation {
    /// `id` is the name that clients are generated with: the handler's.
    pub(crate) fn new(id: &'static str, summary: &'static str) -> Self {
        Operation {
            id,
            summary,
            description: None,
            headers: vec![],
            query: None,
            body: None,
            body_is_optional: false,
            takes_bytes: false,
            body_media_types: vec!["application/json"],
            answers: BTreeMap::new(),
            problems: BTreeSet::new(),
        }
    }

    /// What the summary leaves open.
    pub(crate) fn description(self, description: &'static str) -> Self {
        Operation { description: Some(description), ..self }
    }

    /// An answer that is no problem document.
    pub(crate) fn answers(mut self, status: StatusCode, answer: Answer) -> Self {
        self.answers.insert(status.as_u16(), answer);
        self
    }

    /// Problems that this operation meets, beside those of its inputs.
    pub(crate) fn problems(mut self, problems: impl IntoIterator<Item = ProblemType>) -> Self {
        self.problems.extend(problems);
        self
    }

    /// A header field of the request.
    pub(crate) fn header(mut self, field: Field) -> Self {
        self.headers.push(field);
        self
    }

    pub(super) fn takes_header(&mut self, field: Field) {
        self.headers.push(field);
    }

    pub(super) fn may_answer(&mut self, status: StatusCode, answer: Answer) {
        self.answers.insert(status.as_u16(), answer);
    }

    pub(super) fn meets(&mut self, problems: impl IntoIterator<Item = ProblemType>) {
        self.problems.extend(problems);
    }

    /// Adds a header field to every answer that is a success.
    pub(super) fn answers_with(&mut self, field: Field) {
        for answer in self.answers.values_mut() {
            answer.headers.push(field);
        }
    }
}

/// An answer that is no problem document.
pub(crate) struct Answer {
    pub(super) description: &'static str,
    pub(super) media_types: Vec<&'static str>,
    pub(super) schema: SchemaOf,
    pub(super) headers: Vec<Field>,
    pub(super) optional_headers: Vec<Field>,
    pub(super) identifies: Vec<(&'static str, &'static str)>,
}

impl Answer {
    /// A JSON document of this type.
    pub(crate) fn json<T: JsonSchema>(description: &'static str) -> Self {
        Self::of_type::<T>("application/json", description)
    }

    /// A document of another media type; of a stream of frames, the type is that of one frame.
    pub(crate) fn of_type<T: JsonSchema>(media_type: &'static str, description: &'static str) -> Self {
        let schema = SchemaGenerator::subschema_for::<T>;
        Answer {
            description,
            media_types: vec![media_type],
            schema,
            headers: vec![],
            optional_headers: vec![],
            identifies: vec![],
        }
    }

    /// Another media type that it may have, of the same form.
    pub(crate) fn or_type(mut self, media_type: &'static str) -> Self {
        self.media_types.push(media_type);
        self
    }

    /// A header field that it always has.
    pub(crate) fn with(mut self, field: Field) -> Self {
        self.headers.push(field);
        self
    }

    /// A header field that it may have.
    pub(crate) fn may_have(mut self, field: Field) -> Self {
        self.optional_headers.push(field);
        self
    }

    /// Which member of the document, as a JSON Pointer, is a path parameter of other operations. They are linked.
    pub(crate) fn identifies(mut self, parameter: &'static str, pointer: &'static str) -> Self {
        self.identifies.push((parameter, pointer));
        self
    }
}
