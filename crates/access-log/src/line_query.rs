//! Reading the container log: the last lines of an instance, in the order they were written.

use jiff::Timestamp;
use uuid::Uuid;

use crate::client::Client;
use crate::error::Error;
use crate::record::ContainerLine;
use crate::row::LineRow;
use crate::trace_filter::nanoseconds;

/// Lines in one answer, at most.
pub const MAX_LINES_PER_QUERY: u32 = 10_000;

/// Lines in one answer when nobody says.
pub const DEFAULT_LINES_PER_QUERY: u32 = 200;

/// Which lines to read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LineQuery {
    pub instance_id: Uuid,
    /// Only of this replica.
    pub replica_id: Option<Uuid>,
    /// From this moment on.
    pub since: Option<Timestamp>,
    /// How many of the newest lines, from 1 to [`MAX_LINES_PER_QUERY`].
    pub last: u32,
}

impl LineQuery {
    /// The newest lines of all replicas of an instance.
    pub fn of(instance_id: Uuid) -> Self {
        Self { instance_id, replica_id: None, since: None, last: DEFAULT_LINES_PER_QUERY }
    }
}

impl Client {
    /// The newest `query.last` lines that match, oldest of them first.
    ///
    /// # Errors
    /// [`Error::InvalidQuery`] for a filter outside its bounds, [`Error::Unavailable`] while ClickHouse is away.
    pub async fn lines(&self, query: &LineQuery) -> Result<Vec<ContainerLine>, Error> {
        if !(1..=MAX_LINES_PER_QUERY).contains(&query.last) {
            return Err(Error::InvalidQuery {
                field: "last",
                reason: format!("{} is not between 1 and {MAX_LINES_PER_QUERY}", query.last),
            });
        }
        let operation = "read lines";
        let since = nanoseconds("since", query.since)?;
        let mut sql = String::from("SELECT ?fields FROM mcpcan.container_log WHERE instance_id = toUUID(?)");
        if query.replica_id.is_some() {
            sql.push_str(" AND replica_id = toUUID(?)");
        }
        if since.is_some() {
            sql.push_str(" AND time >= fromUnixTimestamp64Nano(toInt64(?))");
        }
        sql.push_str(&format!(" ORDER BY time DESC LIMIT {}", query.last));

        let mut bound = self.query(&sql).bind(query.instance_id.to_string());
        if let Some(replica_id) = query.replica_id {
            bound = bound.bind(replica_id.to_string());
        }
        if let Some(since) = since {
            bound = bound.bind(since);
        }
        let mut cursor = bound.fetch::<LineRow<'_>>().map_err(|error| Error::during(operation, error))?;
        let mut lines = Vec::new();
        while let Some(row) = self.within(operation, cursor.next()).await? {
            lines.push(row.into_line()?);
        }
        lines.reverse();
        Ok(lines)
    }
}
