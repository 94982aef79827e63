//! Which lines of the container log to look for: as the `WHERE` of a query, and as a question to one line. Both say the
//! same, so that who follows a log sees what who reads it later finds.

use jiff::Timestamp;
use uuid::Uuid;

use crate::error::Error;
use crate::record::{ContainerLine, Level, Stream};
use crate::trace_filter::{Conditions, nanoseconds};

/// Lines of one instance. A filter that is `None` lets everything through; all others must match.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LineFilter {
    pub instance_id: Uuid,
    /// Only of this replica.
    pub replica_id: Option<Uuid>,
    pub stream: Option<Stream>,
    /// Only lines that name this level or a graver one.
    pub level: Option<Level>,
    /// From this moment on.
    pub since: Option<Timestamp>,
    /// Before this moment.
    pub until: Option<Timestamp>,
}

impl LineFilter {
    /// Every line of an instance.
    pub fn of(instance_id: Uuid) -> Self {
        Self { instance_id, replica_id: None, stream: None, level: None, since: None, until: None }
    }

    /// Whether a line is one of those that are looked for.
    pub fn matches(&self, line: &ContainerLine) -> bool {
        let Self { instance_id, replica_id, stream, level, since, until } = self;
        *instance_id == line.instance_id
            && replica_id.is_none_or(|replica_id| line.replica_id == replica_id)
            && stream.is_none_or(|stream| line.stream == stream)
            && level.is_none_or(|least| line.level.is_some_and(|level| level >= least))
            && since.is_none_or(|since| line.time >= since)
            && until.is_none_or(|until| line.time < until)
    }

    pub(crate) fn conditions(&self) -> Result<Conditions, Error> {
        let Self { instance_id, replica_id, stream, level, since, until } = self;
        let mut found = Conditions { conditions: vec!["true"], values: Vec::new() };
        found.text("instance_id = toUUID(?)", Some(instance_id.to_string()));
        found.text("replica_id = toUUID(?)", replica_id.map(|id| id.to_string()));
        found.text("stream = ?", stream.map(|stream| stream.to_string()));
        // A line that names none has the least of all in its table.
        found.text("level >= ?", level.map(|level| level.to_string()));
        found.number("time >= fromUnixTimestamp64Nano(toInt64(?))", nanoseconds("since", *since)?);
        found.number("time < fromUnixTimestamp64Nano(toInt64(?))", nanoseconds("until", *until)?);
        Ok(found)
    }
}
