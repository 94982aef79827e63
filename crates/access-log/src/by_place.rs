//! Rows by their places in the stream that carried them: how a follower of the stream finds what was there before it.

use crate::client::Client;
use crate::error::Error;
use crate::line_filter::LineFilter;
use crate::record::{ContainerLine, Place, Placed, TraceRecord};
use crate::row::{LineRow, TraceRow};
use crate::trace_filter::{Conditions, TraceFilter, Value};
use crate::trace_query::TraceQuery;

/// Rows that one question for a run of places brings, at most.
pub const MAX_ROWS_PER_RUN: u32 = 1_000;

/// Bytes after which a run ends, before it has all the rows that it could have: rows with bodies are large.
pub const MAX_BYTES_PER_RUN: u64 = 8 * 1024 * 1024;

/// The first rows of what was asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Run<R> {
    pub rows: Vec<R>,
    /// Whether there may be more behind the last. Never without a row.
    pub more: bool,
}

/// A kind of row that is carried by a stream and kept in a table. Rows from before places were kept are not found here.
pub trait ByPlace: Placed + Send + Sync + Sized + 'static {
    type Filter: Clone + Send + Sync + 'static;

    /// Whether this row is one of those that are looked for.
    fn is_of(&self, filter: &Self::Filter) -> bool;

    /// The newest rows that match of the messages before a sequence, in the order of their places; at most
    /// [`MAX_ROWS_PER_RUN`].
    ///
    /// # Errors
    /// As [`Client::search`].
    fn newest(
        client: &Client,
        filter: &Self::Filter,
        before: u64,
        rows: u32,
    ) -> impl Future<Output = Result<Vec<Self>, Error>> + Send;

    /// The first rows that match from a place on, of the messages before a sequence, in the order of their places: at
    /// most [`MAX_ROWS_PER_RUN`], and not many more bytes than [`MAX_BYTES_PER_RUN`].
    ///
    /// # Errors
    /// As [`Client::search`].
    fn run(
        client: &Client,
        filter: &Self::Filter,
        from: Place,
        before: u64,
    ) -> impl Future<Output = Result<Run<Self>, Error>> + Send;
}

const BY_PLACE: &str = "ORDER BY sequence, index";

pub(crate) const LATEST_FIRST: &str = "ORDER BY time DESC, sequence DESC, index DESC";

/// How much of what was asked for is read.
#[derive(Clone, Copy)]
pub(crate) struct Limit {
    rows: u32,
    /// With the row that reaches this, it ends.
    bytes: u64,
}

impl Limit {
    /// All of so many rows, however large.
    pub(crate) fn rows(rows: u32) -> Self {
        Limit { rows, bytes: u64::MAX }
    }

    /// A run, which can be gone on with.
    pub(crate) fn run(rows: u32) -> Self {
        Limit { rows, bytes: MAX_BYTES_PER_RUN }
    }
}

impl ByPlace for TraceRecord {
    type Filter = TraceFilter;

    fn is_of(&self, filter: &TraceFilter) -> bool {
        filter.matches(self)
    }

    async fn newest(
        client: &Client,
        filter: &TraceFilter,
        before: u64,
        rows: u32,
    ) -> Result<Vec<Self>, Error> {
        let query = TraceQuery { filter: filter.clone(), after: None, limit: rows };
        client.search_before(&query, Some(before)).await.map(in_order)
    }

    async fn run(
        client: &Client,
        filter: &TraceFilter,
        from: Place,
        before: u64,
    ) -> Result<Run<Self>, Error> {
        filter.check()?;
        let conditions = within(filter.conditions()?, from, before);
        client.read_traces("read a run of traces", conditions, BY_PLACE, Limit::run(MAX_ROWS_PER_RUN)).await
    }
}

impl ByPlace for ContainerLine {
    type Filter = LineFilter;

    fn is_of(&self, filter: &LineFilter) -> bool {
        filter.matches(self)
    }

    async fn newest(
        client: &Client,
        filter: &LineFilter,
        before: u64,
        rows: u32,
    ) -> Result<Vec<Self>, Error> {
        let conditions = within(filter.conditions()?, Place::first_of(1), before);
        let newest = client.read_lines("read the newest lines", conditions, LATEST_FIRST, Limit::rows(rows));
        Ok(in_order(newest.await?.rows))
    }

    async fn run(client: &Client, filter: &LineFilter, from: Place, before: u64) -> Result<Run<Self>, Error> {
        let conditions = within(filter.conditions()?, from, before);
        client.read_lines("read a run of lines", conditions, BY_PLACE, Limit::run(MAX_ROWS_PER_RUN)).await
    }
}

/// The same within a run of places.
fn within(mut conditions: Conditions, from: Place, before: u64) -> Conditions {
    // What has no place is in no run.
    let from = from.max(Place::first_of(1));
    // By single numbers the server can skip granules; the pair is exact.
    conditions.text("sequence >= toUInt64(?)", Some(from.sequence.to_string()));
    conditions.text("sequence < toUInt64(?)", Some(before.to_string()));
    conditions.text("(sequence, index) >= (toUInt64(?), toUInt32(?))", Some(from.sequence.to_string()));
    conditions.values.push(Value::Text(from.index.to_string()));
    conditions
}

/// Newest by time were chosen; they come by place.
fn in_order<R: Placed>(mut rows: Vec<R>) -> Vec<R> {
    rows.sort_by_key(Placed::place);
    rows
}

impl Client {
    /// The first rows of the access log under these conditions, in this order.
    pub(crate) async fn read_traces(
        &self,
        operation: &'static str,
        conditions: Conditions,
        order: &str,
        limit: Limit,
    ) -> Result<Run<TraceRecord>, Error> {
        let (conditions_sql, rows_max) = (conditions.sql(), limit.rows);
        let sql =
            format!("SELECT ?fields FROM mcpcan.access_log WHERE {conditions_sql} {order} LIMIT {rows_max}");
        let bound = conditions.bind(self.query(&sql));
        let mut cursor = bound.fetch::<TraceRow<'_>>().map_err(|error| Error::during(operation, error))?;
        let mut rows = Vec::new();
        while let Some(row) = self.within(operation, cursor.next()).await? {
            rows.push(row.into_record()?);
            if cursor.decoded_bytes() >= limit.bytes {
                return Ok(Run { rows, more: true });
            }
        }
        Ok(Run { more: rows.len() >= limit.rows as usize, rows })
    }

    /// The first rows of the container log under these conditions, in this order.
    pub(crate) async fn read_lines(
        &self,
        operation: &'static str,
        conditions: Conditions,
        order: &str,
        limit: Limit,
    ) -> Result<Run<ContainerLine>, Error> {
        let (conditions_sql, rows_max) = (conditions.sql(), limit.rows);
        let sql = format!(
            "SELECT ?fields FROM mcpcan.container_log WHERE {conditions_sql} {order} LIMIT {rows_max}"
        );
        let bound = conditions.bind(self.query(&sql));
        let mut cursor = bound.fetch::<LineRow<'_>>().map_err(|error| Error::during(operation, error))?;
        let mut rows = Vec::new();
        while let Some(row) = self.within(operation, cursor.next()).await? {
            rows.push(row.into_line()?);
            if cursor.decoded_bytes() >= limit.bytes {
                return Ok(Run { rows, more: true });
            }
        }
        Ok(Run { more: rows.len() >= limit.rows as usize, rows })
    }
}
