//! Access-log and container-log records: their ClickHouse tables, inserts, queries and retention.
