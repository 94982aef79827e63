//! Rows in the order of time, run by run, for files: what an export writes, and where it goes on.
//!
//! An export asks for stretches of time that it makes so long that each answers about one run, so that a run costs what
//! it brings, however much lies behind it. No question is longer open than one run takes.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use clickhouse::query::BytesCursor;
use jiff::Timestamp;

use crate::by_place::{ByPlace, Limit, Run};
use crate::client::Client;
use crate::error::Error;
use crate::line_filter::LineFilter;
use crate::record::{ContainerLine, Place, TraceRecord};
use crate::trace_filter::{Conditions, TraceFilter, Value, nanoseconds};

/// How long one export may take, the waiting for who reads it included.
pub const EXPORT_TIME_MAX: Duration = Duration::from_secs(6 * 60 * 60);

/// Rows of one run, at most.
pub const MAX_ROWS_PER_EXPORTED_RUN: u32 = 5_000;

/// Where a row lies in the order of an export. Its text form is `TIME/PLACE`, as rows have them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Position {
    pub time: Timestamp,
    pub place: Place,
}

/// A text that is no position.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the time and the place of a row were expected, such as `2026-01-31T14:05:00Z/1024-0`")]
pub struct InvalidPosition;

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.time, self.place)
    }
}

impl FromStr for Position {
    type Err = InvalidPosition;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (time, place) = text.split_once('/').ok_or(InvalidPosition)?;
        Ok(Position {
            time: time.parse().map_err(|_| InvalidPosition)?,
            place: place.parse().map_err(|_| InvalidPosition)?,
        })
    }
}

/// How much an export will bring.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Size {
    pub rows: u64,
    /// None if there is no row.
    pub first_at: Option<Timestamp>,
}

/// A file in the format Parquet, as the server writes it.
pub struct Parquet(BytesCursor);

impl Parquet {
    /// The next bytes; none at the end.
    ///
    /// # Errors
    /// The server could not go on: the file is cut off.
    pub async fn next(&mut self) -> Result<Option<bytes::Bytes>, Error> {
        self.0.next().await.map_err(|error| Error::during("export", error))
    }
}

/// A kind of row that can be exported.
pub trait Exported: ByPlace {
    /// The names of its fields, in the order of columns.
    const COLUMNS: &'static [&'static str];

    fn position(&self) -> Position;

    /// From when to when the filter lets rows through.
    fn span(filter: &Self::Filter) -> (Option<Timestamp>, Option<Timestamp>);

    /// The filter from a moment on, before another.
    #[must_use]
    fn between(filter: &Self::Filter, since: Option<Timestamp>, until: Option<Timestamp>) -> Self::Filter;

    /// How much there is.
    ///
    /// # Errors
    /// As [`Client::search`].
    fn size(client: &Client, filter: &Self::Filter) -> impl Future<Output = Result<Size, Error>> + Send;

    /// The first rows from a position on: at most [`MAX_ROWS_PER_EXPORTED_RUN`], and not many more bytes than
    /// [`MAX_BYTES_PER_RUN`](crate::by_place::MAX_BYTES_PER_RUN).
    ///
    /// # Errors
    /// As [`Client::search`].
    fn run_from(
        client: &Client,
        filter: &Self::Filter,
        from: Position,
    ) -> impl Future<Output = Result<Run<Self>, Error>> + Send;

    /// All rows as one file, for whose writing the server has [`EXPORT_TIME_MAX`].
    ///
    /// # Errors
    /// As [`Client::search`].
    fn parquet(client: &Client, filter: &Self::Filter) -> Result<Parquet, Error>;
}

impl Exported for TraceRecord {
    const COLUMNS: &'static [&'static str] = &[
        "place",
        "time",
        "level",
        "event",
        "trace_id",
        "span_id",
        "parent_span_id",
        "instance_id",
        "instance_name",
        "replica_id",
        "token_id",
        "token_label",
        "token_header",
        "gateway_id",
        "session_id",
        "protocol_version",
        "http_method",
        "path",
        "rpc_method",
        "rpc_id",
        "tool",
        "status",
        "rpc_error_code",
        "is_error",
        "latency_ns",
        "first_byte_ns",
        "request_bytes",
        "response_bytes",
        "client_address",
        "user_agent",
        "content_type",
        "error_class",
        "error",
        "headers",
        "response_headers",
        "cookies",
        "form",
        "body",
        "is_body_cut",
    ];

    fn position(&self) -> Position {
        Position { time: self.time, place: self.place }
    }

    fn span(filter: &TraceFilter) -> (Option<Timestamp>, Option<Timestamp>) {
        (filter.since, filter.until)
    }

    fn between(filter: &TraceFilter, since: Option<Timestamp>, until: Option<Timestamp>) -> TraceFilter {
        TraceFilter { since, until, ..filter.clone() }
    }

    async fn size(client: &Client, filter: &TraceFilter) -> Result<Size, Error> {
        filter.check()?;
        client.size("mcpcan.access_log", filter.conditions()?).await
    }

    async fn run_from(client: &Client, filter: &TraceFilter, from: Position) -> Result<Run<Self>, Error> {
        let conditions = from_on(filter.conditions()?, from)?;
        client.read_traces("export traces", conditions, IN_ORDER, Limit::run(MAX_ROWS_PER_EXPORTED_RUN)).await
    }

    fn parquet(client: &Client, filter: &TraceFilter) -> Result<Parquet, Error> {
        filter.check()?;
        client.parquet("mcpcan.access_log", &columns(Self::COLUMNS), filter.conditions()?)
    }
}

impl Exported for ContainerLine {
    const COLUMNS: &'static [&'static str] =
        &["place", "time", "instance_id", "replica_id", "stream", "level", "module", "text"];

    fn position(&self) -> Position {
        Position { time: self.time, place: self.place }
    }

    fn span(filter: &LineFilter) -> (Option<Timestamp>, Option<Timestamp>) {
        (filter.since, filter.until)
    }

    fn between(filter: &LineFilter, since: Option<Timestamp>, until: Option<Timestamp>) -> LineFilter {
        LineFilter { since, until, ..filter.clone() }
    }

    async fn size(client: &Client, filter: &LineFilter) -> Result<Size, Error> {
        client.size("mcpcan.container_log", filter.conditions()?).await
    }

    async fn run_from(client: &Client, filter: &LineFilter, from: Position) -> Result<Run<Self>, Error> {
        let conditions = from_on(filter.conditions()?, from)?;
        client.read_lines("export lines", conditions, IN_ORDER, Limit::run(MAX_ROWS_PER_EXPORTED_RUN)).await
    }

    fn parquet(client: &Client, filter: &LineFilter) -> Result<Parquet, Error> {
        client.parquet("mcpcan.container_log", &columns(Self::COLUMNS), filter.conditions()?)
    }
}

pub(crate) const IN_ORDER: &str = "ORDER BY time, sequence, index";

/// The same from a position on.
fn from_on(mut conditions: Conditions, from: Position) -> Result<Conditions, Error> {
    let time = nanoseconds("after", Some(from.time))?;
    // The first condition lets the server skip whole days and granules, the second is exact.
    conditions.number("time >= fromUnixTimestamp64Nano(toInt64(?))", time);
    conditions.number(
        "(time, sequence, index) >= (fromUnixTimestamp64Nano(toInt64(?)), toUInt64(?), toUInt32(?))",
        time,
    );
    let Place { sequence, index } = from.place;
    conditions.values.extend([sequence.to_string(), index.to_string()].map(Value::Text));
    Ok(conditions)
}

/// Columns under the names of fields, of types that every reader of Parquet knows.
fn columns(names: &[&str]) -> String {
    let column = |name: &&str| match *name {
        "place" => "concat(toString(access.sequence), '-', toString(access.index)) AS place".to_owned(),
        "level" | "stream" | "instance_id" | "replica_id" | "token_id" => {
            format!("toString(access.{name}) AS {name}")
        }
        name => format!("access.{name} AS {name}"),
    };
    names.iter().map(column).collect::<Vec<_>>().join(", ")
}

impl Client {
    async fn size(&self, table: &str, conditions: Conditions) -> Result<Size, Error> {
        let sql = format!(
            "SELECT count(), toUnixTimestamp64Nano(min(time)) FROM {table} WHERE {}",
            conditions.sql()
        );
        let query = conditions.bind(self.query(&sql));
        let (rows, first) = self.within("count rows", query.fetch_one::<(u64, i64)>()).await?;
        let first_at = Timestamp::from_nanosecond(first.into()).ok().filter(|_| rows > 0);
        Ok(Size { rows, first_at })
    }

    fn parquet(&self, table: &str, columns: &str, conditions: Conditions) -> Result<Parquet, Error> {
        // The filter stands inside, where its names are those of the table.
        let sql = format!(
            "SELECT {columns} FROM (SELECT * FROM {table} WHERE {} ORDER BY time, sequence, index) AS access",
            conditions.sql()
        );
        // The server's time runs on while it waits for who reads.
        let seconds = EXPORT_TIME_MAX.as_secs().to_string();
        let query = conditions.bind(self.query(&sql)).with_setting("max_execution_time", seconds);
        query.fetch_bytes("Parquet").map(Parquet).map_err(|error| Error::during("export", error))
    }
}

#[cfg(test)]
mod tests {
    use schemars::{JsonSchema, SchemaGenerator};

    use super::*;

    #[test]
    fn columns_are_the_fields_of_rows() {
        fn fields<R: JsonSchema>() -> Vec<String> {
            let schema = SchemaGenerator::default().into_root_schema_for::<R>().to_value();
            let mut names: Vec<_> = schema["properties"].as_object().unwrap().keys().cloned().collect();
            names.sort();
            names
        }
        fn sorted(names: &[&str]) -> Vec<String> {
            let mut names: Vec<_> = names.iter().map(|name| (*name).to_owned()).collect();
            names.sort();
            names
        }
        assert_eq!(sorted(TraceRecord::COLUMNS), fields::<TraceRecord>());
        assert_eq!(sorted(ContainerLine::COLUMNS), fields::<ContainerLine>());
    }

    #[test]
    fn a_position_reads_back_and_what_is_none_is_refused() {
        let position: Position = "2026-01-31T14:05:00.000000001Z/1024-7".parse().unwrap();
        assert_eq!(position.to_string().parse(), Ok(position));
        for text in ["", "1024-7", "2026-01-31T14:05:00Z", "2026-01-31T14:05:00Z/7"] {
            assert_eq!(text.parse::<Position>(), Err(InvalidPosition), "{text}");
        }
    }
}
