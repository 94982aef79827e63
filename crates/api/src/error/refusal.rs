//! The problem types of what the decider refuses.

use domain::{Refusal, claim, import, instance, retention_plan, template, token};
use http::HeaderValue;
use http::header::ETAG;
use serde_json::json;

use super::problem_type as T;
use crate::problem::Problem;

pub(super) fn refused(refusal: &Refusal) -> Problem {
    match refusal {
        Refusal::InstanceName(claim::Refusal::Taken { holder }) => {
            Problem::new(T::NAME_TAKEN).with("holder", json!(holder))
        }
        Refusal::TemplateName(claim::Refusal::Taken { holder }) => {
            Problem::new(T::NAME_TAKEN).with("holder", json!(holder))
        }
        Refusal::Credential(claim::Refusal::Taken { holder }) => {
            Problem::new(T::CREDENTIAL_TAKEN).with("holder", json!(holder))
        }
        Refusal::Instance(refusal) => refused_instance(refusal),
        Refusal::Token(refusal) => refused_token(refusal),
        Refusal::Template(refusal) => match refusal {
            template::Refusal::Exists => Problem::new(T::TEMPLATE_EXISTS),
            template::Refusal::NotFound => Problem::new(T::TEMPLATE_NOT_FOUND),
            template::Refusal::Deleted => Problem::new(T::TEMPLATE_DELETED),
            template::Refusal::Settings { refusal } => refused_instance(refusal),
        },
        Refusal::RetentionPlan(refusal) => match refusal {
            retention_plan::Refusal::Days { max } => Problem::new(T::BEYOND_A_BOUND).with("max", *max),
            retention_plan::Refusal::InstanceNotFound => Problem::new(T::INSTANCE_NOT_FOUND),
        },
        Refusal::Import(refusal) => match refusal {
            import::Refusal::Differs { sequence } => Problem::new(T::LOG_DIFFERS).with("sequence", *sequence),
            import::Refusal::Gap { expected, .. } => Problem::new(T::LOG_GAP).with("expected", *expected),
            import::Refusal::Busy => Problem::new(T::IMPORT_BUSY),
        },
        Refusal::Changed { revision } => {
            Problem::new(T::REVISION_CHANGED).with("revision", *revision).header(ETAG, etag(*revision))
        }
    }
}

fn refused_instance(refusal: &instance::Refusal) -> Problem {
    match refusal {
        instance::Refusal::Exists => Problem::new(T::INSTANCE_EXISTS),
        instance::Refusal::NotFound => Problem::new(T::INSTANCE_NOT_FOUND),
        instance::Refusal::Deleted => Problem::new(T::INSTANCE_DELETED),
        instance::Refusal::NotHosted | instance::Refusal::NoReplicas => Problem::new(T::NOT_HOSTED),
        instance::Refusal::Superseded { wanted, .. } => Problem::new(T::SUPERSEDED).with("wanted", *wanted),
        instance::Refusal::NotRunning => Problem::new(T::NOT_RUNNING),
        instance::Refusal::NotProbed => Problem::new(T::NOT_PROBED),
        instance::Refusal::UnknownReplica | instance::Refusal::NoReadyReplica => {
            Problem::new(T::UNKNOWN_REPLICA)
        }
        instance::Refusal::NotOfMode { setting, .. } => {
            Problem::new(T::NOT_OF_MODE).with("setting", setting.as_str())
        }
        instance::Refusal::NoCommand | instance::Refusal::NothingToRun => Problem::new(T::NO_COMMAND),
        instance::Refusal::RequestAboveLimit => Problem::new(T::REQUEST_ABOVE_LIMIT),
        instance::Refusal::Replicas { max } => Problem::new(T::BEYOND_A_BOUND).with("max", *max),
        instance::Refusal::TooMany { max, .. } | instance::Refusal::TooLarge { max } => {
            Problem::new(T::BEYOND_A_BOUND).with("max", *max)
        }
    }
}

fn refused_token(refusal: &token::Refusal) -> Problem {
    match refusal {
        token::Refusal::Exists => Problem::new(T::TOKEN_EXISTS),
        token::Refusal::NotFound => Problem::new(T::TOKEN_NOT_FOUND),
        token::Refusal::Revoked => Problem::new(T::TOKEN_REVOKED),
        token::Refusal::Expired => Problem::new(T::TOKEN_EXPIRED),
        token::Refusal::NotDue => Problem::new(T::TOKEN_NOT_DUE),
        token::Refusal::InstanceNotFound => Problem::new(T::INSTANCE_NOT_FOUND),
        token::Refusal::DirectHasNone => Problem::new(T::DIRECT_HAS_NO_TOKENS),
        token::Refusal::TooMany { max, .. } | token::Refusal::TooLarge { max } => {
            Problem::new(T::BEYOND_A_BOUND).with("max", *max)
        }
    }
}

/// The entity tag of a revision (RFC 9110 section 8.8.3).
fn etag(revision: u64) -> HeaderValue {
    HeaderValue::from_str(&format!("\"{revision}\"")).expect("digits in quotes are a header value")
}
