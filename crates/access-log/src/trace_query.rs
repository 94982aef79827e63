//! Searching the access log: filters, newest first, page by page.

use std::fmt;
use std::str::FromStr;

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use jiff::Timestamp;
use uuid::Uuid;

use crate::client::Client;
use crate::error::Error;
use crate::record::{Level, TraceEvent, TraceRecord};
use crate::row::TraceRow;

/// Rows in one answer, at most.
pub const MAX_ROWS_PER_SEARCH: u32 = 1_000;

/// Rows in one answer when nobody says.
pub const DEFAULT_ROWS_PER_SEARCH: u32 = 100;

/// Bytes of one text filter, at most.
pub const MAX_FILTER_BYTES: usize = 1_024;

/// What to look for. A filter that is `None` lets everything through; all others must match.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TraceQuery {
    pub instance_id: Option<Uuid>,
    pub trace_id: Option<String>,
    pub token_id: Option<Uuid>,
    pub token_label: Option<String>,
    /// This level or a graver one.
    pub level: Option<Level>,
    pub event: Option<TraceEvent>,
    pub rpc_method: Option<String>,
    pub tool: Option<String>,
    pub status: Option<u16>,
    /// From this moment on.
    pub since: Option<Timestamp>,
    /// Before this moment.
    pub until: Option<Timestamp>,
    /// Only rows after this place in the order, for the next page: [`Cursor::after`] the last row of a page.
    pub after: Option<Cursor>,
    /// From 1 to [`MAX_ROWS_PER_SEARCH`].
    pub limit: u32,
}

impl Default for TraceQuery {
    fn default() -> Self {
        Self {
            instance_id: None,
            trace_id: None,
            token_id: None,
            token_label: None,
            level: None,
            event: None,
            rpc_method: None,
            tool: None,
            status: None,
            since: None,
            until: None,
            after: None,
            limit: DEFAULT_ROWS_PER_SEARCH,
        }
    }
}

/// A place in the order of a search: new rows do not move it, so paging neither skips nor repeats a row.
///
/// Its text form is opaque to users and safe in a URL.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cursor {
    time_ns: i64,
    event: TraceEvent,
    span_id: String,
    trace_id: String,
}

/// A text that is no cursor of this crate.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the cursor is not one that a search has returned")]
pub struct InvalidCursor;

impl Cursor {
    /// The place right after `record`.
    ///
    /// # Errors
    /// [`InvalidCursor`] for a record whose time no table can hold, which no search returns.
    pub fn after(record: &TraceRecord) -> Result<Self, InvalidCursor> {
        Ok(Self {
            time_ns: i64::try_from(record.time.as_nanosecond()).map_err(|_| InvalidCursor)?,
            event: record.event,
            span_id: record.span_id.clone(),
            trace_id: record.trace_id.clone(),
        })
    }
}

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Only the last part may be any text, so three splits read it back.
        let plain = format!("{}/{}/{}/{}", self.time_ns, self.event, self.span_id, self.trace_id);
        f.write_str(&BASE64_URL_SAFE_NO_PAD.encode(plain))
    }
}

impl FromStr for Cursor {
    type Err = InvalidCursor;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let plain = BASE64_URL_SAFE_NO_PAD.decode(text).map_err(|_| InvalidCursor)?;
        let plain = String::from_utf8(plain).map_err(|_| InvalidCursor)?;
        let mut parts = plain.splitn(4, '/');
        let mut part = || parts.next().ok_or(InvalidCursor);
        Ok(Self {
            time_ns: part()?.parse().map_err(|_| InvalidCursor)?,
            event: part()?.parse().map_err(|_| InvalidCursor)?,
            span_id: part()?.to_owned(),
            trace_id: part()?.to_owned(),
        })
    }
}

impl Client {
    /// The rows that match, newest first, at most `query.limit` of them.
    ///
    /// # Errors
    /// [`Error::InvalidQuery`] for a filter outside its bounds, [`Error::Unavailable`] while ClickHouse is away.
    pub async fn search(&self, query: &TraceQuery) -> Result<Vec<TraceRecord>, Error> {
        check(query)?;
        let operation = "search traces";
        let filters = Filters::of(query)?;
        let sql = format!(
            "SELECT ?fields FROM mcpcan.access_log WHERE {} \
             ORDER BY time DESC, span_id DESC, event DESC, trace_id DESC LIMIT {}",
            filters.conditions.join(" AND "),
            query.limit
        );
        let mut bound = self.query(&sql);
        for value in filters.values {
            bound = match value {
                Value::Text(text) => bound.bind(text),
                Value::Number(number) => bound.bind(number),
            };
        }
        let mut cursor = bound.fetch::<TraceRow<'_>>().map_err(|error| Error::during(operation, error))?;
        let mut records = Vec::new();
        while let Some(row) = self.within(operation, cursor.next()).await? {
            records.push(row.into_record()?);
        }
        Ok(records)
    }
}

enum Value {
    Text(String),
    Number(i64),
}

/// The `WHERE` of a search: conditions with `?` in them, and the values for these in order.
struct Filters {
    conditions: Vec<&'static str>,
    values: Vec<Value>,
}

impl Filters {
    fn of(query: &TraceQuery) -> Result<Self, Error> {
        let mut filters = Filters { conditions: vec!["true"], values: Vec::new() };
        filters.text("instance_id = toUUID(?)", query.instance_id.map(|id| id.to_string()));
        filters.text("trace_id = ?", query.trace_id.clone());
        filters.text("token_id = toUUID(?)", query.token_id.map(|id| id.to_string()));
        filters.text("token_label = ?", query.token_label.clone());
        filters.text("level >= ?", query.level.map(|level| level.to_string()));
        filters.text("event = ?", query.event.map(|event| event.to_string()));
        filters.text("rpc_method = ?", query.rpc_method.clone());
        filters.text("tool = ?", query.tool.clone());
        filters.number("status = ?", query.status.map(i64::from));
        filters.number("time >= fromUnixTimestamp64Nano(toInt64(?))", nanoseconds("since", query.since)?);
        filters.number("time < fromUnixTimestamp64Nano(toInt64(?))", nanoseconds("until", query.until)?);
        if let Some(cursor) = &query.after {
            // The first condition lets the server skip whole days and granules, the second is exact.
            filters.number("time <= fromUnixTimestamp64Nano(toInt64(?))", Some(cursor.time_ns));
            filters.number(
                "(time, span_id, event, trace_id) < (fromUnixTimestamp64Nano(toInt64(?)), ?, ?, ?)",
                Some(cursor.time_ns),
            );
            let rest = [cursor.span_id.clone(), cursor.event.to_string(), cursor.trace_id.clone()];
            filters.values.extend(rest.map(Value::Text));
        }
        Ok(filters)
    }

    fn text(&mut self, condition: &'static str, value: Option<String>) {
        if let Some(value) = value {
            self.conditions.push(condition);
            self.values.push(Value::Text(value));
        }
    }

    fn number(&mut self, condition: &'static str, value: Option<i64>) {
        if let Some(value) = value {
            self.conditions.push(condition);
            self.values.push(Value::Number(value));
        }
    }
}

fn check(query: &TraceQuery) -> Result<(), Error> {
    if !(1..=MAX_ROWS_PER_SEARCH).contains(&query.limit) {
        return Err(Error::InvalidQuery {
            field: "limit",
            reason: format!("{} is not between 1 and {MAX_ROWS_PER_SEARCH}", query.limit),
        });
    }
    let texts = [
        ("trace_id", &query.trace_id),
        ("token_label", &query.token_label),
        ("rpc_method", &query.rpc_method),
        ("tool", &query.tool),
    ];
    for (field, text) in texts {
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

/// The column's own form of a moment.
pub(crate) fn nanoseconds(field: &'static str, time: Option<Timestamp>) -> Result<Option<i64>, Error> {
    time.map(|time| i64::try_from(time.as_nanosecond())).transpose().map_err(|_| Error::InvalidQuery {
        field,
        reason: "the year is not between 1678 and 2261".to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_survives_its_text_form_whatever_the_trace_id_holds() {
        let cursor = Cursor {
            time_ns: 1_700_000_000_123_456_789,
            event: TraceEvent::SseStart,
            span_id: "00f067aa0ba902b7".to_owned(),
            trace_id: "a/b ? c/ü".to_owned(),
        };
        let text = cursor.to_string();
        assert!(text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_'));
        assert_eq!(text.parse(), Ok(cursor));
    }

    #[test]
    fn what_is_no_cursor_is_refused() {
        for text in ["", "!", "AAAA", "MS9yZXF1ZXN0"] {
            assert_eq!(text.parse::<Cursor>(), Err(InvalidCursor), "{text}");
        }
    }

    #[test]
    fn filters_outside_their_bounds_are_refused_by_name() {
        let too_many = TraceQuery { limit: MAX_ROWS_PER_SEARCH + 1, ..TraceQuery::default() };
        assert_eq!(
            check(&too_many).unwrap_err().to_string(),
            "invalid limit: 1001 is not between 1 and 1000"
        );
        let too_long = TraceQuery { tool: Some("x".repeat(MAX_FILTER_BYTES + 1)), ..TraceQuery::default() };
        assert_eq!(
            check(&too_long).unwrap_err().to_string(),
            "invalid tool: its 1025 bytes are over the limit of 1024"
        );
    }
}
