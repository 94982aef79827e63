//! How often tokens were used, and when last; statistics of all calls are in [`statistics`].
//!
//! A materialised view counts the requests of the access log as its batches go in, each of them once, so the counts need
//! nothing of the gateway but the rows that it writes anyway, and outlive those rows.

pub mod statistics;

use std::collections::HashMap;

use clickhouse::Row;
use jiff::Timestamp;
use serde::Deserialize;
use uuid::Uuid;

use crate::client::Client;
use crate::error::Error;

/// What is known of the use of one token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TokenUsage {
    /// Requests that were passed on.
    pub requests: u64,
    /// When the last of them came.
    pub last_used_at: Timestamp,
}

#[derive(Row, Deserialize)]
struct UsageRow {
    #[serde(with = "clickhouse::serde::uuid")]
    token_id: Uuid,
    requests: u64,
    last_used_ns: i64,
}

impl Client {
    /// The use of each of these tokens; one that is not there was never used.
    ///
    /// # Errors
    /// [`Error::Unavailable`] while ClickHouse is away.
    pub async fn token_usage(&self, tokens: &[Uuid]) -> Result<HashMap<Uuid, TokenUsage>, Error> {
        if tokens.is_empty() {
            return Ok(HashMap::new());
        }
        let ids: Vec<String> = tokens.iter().map(Uuid::to_string).collect();
        let query = self.query(
            "SELECT token_id, sum(requests) AS requests, \
             toUnixTimestamp64Nano(max(last_used_at)) AS last_used_ns \
             FROM mcpcan.token_usage \
             WHERE token_id IN (SELECT toUUID(arrayJoin(?))) GROUP BY token_id",
        );
        let rows = self.within("read token usage", query.bind(ids).fetch_all::<UsageRow>()).await?;
        Ok(rows.into_iter().map(|row| (row.token_id, usage(&row))).collect())
    }
}

fn usage(row: &UsageRow) -> TokenUsage {
    let last_used_at = Timestamp::from_nanosecond(row.last_used_ns.into())
        .expect("a time in 64-bit nanoseconds is one that a timestamp can hold");
    TokenUsage { requests: row.requests, last_used_at }
}
