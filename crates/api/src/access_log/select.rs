//! Which rows of the access log a request means: the parameters that search, tail and export share.

use std::borrow::Cow;

use ::access_log::trace_filter::MAX_FILTER_BYTES;
use ::access_log::{Level, TraceEvent, TraceFilter};
use domain::TokenId;
use jiff::{SignedDuration, Timestamp};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Deserialize;
use uuid::Uuid;

use crate::directory::Directory;
use crate::error::Error;
use crate::moment::{Moment, moment};
use crate::violation::{Place, Violations, word};

/// What rows have to be like. What is not given lets everything through.
#[derive(Debug, Deserialize, JsonSchema)]
pub(crate) struct SelectTraces {
    /// By id, which also finds the rows of an instance that was deleted, or by name.
    instance: Option<String>,
    /// The trace id.
    #[schemars(length(max = MAX_FILTER_BYTES))]
    trace: Option<String>,
    /// By id or by label.
    #[schemars(length(max = MAX_FILTER_BYTES))]
    token: Option<String>,
    /// This level or a graver one.
    #[schemars(with = "Option<Level>")]
    level: Option<String>,
    /// What happened.
    #[schemars(with = "Option<TraceEvent>")]
    event: Option<String>,
    /// The JSON-RPC method; `rpc_method`, as rows have it, is understood too.
    #[serde(alias = "rpc_method")]
    #[schemars(length(max = MAX_FILTER_BYTES))]
    method: Option<String>,
    /// The name of a tool, prompt or resource.
    #[schemars(length(max = MAX_FILTER_BYTES))]
    tool: Option<String>,
    /// The HTTP status.
    #[schemars(with = "Option<u16>")]
    status: Option<String>,
    /// The replica that answered, by id.
    #[schemars(with = "Option<Uuid>")]
    replica: Option<String>,
    /// The session, as `session_id` of rows has it.
    #[schemars(length(max = MAX_FILTER_BYTES))]
    session: Option<String>,
    /// The header field of the credential, as `token_header` of rows has it.
    #[schemars(length(max = MAX_FILTER_BYTES))]
    token_header: Option<String>,
    /// What kind of thing went wrong, as `error_class` of rows has it.
    #[schemars(length(max = MAX_FILTER_BYTES))]
    error_class: Option<String>,
    /// Only what took so long, or longer.
    #[schemars(with = "Option<Length>")]
    min_latency: Option<String>,
    /// A part of the error or of the body that was kept, whatever the case of its letters.
    #[schemars(length(max = MAX_FILTER_BYTES))]
    text: Option<String>,
}

/// The form of a length of time that always works. Others that mean the same do too: `1s 500ms`, `PT1.5S`.
struct Length;

impl JsonSchema for Length {
    fn schema_name() -> Cow<'static, str> {
        "Length".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "A length of time.",
            "type": "string",
            "pattern": "^[0-9]{1,6}(ns|us|ms|s|m)$",
            "examples": ["250ms", "2s"],
        })
    }
}

/// From when to when.
#[derive(Debug, Deserialize, JsonSchema)]
pub(crate) struct Span {
    /// From this moment on.
    #[schemars(with = "Option<Moment>")]
    since: Option<String>,
    /// Before this moment.
    #[schemars(with = "Option<Moment>")]
    until: Option<String>,
}

impl SelectTraces {
    /// The filters that can be understood without knowing any instance.
    pub(crate) fn check(&self, violations: &mut Violations) -> TraceFilter {
        let token_id = self.token.as_ref().and_then(|token| token.parse::<TokenId>().ok());
        let token_label = self.token.as_ref().filter(|_| token_id.is_none());
        TraceFilter {
            trace_id: text("trace", self.trace.as_ref(), violations),
            token_id: token_id.map(|id| id.0),
            token_label: text("token", token_label, violations),
            level: word("level", self.level.as_deref(), violations),
            event: word("event", self.event.as_deref(), violations),
            rpc_method: text("method", self.method.as_ref(), violations),
            tool: text("tool", self.tool.as_ref(), violations),
            status: word("status", self.status.as_deref(), violations),
            replica_id: word("replica", self.replica.as_deref(), violations),
            session_id: text("session", self.session.as_ref(), violations),
            token_header: text("token_header", self.token_header.as_ref(), violations),
            error_class: text("error_class", self.error_class.as_ref(), violations),
            latency_min_ns: length("min_latency", self.min_latency.as_deref(), violations),
            text: text("text", self.text.as_ref(), violations),
            ..TraceFilter::default()
        }
    }

    /// The same at the instance that is meant: the one that is named, or the only one that the token opens.
    ///
    /// # Errors
    /// There is no instance of that name.
    pub(crate) fn at(&self, directory: &Directory, filter: TraceFilter) -> Result<TraceFilter, Error> {
        let instance =
            self.instance.as_deref().map(|instance| directory.instance_id(instance)).transpose()?;
        let of_token =
            || filter.token_id.and_then(|id| directory.token(TokenId(id))).map(|token| token.instance);
        Ok(TraceFilter { instance_id: instance.or_else(of_token).map(|id| id.0), ..filter })
    }
}

impl Span {
    pub(crate) fn bound(
        &self,
        filter: TraceFilter,
        now: Timestamp,
        violations: &mut Violations,
    ) -> TraceFilter {
        let since = moment("since", self.since.as_deref(), now, violations);
        let until = moment("until", self.until.as_deref(), now, violations);
        TraceFilter { since, until, ..filter }
    }
}

/// A filter on a text.
fn text(parameter: &str, text: Option<&String>, violations: &mut Violations) -> Option<String> {
    if text.is_some_and(|text| text.len() > MAX_FILTER_BYTES) {
        let place = Place::Parameter(parameter.to_owned());
        violations.add(place, format!("a filter has at most {MAX_FILTER_BYTES} bytes"));
    }
    text.cloned()
}

/// A filter on how long something took, in nanoseconds.
fn length(parameter: &str, text: Option<&str>, violations: &mut Violations) -> Option<u64> {
    let length = text?.parse::<SignedDuration>().ok();
    let length = length.and_then(|length| u64::try_from(length.as_nanos()).ok());
    if length.is_none() {
        let place = Place::Parameter(parameter.to_owned());
        violations.add(place, "a length of time such as `250ms` or `2s` was expected".to_owned());
    }
    length
}
