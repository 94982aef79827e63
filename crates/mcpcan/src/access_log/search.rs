//! `access-log search`.

use clap::Args;
use serde_json::Value;

use super::filter::{Filter, Span};
use crate::failure::Failure;
use crate::output::{Output, field};
use crate::rest::Rest;

const NANOSECONDS_PER_MILLISECOND: f64 = 1e6;

#[derive(Debug, Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    filter: Filter,
    #[command(flatten)]
    span: Span,
    /// At most so many rows.
    #[arg(long, value_name = "ROWS", default_value_t = 100)]
    limit: usize,
}

pub(super) async fn run(arguments: Arguments, rest: &Rest, output: Output) -> Result<(), Failure> {
    let mut query = arguments.filter.query();
    query.extend(arguments.span.query());
    let rows = rest.items(&["access-logs"], &query, arguments.limit).await?;
    const COLUMNS: [&str; 11] =
        ["time", "level", "event", "trace", "token", "http", "path", "method", "tool", "status", "latency"];
    Ok(output.list(&rows, COLUMNS, row)?)
}

fn row(row: &Value) -> [String; 11] {
    let text = |pointer| field(row, pointer);
    let is_request = text("/event") == "request";
    let status = if is_request { String::new() } else { text("/status") };
    let latency = match row.get("latency_ns").and_then(Value::as_f64) {
        Some(nanoseconds) if !is_request => format!("{:.1} ms", nanoseconds / NANOSECONDS_PER_MILLISECOND),
        _ => String::new(),
    };
    [
        text("/time"),
        text("/level"),
        text("/event"),
        text("/trace_id"),
        text("/token_label"),
        text("/http_method"),
        text("/path"),
        text("/rpc_method"),
        text("/tool"),
        status,
        latency,
    ]
}
