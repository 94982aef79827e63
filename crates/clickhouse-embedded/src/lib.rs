//! Serves the embedded ClickHouse engine over ClickHouse's own HTTP interface on loopback.
