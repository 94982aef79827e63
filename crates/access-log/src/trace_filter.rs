//! What rows of the access log to look for: as the `WHERE` of a search, and as a question to one record.
//!
//! Both forms are made here and say the same, so that who follows the log sees what who searches it finds.

use jiff::Timestamp;
use uuid::Uuid;

use crate::error::Error;
use crate::record::{Level, TraceEvent, TraceRecord};

/// Bytes of one text filter, at most.
pub const MAX_FILTER_BYTES: usize = 1_024;

/// What to look for. A filter that is `None` lets everything through; all others must match.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TraceFilter {
    pub instance_id: Option<Uuid>,
    pub replica_id: Option<Uuid>,
    pub trace_id: Option<String>,
    /// The digest of a session id, as rows have it.
    pub session_id: Option<String>,
    pub token_id: Option<Uuid>,
    pub token_label: Option<String>,
    pub token_header: Option<String>,
    /// This level or a graver one.
    pub level: Option<Level>,
    pub event: Option<TraceEvent>,
    pub rpc_method: Option<String>,
    pub tool: Option<String>,
    pub status: Option<u16>,
    pub error_class: Option<String>,
    pub latency_min_ns: Option<u64>,
    /// A part of the body or of the error, whatever the case of its ASCII letters.
    pub text: Option<String>,
    /// From this moment on.
    pub since: Option<Timestamp>,
    /// Before this moment.
    pub until: Option<Timestamp>,
}

pub(crate) enum Value {
    Text(String),
    Number(i64),
}

/// The `WHERE` of a search: conditions with `?` in them, and the values for these in order.
pub(crate) struct Conditions {
    pub(crate) conditions: Vec<&'static str>,
    pub(crate) values: Vec<Value>,
}

impl TraceFilter {
    /// Whether a record is one of those that are looked for.
    pub fn matches(&self, record: &TraceRecord) -> bool {
        fn is<T: PartialEq<U>, U>(wanted: Option<&T>, value: &U) -> bool {
            wanted.is_none_or(|wanted| *wanted == *value)
        }
        is(self.instance_id.as_ref(), &record.instance_id)
            && is(self.replica_id.as_ref(), &record.replica_id)
            && is(self.trace_id.as_ref(), &record.trace_id)
            && is(self.session_id.as_ref(), &record.session_id)
            && is(self.token_id.as_ref(), &record.token_id)
            && is(self.token_label.as_ref(), &record.token_label)
            && is(self.token_header.as_ref(), &record.token_header)
            && self.level.is_none_or(|level| record.level >= level)
            && is(self.event.as_ref(), &record.event)
            && is(self.rpc_method.as_ref(), &record.rpc_method)
            && is(self.tool.as_ref(), &record.tool)
            && is(self.status.as_ref(), &record.status)
            && is(self.error_class.as_ref(), &record.error_class)
            && self.latency_min_ns.is_none_or(|least| record.latency_ns >= least)
            && self.text.as_deref().is_none_or(|text| has_text(record, text))
            && self.since.is_none_or(|since| record.time >= since)
            && self.until.is_none_or(|until| record.time < until)
    }

    /// # Errors
    /// [`Error::InvalidQuery`] for a text over its bound.
    pub(crate) fn check(&self) -> Result<(), Error> {
        for (field, text) in [
            ("trace_id", &self.trace_id),
            ("session_id", &self.session_id),
            ("token_label", &self.token_label),
            ("token_header", &self.token_header),
            ("rpc_method", &self.rpc_method),
            ("tool", &self.tool),
            ("error_class", &self.error_class),
            ("text", &self.text),
        ] {
            let bytes = text.as_ref().map_or(0, String::len);
            if bytes > MAX_FILTER_BYTES {
                return Err(Error::InvalidQuery {
                    field,
                    reason: format!("its {bytes} bytes are over the limit of {MAX_FILTER_BYTES}"),
                });
            }
        }
        Ok(())
    }

    pub(crate) fn conditions(&self) -> Result<Conditions, Error> {
        let mut found = Conditions { conditions: vec!["true"], values: Vec::new() };
        let id = |id: Option<Uuid>| id.map(|id| id.to_string());
        found.text("instance_id = toUUID(?)", id(self.instance_id));
        found.text("replica_id = toUUID(?)", id(self.replica_id));
        found.text("trace_id = ?", self.trace_id.clone());
        found.text("session_id = ?", self.session_id.clone());
        found.text("token_id = toUUID(?)", id(self.token_id));
        found.text("token_label = ?", self.token_label.clone());
        found.text("token_header = ?", self.token_header.clone());
        found.text("level >= ?", self.level.map(|level| level.to_string()));
        found.text("event = ?", self.event.map(|event| event.to_string()));
        found.text("rpc_method = ?", self.rpc_method.clone());
        found.text("tool = ?", self.tool.clone());
        found.number("status = ?", self.status.map(i64::from));
        found.text("error_class = ?", self.error_class.clone());
        // No call lasts for the 292 years that a signed number can hold.
        let latency = self.latency_min_ns.map(|least| i64::try_from(least).unwrap_or(i64::MAX));
        found.number("latency_ns >= ?", latency);
        if let Some(text) = &self.text {
            let text = text.to_ascii_lowercase();
            // What holds the text holds its longest word, and words are what the index knows.
            let word = text.split(|c: char| !c.is_ascii_alphanumeric()).max_by_key(|word| word.len());
            let word = word.filter(|word| !word.is_empty() && *word != text);
            for part in word.into_iter().chain([text.as_str()]) {
                let pattern = format!("%{}%", escaped(part));
                found.conditions.push("(lower(body) LIKE ? OR lower(error) LIKE ?)");
                found.values.extend([Value::Text(pattern.clone()), Value::Text(pattern)]);
            }
        }
        found.number("time >= fromUnixTimestamp64Nano(toInt64(?))", nanoseconds("since", self.since)?);
        found.number("time < fromUnixTimestamp64Nano(toInt64(?))", nanoseconds("until", self.until)?);
        Ok(found)
    }
}

impl Conditions {
    pub(crate) fn text(&mut self, condition: &'static str, value: Option<String>) {
        if let Some(value) = value {
            self.conditions.push(condition);
            self.values.push(Value::Text(value));
        }
    }

    pub(crate) fn number(&mut self, condition: &'static str, value: Option<i64>) {
        if let Some(value) = value {
            self.conditions.push(condition);
            self.values.push(Value::Number(value));
        }
    }

    /// The conditions as one, to stand behind `WHERE`.
    pub(crate) fn sql(&self) -> String {
        self.conditions.join(" AND ")
    }

    /// Gives a query the values that its `?` stand for.
    pub(crate) fn bind(self, query: clickhouse::query::Query) -> clickhouse::query::Query {
        self.values.into_iter().fold(query, |query, value| match value {
            Value::Text(text) => query.bind(text),
            Value::Number(number) => query.bind(number),
        })
    }
}

fn has_text(record: &TraceRecord, text: &str) -> bool {
    let text = text.to_ascii_lowercase();
    [&record.body, &record.error].into_iter().any(|field| field.to_ascii_lowercase().contains(&text))
}

/// The text as a pattern of `LIKE` that means itself.
fn escaped(text: &str) -> String {
    text.replace('\\', r"\\").replace('%', r"\%").replace('_', r"\_")
}

/// The column's own form of a moment.
pub(crate) fn nanoseconds(field: &'static str, time: Option<Timestamp>) -> Result<Option<i64>, Error> {
    time.map(|time| i64::try_from(time.as_nanosecond())).transpose().map_err(|_| Error::InvalidQuery {
        field,
        reason: "the year is not between 1678 and 2261".to_owned(),
    })
}
