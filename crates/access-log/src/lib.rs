//! Access-log and container-log records: their ClickHouse tables, inserts, queries and retention.
//!
//! The only crate that speaks to ClickHouse, over its HTTP interface, with nothing that only one kind of server has:
//! the embedded engine and a server by URL get the same migrations and the same queries. It holds no rule about who
//! may read what, and it never sees a secret: records arrive already masked.
//!
//! Called by `gateway` and `worker` (record types only), `projector` (inserts), `api` (searches) and `mcpcan`
//! (migrations). `clickhouse/README.md` explains the tables and how an insert takes effect exactly once.

pub mod by_place;
pub mod client;
pub mod cluster;
pub mod error;
pub mod export;
pub mod health;
pub mod insert;
pub mod line_filter;
pub mod line_query;
pub mod migration;
pub mod record;
pub mod retention;
mod row;
#[cfg(feature = "testing")]
pub mod testing;
pub mod trace_filter;
pub mod trace_query;
pub mod usage;

pub use by_place::{ByPlace, Run};
pub use client::Client;
pub use cluster::Cluster;
pub use error::Error;
pub use export::{Exported, Position};
pub use health::{HealthHour, HealthSample};
pub use insert::MAX_ROWS_PER_INSERT;
pub use line_filter::LineFilter;
pub use line_query::LineQuery;
pub use migration::Migrated;
pub use record::{ContainerLine, Fields, Level, Place, Placed, Stream, TraceEvent, TraceRecord, placed};
pub use retention::RetentionDays;
pub use trace_filter::TraceFilter;
pub use trace_query::{Cursor, LevelCounts, TraceQuery};
pub use usage::TokenUsage;
