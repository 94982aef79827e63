//! `access-log trace`.

use clap::Args;
use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

use crate::failure::Failure;
use crate::output::{Output, field};
use crate::rest::{Rest, take_items};

#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// A trace id, the client's own or the one the gateway made (X-Trace-Id).
    #[arg(value_name = "ID")]
    trace: String,
}

pub(super) async fn run(arguments: Arguments, rest: &Rest, output: Output) -> Result<(), Failure> {
    let mut page = rest.get(&["access-logs", "traces", &arguments.trace], &[]).await?;
    let rows = take_items(&mut page)?;
    let start = rows.first().and_then(time);
    const COLUMNS: [&str; 9] =
        ["after", "span", "event", "instance", "method", "tool", "token", "status", "error"];
    Ok(output.list(&rows, COLUMNS, |row| {
        let text = |pointer| field(row, pointer);
        [
            start.zip(time(row)).map_or_else(String::new, |(start, time)| after(time.duration_since(start))),
            text("/span_id"),
            text("/event"),
            text("/instance_name"),
            text("/rpc_method"),
            text("/tool"),
            text("/token_label"),
            text("/status"),
            text("/error"),
        ]
    })?)
}

fn time(row: &Value) -> Option<Timestamp> {
    row.get("time")?.as_str()?.parse().ok()
}

fn after(length: SignedDuration) -> String {
    format!("{:.1} ms", length.as_secs_f64() * 1e3)
}
