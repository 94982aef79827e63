//! `status`: which roles can do their work, and how far log rows have come.

use clap::Args;
use serde_json::Value;

use crate::failure::Failure;
use crate::output::{Output, field, printable};
use crate::rest::Rest;

#[derive(Debug, Args)]
pub(crate) struct Arguments {}

pub(crate) async fn run(_: Arguments, rest: &Rest, output: Output) -> Result<(), Failure> {
    let status = rest.get(&["status"], &[]).await?;
    Ok(output.one(&status, || human(&status))?)
}

fn human(status: &Value) -> String {
    let mut lines = vec![if status["ready"] == true { "ready" } else { "not ready" }.to_owned()];
    for process in each(status, "processes") {
        let roles = process["roles"].as_object().into_iter().flatten();
        let not_ready: Vec<String> =
            roles.filter(|(_, ready)| **ready != true).map(|(role, _)| printable(role)).collect();
        let state = match (process["silent"] == true, not_ready.is_empty()) {
            (true, _) => format!("silent since {}", get(process, "/reported_at")),
            (false, true) => "ready".to_owned(),
            (false, false) => format!("not ready: {}", not_ready.join(", ")),
        };
        lines.push(format!("  {}: {state}", get(process, "/name")));
    }
    lines.push("logs".to_owned());
    for sink in each(status, "sinks") {
        let seconds = sink["lag_seconds"].as_f64().unwrap_or_default();
        lines.push(format!(
            "  {}: {} messages behind, {seconds:.1} s; {} rows in {} batches, the last of {}; {} dead letters{}",
            get(sink, "/stream"),
            get(sink, "/lag_messages"),
            get(sink, "/rows"),
            get(sink, "/batches"),
            get(sink, "/batch_rows"),
            get(sink, "/dead_letters"),
            silence(sink),
        ));
    }
    for gateway in each(status, "gateways") {
        lines.push(format!(
            "  gateway {}: {} rows in {} batches; {} bytes in the spool; {} rows dropped{}",
            get(gateway, "/id"),
            get(gateway, "/rows"),
            get(gateway, "/batches"),
            get(gateway, "/spool_bytes"),
            get(gateway, "/dropped"),
            silence(gateway),
        ));
    }
    lines.join("\n")
}

fn each<'a>(status: &'a Value, what: &str) -> impl Iterator<Item = &'a Value> {
    status[what].as_array().into_iter().flatten()
}

fn get(value: &Value, pointer: &str) -> String {
    printable(&field(value, pointer))
}

fn silence(said: &Value) -> String {
    match said["silent"] == true {
        true => format!("; silent since {}", get(said, "/reported_at")),
        false => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_wrong_is_named() {
        let at = "2026-11-21T11:00:00Z";
        let status = json!({
            "ready": false,
            "processes": [
                {"name": "api.up", "roles": {"api": true, "gateway": false}, "silent": false, "reported_at": at},
                {"name": "gateway.b", "roles": {"gateway": true}, "silent": true, "reported_at": at},
            ],
            "sinks": [{
                "stream": "TRACES", "lag_messages": 3, "lag_seconds": 1.25, "rows": 9, "batches": 2,
                "batch_rows": 4, "dead_letters": 1, "silent": false, "reported_at": at,
            }],
            "gateways": [{
                "id": "b", "rows": 9, "batches": 3, "spool_bytes": 7, "dropped": 2, "silent": true,
                "reported_at": at,
            }],
        });
        let expected = "not ready\n  api.up: not ready: gateway\n  gateway.b: silent since 2026-11-21T11:00:00Z\nlogs\n  \
            TRACES: 3 messages behind, 1.2 s; 9 rows in 2 batches, the last of 4; 1 dead letters\n  gateway b: \
            9 rows in 3 batches; 7 bytes in the spool; 2 rows dropped; silent since 2026-11-21T11:00:00Z";
        assert_eq!(human(&status), expected);
    }
}
