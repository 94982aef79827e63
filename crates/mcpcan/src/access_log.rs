//! `access-log search`: what went through the gateway.

use clap::{Args, Subcommand};
use serde_json::Value;

use crate::failure::Failure;
use crate::output::{Output, field};
use crate::rest::Rest;

const NANOSECONDS_PER_MILLISECOND: f64 = 1e6;

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Find requests and responses, newest first.
    Search(SearchArguments),
}

#[derive(Debug, Args)]
pub(crate) struct SearchArguments {
    /// Name or id of an instance.
    #[arg(long)]
    instance: Option<String>,
    /// A trace id, the client's own or the one the gateway made (X-Trace-Id).
    #[arg(long, value_name = "ID")]
    trace: Option<String>,
    /// Id or label of a token.
    #[arg(long, value_name = "ID|LABEL")]
    token: Option<String>,
    /// At least this level: trace, debug, info, warn, error.
    #[arg(long)]
    level: Option<String>,
    /// One kind of row: request, response, sse_start, sse_end, error, auth_failed.
    #[arg(long)]
    event: Option<String>,
    /// A JSON-RPC method, such as tools/call.
    #[arg(long)]
    method: Option<String>,
    /// A tool, prompt or resource by name.
    #[arg(long)]
    tool: Option<String>,
    /// An HTTP status.
    #[arg(long)]
    status: Option<u16>,
    /// Not before: a time (RFC 3339) or how long ago, such as 5m.
    #[arg(long, value_name = "TIME|AGO")]
    since: Option<String>,
    /// Before this time, or before so long ago.
    #[arg(long, value_name = "TIME|AGO")]
    until: Option<String>,
    /// At most so many rows.
    #[arg(long, value_name = "ROWS", default_value_t = 100)]
    limit: usize,
}

pub(crate) async fn run(command: Command, rest: &Rest, output: Output) -> Result<(), Failure> {
    let Command::Search(arguments) = command;
    let limit = arguments.limit;
    let rows = rest.items(&["access-logs"], &arguments.query(), limit).await?;
    const COLUMNS: [&str; 11] =
        ["time", "level", "event", "trace", "token", "http", "path", "method", "tool", "status", "latency"];
    Ok(output.list(&rows, COLUMNS, row)?)
}

impl SearchArguments {
    fn query(self) -> Vec<(&'static str, String)> {
        let given = [
            ("instance", self.instance),
            ("trace", self.trace),
            ("token", self.token),
            ("level", self.level),
            ("event", self.event),
            ("method", self.method),
            ("tool", self.tool),
            ("status", self.status.map(|status| status.to_string())),
            ("since", self.since),
            ("until", self.until),
        ];
        given.into_iter().filter_map(|(name, value)| Some((name, value?))).collect()
    }
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
