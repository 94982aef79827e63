//! Reading the container log: the last lines of an instance, in the order they were written.

use crate::by_place::{LATEST_FIRST, Limit};
use crate::client::Client;
use crate::error::Error;
use crate::line_filter::LineFilter;
use crate::record::ContainerLine;

/// Lines in one answer, at most.
pub const MAX_LINES_PER_QUERY: u32 = 10_000;

/// Lines in one answer when nobody says.
pub const DEFAULT_LINES_PER_QUERY: u32 = 200;

/// Which lines to read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LineQuery {
    pub filter: LineFilter,
    /// How many of the newest lines, from 1 to [`MAX_LINES_PER_QUERY`].
    pub last: u32,
}

impl From<LineFilter> for LineQuery {
    fn from(filter: LineFilter) -> Self {
        Self { filter, last: DEFAULT_LINES_PER_QUERY }
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
        let (conditions, limit) = (query.filter.conditions()?, Limit::rows(query.last));
        let mut lines = self.read_lines("read lines", conditions, LATEST_FIRST, limit).await?.rows;
        lines.reverse();
        Ok(lines)
    }
}
