//! Role: folds events into views, and carries traces and logs into ClickHouse.
