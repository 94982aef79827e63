//! Searching the access log: filters, newest first, page by page.

use std::fmt;
use std::str::FromStr;

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;

use crate::client::Client;
use crate::error::Error;
use crate::record::{Place, TraceRecord};
use crate::row::TraceRow;
use crate::trace_filter::{TraceFilter, Value};

/// Rows in one answer, at most.
pub const MAX_ROWS_PER_SEARCH: u32 = 1_000;

/// Rows in one answer when nobody says.
pub const DEFAULT_ROWS_PER_SEARCH: u32 = 100;

/// One page of a search.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TraceQuery {
    pub filter: TraceFilter,
    /// Only rows after this place in the order, for the next page: [`Cursor::after`] the last row of a page.
    pub after: Option<Cursor>,
    /// From 1 to [`MAX_ROWS_PER_SEARCH`].
    pub limit: u32,
}

impl Default for TraceQuery {
    fn default() -> Self {
        Self { filter: TraceFilter::default(), after: None, limit: DEFAULT_ROWS_PER_SEARCH }
    }
}

impl From<TraceFilter> for TraceQuery {
    fn from(filter: TraceFilter) -> Self {
        Self { filter, ..Self::default() }
    }
}

/// A place in the order of a search: new rows do not move it, so paging neither skips nor repeats a row.
///
/// Its text form is opaque to users and safe in a URL.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cursor {
    time_ns: i64,
    place: Place,
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
        let time_ns = i64::try_from(record.time.as_nanosecond()).map_err(|_| InvalidCursor)?;
        Ok(Self { time_ns, place: record.place })
    }
}

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&BASE64_URL_SAFE_NO_PAD.encode(format!("{}/{}", self.time_ns, self.place)))
    }
}

impl FromStr for Cursor {
    type Err = InvalidCursor;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let plain = BASE64_URL_SAFE_NO_PAD.decode(text).map_err(|_| InvalidCursor)?;
        let plain = String::from_utf8(plain).map_err(|_| InvalidCursor)?;
        let (time_ns, place) = plain.split_once('/').ok_or(InvalidCursor)?;
        Ok(Self {
            time_ns: time_ns.parse().map_err(|_| InvalidCursor)?,
            place: place.parse().map_err(|_| InvalidCursor)?,
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
        let mut conditions = query.filter.conditions()?;
        if let Some(Cursor { time_ns, place }) = query.after {
            // The first condition lets the server skip whole days and granules, the second is exact.
            conditions.number("time <= fromUnixTimestamp64Nano(toInt64(?))", Some(time_ns));
            conditions.number(
                "(time, sequence, index) < (fromUnixTimestamp64Nano(toInt64(?)), toUInt64(?), toUInt32(?))",
                Some(time_ns),
            );
            conditions.values.extend([place.sequence.to_string(), place.index.to_string()].map(Value::Text));
        }
        let sql = format!(
            "SELECT ?fields FROM mcpcan.access_log WHERE {} \
             ORDER BY time DESC, sequence DESC, index DESC LIMIT {}",
            conditions.sql(),
            query.limit
        );
        let bound = conditions.bind(self.query(&sql));
        let mut cursor = bound.fetch::<TraceRow<'_>>().map_err(|error| Error::during(operation, error))?;
        let mut records = Vec::new();
        while let Some(row) = self.within(operation, cursor.next()).await? {
            records.push(row.into_record()?);
        }
        Ok(records)
    }
}

fn check(query: &TraceQuery) -> Result<(), Error> {
    if !(1..=MAX_ROWS_PER_SEARCH).contains(&query.limit) {
        return Err(Error::InvalidQuery {
            field: "limit",
            reason: format!("{} is not between 1 and {MAX_ROWS_PER_SEARCH}", query.limit),
        });
    }
    query.filter.check()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::trace_filter::MAX_FILTER_BYTES;

    #[test]
    fn a_cursor_survives_its_text_form() {
        let place = Place { sequence: u64::MAX, index: u32::MAX };
        let cursor = Cursor { time_ns: 1_700_000_000_123_456_789, place };
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
        let tool = Some("x".repeat(MAX_FILTER_BYTES + 1));
        let too_long = TraceQuery::from(TraceFilter { tool, ..TraceFilter::default() });
        assert_eq!(
            check(&too_long).unwrap_err().to_string(),
            "invalid tool: its 1025 bytes are over the limit of 1024"
        );
    }
}
