//! Role: the command and query API.
