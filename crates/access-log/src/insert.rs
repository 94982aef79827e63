//! Inserts that take effect exactly once: one call, one insert, one block per day, one deduplication token.
//!
//! ClickHouse remembers, per table and partition, the tokens of its last blocks
//! (`non_replicated_deduplication_window` in the migrations) and drops a block whose token it knows. That makes a
//! retry safe only if the retry splits the rows into the same blocks. So the settings below ask for one block per
//! insert: no row of a batch can start a second one, since a batch is smaller than every threshold. Rows of several
//! days become one block per day, each remembered under the same token in its own partition.
//!
//! The caller's part: the same token means the same rows, for ever. A sink makes it from the stream's name and the
//! first and last sequence of the batch, and after a crash builds the same batch again. For how long rows are kept is
//! no part of that: a block is known by its token and its day, so rows that went in keep the time that they had then.

use std::time::Duration;

use clickhouse::insert::Insert;
use uuid::Uuid;

use crate::client::Client;
use crate::error::Error;
use crate::record::{ContainerLine, TraceRecord};
use crate::row::{LineRow, TraceRow};

/// Rows in one insert, at most: those of a sink's largest batch (512 messages of 512 rows), so that it is one block.
pub const MAX_ROWS_PER_INSERT: usize = 262_144;

/// How long the server may take to accept one chunk of an insert.
const SEND_TIME_MAX: Duration = Duration::from_secs(10);

/// How long the server may take to make the rows durable after the last chunk.
const END_TIME_MAX: Duration = Duration::from_secs(60);

/// What makes an insert one block, and a repeated one no insert at all.
const SETTINGS: [(&str, &str); 7] = [
    // The row and byte thresholds at which the server would cut or join blocks: above any batch, or off.
    ("max_insert_block_size", "1048576"),
    ("min_insert_block_size_rows", "1048576"),
    ("min_insert_block_size_bytes", "0"),
    // A buffered insert is answered before it is durable, and is deduplicated by other rules.
    ("async_insert", "0"),
    ("insert_deduplicate", "1"),
    // A rollup behind a materialised view drops the repeated block too, instead of counting it twice.
    ("deduplicate_blocks_in_dependent_materialized_views", "1"),
    ("throw_on_max_partitions_per_insert_block", "0"),
];

impl Client {
    /// Inserts `records` once, however often it is called with the same token, each to be kept for as many days as
    /// `days` says of its instance.
    ///
    /// Returns when ClickHouse has them. An empty slice is nothing to do.
    ///
    /// # Errors
    /// [`Error::Unavailable`]: call again with the same token and rows. Anything else: these rows will never go in.
    pub async fn insert_traces(
        &self,
        deduplication_token: &str,
        records: &[TraceRecord],
        days: impl Fn(Uuid) -> u16,
    ) -> Result<(), Error> {
        if is_nothing(deduplication_token, records.len())? {
            return Ok(());
        }
        let inserted = self.insert_trace_rows(deduplication_token, records, days).await;
        self.forget_tables_unless_inserted(inserted).await
    }

    async fn insert_trace_rows(
        &self,
        deduplication_token: &str,
        records: &[TraceRecord],
        days: impl Fn(Uuid) -> u16,
    ) -> Result<(), Error> {
        let operation = "insert traces";
        let describe = self.clickhouse().insert_unescaped::<TraceRow<'_>>("mcpcan.access_log");
        let mut insert = once(self.within(operation, describe).await?, deduplication_token);
        for record in records {
            let row = TraceRow::of(record, days(record.instance_id))?;
            insert.write(&row).await.map_err(|error| Error::during_insert(operation, error))?;
        }
        insert.end().await.map_err(|error| Error::during_insert(operation, error))
    }

    /// Inserts `lines` once, however often it is called with the same token, each to be kept for as many days as `days`
    /// says of its instance.
    ///
    /// # Errors
    /// As [`Client::insert_traces`].
    pub async fn insert_lines(
        &self,
        deduplication_token: &str,
        lines: &[ContainerLine],
        days: impl Fn(Uuid) -> u16,
    ) -> Result<(), Error> {
        if is_nothing(deduplication_token, lines.len())? {
            return Ok(());
        }
        let inserted = self.insert_line_rows(deduplication_token, lines, days).await;
        self.forget_tables_unless_inserted(inserted).await
    }

    /// The client remembers what a table looks like. A table may have been migrated since, so a failed insert asks
    /// again the next time.
    pub(crate) async fn forget_tables_unless_inserted(
        &self,
        inserted: Result<(), Error>,
    ) -> Result<(), Error> {
        if inserted.is_err() {
            self.clickhouse().clear_cached_metadata().await;
        }
        inserted
    }

    async fn insert_line_rows(
        &self,
        deduplication_token: &str,
        lines: &[ContainerLine],
        days: impl Fn(Uuid) -> u16,
    ) -> Result<(), Error> {
        let operation = "insert lines";
        let describe = self.clickhouse().insert_unescaped::<LineRow<'_>>("mcpcan.container_log");
        let mut insert = once(self.within(operation, describe).await?, deduplication_token);
        for line in lines {
            let row = LineRow::of(line, days(line.instance_id))?;
            insert.write(&row).await.map_err(|error| Error::during_insert(operation, error))?;
        }
        insert.end().await.map_err(|error| Error::during_insert(operation, error))
    }
}

pub(crate) fn is_nothing(deduplication_token: &str, rows: usize) -> Result<bool, Error> {
    if deduplication_token.is_empty() {
        return Err(Error::EmptyDeduplicationToken);
    }
    if rows > MAX_ROWS_PER_INSERT {
        return Err(Error::TooManyRows { rows, limit: MAX_ROWS_PER_INSERT });
    }
    Ok(rows == 0)
}

pub(crate) fn once<T>(insert: Insert<T>, deduplication_token: &str) -> Insert<T> {
    SETTINGS
        .iter()
        .fold(insert, |insert, (name, value)| insert.with_setting(*name, *value))
        .with_setting("insert_deduplication_token", deduplication_token)
        .with_timeouts(Some(SEND_TIME_MAX), Some(END_TIME_MAX))
}
