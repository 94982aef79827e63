//! What is there for everybody.

use http::StatusCode as S;
use schemars::JsonSchema;
use serde_json::{Map, Value};

use crate::openapi::{Answer, Operation};

/// The body of `/readyz`, which `service` writes.
#[derive(JsonSchema)]
#[expect(dead_code, reason = "only its form counts")]
struct Readiness {
    ready: bool,
    /// Whether each role of the process can do its work.
    roles: std::collections::BTreeMap<String, bool>,
}

pub(crate) fn healthz() -> Operation {
    Operation::new("healthz", "Tell whether the process lives")
        .answers(S::OK, Answer::of_type::<String>("text/plain; charset=utf-8", "It lives"))
}

pub(crate) fn readyz() -> Operation {
    let answer = || Answer::json::<Readiness>("Whether every role of the process can do its work");
    Operation::new("readyz", "Tell whether the process can do its work")
        .answers(S::OK, answer())
        .answers(S::SERVICE_UNAVAILABLE, answer())
}

pub(crate) fn openapi() -> Operation {
    Operation::new("openapi", "Show this document")
        .answers(S::OK, Answer::json::<Map<String, Value>>("An OpenAPI document"))
}
