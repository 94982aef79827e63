//! Rows that lie in the tables follow a retention plan that changes.
//!
//! The server does it in the background, as a mutation: it writes anew the parts that hold rows of the instance, leaves out
//! what has expired by the new plan, and keeps the rest for as long as the plan says. Doing it twice changes nothing.

use std::collections::HashMap;

use clickhouse::Row;
use serde::Deserialize;
use uuid::Uuid;

use crate::client::Client;
use crate::error::Error;

#[derive(Row, Deserialize)]
struct AppliedRow {
    #[serde(with = "clickhouse::serde::uuid")]
    instance_id: Uuid,
    applied: u64,
}

impl Client {
    /// The change of its plan, by sequence, that the rows of each instance have followed last.
    ///
    /// # Errors
    /// [`Error::Unavailable`] while ClickHouse is away.
    pub async fn applied_retention(&self) -> Result<HashMap<Uuid, u64>, Error> {
        let query = self.query(
            "SELECT instance_id, max(sequence) AS applied FROM mcpcan.applied_retention GROUP BY instance_id",
        );
        let rows = self.within("read applied retention", query.fetch_all::<AppliedRow>()).await?;
        Ok(rows.into_iter().map(|row| (row.instance_id, row.applied)).collect())
    }

    /// Has the rows of an instance kept for so many days from now on. Returns when the server has taken it in hand.
    ///
    /// # Errors
    /// [`Error::Unavailable`] while ClickHouse is away; call again.
    pub async fn apply_retention(&self, instance: Uuid, days: RetentionDays) -> Result<(), Error> {
        for (table, days) in [("access_log", days.access_log), ("container_log", days.container_log)] {
            let table = match self.cluster() {
                Some(cluster) => format!("{table}_local {cluster}"),
                None => table.to_owned(),
            };
            // Where nothing is to be changed, no part is written anew.
            let statement = format!(
                "ALTER TABLE mcpcan.{table} UPDATE expires_at = toDateTime(time, 'UTC') + toIntervalDay({days}) \
                 WHERE instance_id = toUUID('{instance}') \
                 AND expires_at != toDateTime(time, 'UTC') + toIntervalDay({days})"
            );
            self.within("apply retention", self.statement(&statement).execute()).await?;
        }
        Ok(())
    }

    /// Notes that the rows of an instance follow its plan as it is since `sequence`.
    ///
    /// # Errors
    /// [`Error::Unavailable`] while ClickHouse is away.
    pub async fn record_retention(&self, instance: Uuid, sequence: u64) -> Result<(), Error> {
        let insert = self
            .query("INSERT INTO mcpcan.applied_retention (instance_id, sequence) VALUES (toUUID(?), ?)")
            .with_setting("async_insert", "0")
            .bind(instance.to_string())
            .bind(sequence);
        self.within("record applied retention", insert.execute()).await
    }
}

/// For how many days rows are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RetentionDays {
    pub access_log: u16,
    pub container_log: u16,
}
