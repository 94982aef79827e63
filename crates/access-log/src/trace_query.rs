//! Searching the access log: filters, newest first, page by page.

use std::fmt;
use std::str::FromStr;

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use jiff::{SignedDuration, Timestamp};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::by_place::{LATEST_FIRST, Limit};
use crate::client::Client;
use crate::error::Error;
use crate::export::IN_ORDER;
use crate::record::{Place, TraceRecord};
use crate::trace_filter::{TraceFilter, Value};

/// Rows in one answer, at most.
pub const MAX_ROWS_PER_SEARCH: u32 = 1_000;

/// Rows in one answer when nobody says.
pub const DEFAULT_ROWS_PER_SEARCH: u32 = 100;

/// How far back a search goes before it looks at everything.
const NEWEST_FIRST: [SignedDuration; 2] = [SignedDuration::from_hours(1), SignedDuration::from_hours(24)];

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

/// How many rows there are of each level.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct LevelCounts {
    pub trace: u64,
    pub debug: u64,
    pub info: u64,
    pub warn: u64,
    pub error: u64,
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
    /// What is newest is looked for in the newest stretch of time first, so that a page costs the same however much lies
    /// behind it.
    ///
    /// # Errors
    /// [`Error::InvalidQuery`] for a filter outside its bounds, [`Error::Unavailable`] while ClickHouse is away.
    pub async fn search(&self, query: &TraceQuery) -> Result<Vec<TraceRecord>, Error> {
        self.search_before(query, None).await
    }

    /// The same among the messages before a sequence; what has no place is in none.
    pub(crate) async fn search_before(
        &self,
        query: &TraceQuery,
        sequence: Option<u64>,
    ) -> Result<Vec<TraceRecord>, Error> {
        check(query)?;
        let mut records = Vec::new();
        for stretch in stretches(query, Timestamp::now()) {
            let limit = query.limit.saturating_sub(u32::try_from(records.len()).unwrap_or(u32::MAX));
            let filter = TraceFilter { since: stretch.since, until: stretch.until, ..query.filter.clone() };
            let query = TraceQuery { filter, after: query.after, limit };
            records.extend(self.newest(&query, sequence).await?);
            if records.len() >= usize::try_from(query.limit).unwrap_or(usize::MAX) {
                break;
            }
        }
        Ok(records)
    }

    /// What happened under one trace id, oldest first, at most [`MAX_ROWS_PER_SEARCH`] rows.
    ///
    /// # Errors
    /// As [`Client::search`].
    pub async fn trace(&self, trace_id: &str) -> Result<Vec<TraceRecord>, Error> {
        let filter = TraceFilter { trace_id: Some(trace_id.to_owned()), ..TraceFilter::default() };
        filter.check()?;
        let (conditions, limit) = (filter.conditions()?, Limit::rows(MAX_ROWS_PER_SEARCH));
        Ok(self.read_traces("read a trace", conditions, IN_ORDER, limit).await?.rows)
    }

    /// How many rows of each level match.
    ///
    /// # Errors
    /// As [`Client::search`].
    pub async fn count_by_level(&self, filter: &TraceFilter) -> Result<LevelCounts, Error> {
        filter.check()?;
        let conditions = filter.conditions()?;
        // Without names, because one that is also a column's would stand for it in the conditions.
        let sql = format!(
            "SELECT countIf(level = 'trace'), countIf(level = 'debug'), countIf(level = 'info'), \
             countIf(level = 'warn'), countIf(level = 'error') FROM mcpcan.access_log WHERE {}",
            conditions.sql()
        );
        let counts = conditions.bind(self.query(&sql)).fetch_one::<(u64, u64, u64, u64, u64)>();
        let (trace, debug, info, warn, error) = self.within("count traces", counts).await?;
        Ok(LevelCounts { trace, debug, info, warn, error })
    }

    async fn newest(&self, query: &TraceQuery, before: Option<u64>) -> Result<Vec<TraceRecord>, Error> {
        let mut conditions = query.filter.conditions()?;
        let before = before.map(|sequence| sequence.to_string());
        conditions.text("sequence > 0 AND sequence < toUInt64(?)", before);
        if let Some(Cursor { time_ns, place }) = query.after {
            // The first condition lets the server skip whole days and granules, the second is exact.
            conditions.number("time <= fromUnixTimestamp64Nano(toInt64(?))", Some(time_ns));
            conditions.number(
                "(time, sequence, index) < (fromUnixTimestamp64Nano(toInt64(?)), toUInt64(?), toUInt32(?))",
                Some(time_ns),
            );
            conditions.values.extend([place.sequence.to_string(), place.index.to_string()].map(Value::Text));
        }
        let limit = Limit::rows(query.limit);
        Ok(self.read_traces("search traces", conditions, LATEST_FIRST, limit).await?.rows)
    }
}

/// A stretch of time: from a moment on, before a moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Stretch {
    since: Option<Timestamp>,
    until: Option<Timestamp>,
}

/// The stretches to look into one after the other, newest first. Together they are what the query asks for.
fn stretches(query: &TraceQuery, now: Timestamp) -> Vec<Stretch> {
    let TraceFilter { since, until, .. } = query.filter;
    let mut until = until;
    let mut found = Vec::new();
    // An index leads to what is rare, wherever it lies.
    let is_rare = query.filter.trace_id.is_some() || query.filter.text.is_some();
    let from_cursor = query.after.and_then(|after| Timestamp::from_nanosecond(after.time_ns.into()).ok());
    let end = [Some(now), until, from_cursor].into_iter().flatten().min();
    for length in NEWEST_FIRST.into_iter().filter(|_| !is_rare) {
        let Some(start) = end.and_then(|end| end.checked_sub(length).ok()) else { break };
        if since.is_some_and(|since| since >= start) {
            break;
        }
        found.push(Stretch { since: Some(start), until });
        until = Some(start);
    }
    found.push(Stretch { since, until });
    found
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
    fn the_newest_hour_is_looked_at_first_and_nothing_twice() {
        let at = |text: &str| Some(text.parse::<Timestamp>().unwrap());
        let now = at("2026-05-02T12:00:00Z").unwrap();
        let of = |filter: TraceFilter, after| {
            stretches(&TraceQuery { filter, after, limit: 1 }, now)
                .into_iter()
                .map(|Stretch { since, until }| (since, until))
                .collect::<Vec<_>>()
        };
        let (hour, day) = (at("2026-05-02T11:00:00Z"), at("2026-05-01T12:00:00Z"));
        let all = TraceFilter::default();
        // Rows may bear a time that is a little ahead of this clock.
        assert_eq!(of(all.clone(), None), [(hour, None), (day, hour), (None, day)]);
        let since = at("2026-05-02T09:00:00Z");
        assert_eq!(of(TraceFilter { since, ..all.clone() }, None), [(hour, None), (since, hour)]);
        let until = at("2026-05-02T10:00:00Z");
        let range = TraceFilter { since, until, ..all.clone() };
        assert_eq!(of(range, None), [(since, until)]);
        let trace_id = Some("a".to_owned());
        assert_eq!(of(TraceFilter { trace_id, ..all.clone() }, None), [(None, None)]);
        let time_ns = i64::try_from(until.unwrap().as_nanosecond()).unwrap();
        let after = Some(Cursor { time_ns, place: Place::default() });
        assert_eq!(of(all, after)[0], (since, None));
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
