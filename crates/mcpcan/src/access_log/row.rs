//! A row of the access log as people read it.

use serde_json::Value;

use crate::output::{Tone, field, instant, milliseconds, printable};

/// The columns of a table.
pub(super) const COLUMNS: [&str; 9] =
    ["time", "level", "event", "instance", "token", "call", "status", "latency", "trace"];

/// The widths of the columns where lines come one by one.
const WIDTHS: [usize; 9] = [23, 5, 12, 16, 10, 28, 10, 11, 0];

/// The cells of a row.
pub(super) fn cells(row: &Value) -> [String; 9] {
    let text = |pointer| field(row, pointer);
    [
        instant(&text("/time")),
        text("/level"),
        text("/event"),
        text("/instance_name"),
        text("/token_label"),
        call(row),
        status(row),
        row.get("latency_ns").and_then(Value::as_f64).map(milliseconds).unwrap_or_default(),
        text("/trace_id"),
    ]
}

/// A row as a line of its own.
pub(super) fn line(row: &Value) -> String {
    let tone = Tone::of_level(&field(row, "/level"));
    let cells = cells(row).map(|cell| printable(&cell));
    let mut line: Vec<String> =
        cells.iter().zip(WIDTHS).map(|(cell, width)| format!("{cell:<width$}")).collect();
    line.push(printable(&field(row, "/error")));
    tone.paint(line.join("  ").trim_end())
}

/// What was called: the method and the tool of MCP, or those of HTTP.
fn call(row: &Value) -> String {
    let words = |pointers: [&str; 2]| pointers.map(|pointer| field(row, pointer)).join(" ").trim().to_owned();
    let of_mcp = words(["/rpc_method", "/tool"]);
    if of_mcp.is_empty() { words(["/http_method", "/path"]) } else { of_mcp }
}

/// How it ended, on every level that has something to say.
fn status(row: &Value) -> String {
    let code = field(row, "/rpc_error_code");
    let tool = if field(row, "/is_error") == "true" { "isError".to_owned() } else { String::new() };
    [field(row, "/status"), code, tool]
        .into_iter()
        .filter(|word| !word.is_empty())
        .collect::<Vec<_>>()
        .join(" ")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_row_says_what_was_called_and_how_it_ended() {
        let row = json!({
            "time": "2026-11-21T17:00:00.123456789Z", "level": "warn", "event": "response", "rpc_method": "tools/call",
            "tool": "echo", "http_method": "POST", "path": "/x", "status": 200, "is_error": true,
            "latency_ns": 12_345_678, "instance_name": "everything", "trace_id": "abc",
        });
        let expected = [
            "2026-11-21 17:00:00.123",
            "warn",
            "response",
            "everything",
            "",
            "tools/call echo",
            "200 isError",
            "12.3 ms",
            "abc",
        ];
        assert_eq!(cells(&row), expected);
        let request = json!({ "time": "2026-11-21T17:00:00Z", "http_method": "GET", "path": "/mcp" });
        assert_eq!(cells(&request)[5..8], ["GET /mcp", "", ""]);
    }
}
