//! `stats`: how much was called, how well and by whom.

use clap::Args;
use serde_json::Value;

use crate::failure::Failure;
use crate::output::{Output, field, instant, milliseconds, table};
use crate::rest::{Rest, given};

/// How long the longest bar of a chart is.
const BAR_WIDTH: u64 = 40;

#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// Name or id of an instance; all of them if none is named.
    instance: Option<String>,
    /// From then on: a time (RFC 3339) or how long ago, such as 7d; the last 24 hours if nothing is said.
    #[arg(long, value_name = "TIME|AGO")]
    since: Option<String>,
    /// Before this time, or before so long ago.
    #[arg(long, value_name = "TIME|AGO")]
    until: Option<String>,
    /// How many seconds a line of the chart stands for, in whole minutes.
    #[arg(long, value_name = "SECONDS")]
    step: Option<u32>,
}

pub(crate) async fn run(arguments: Arguments, rest: &Rest, output: Output) -> Result<(), Failure> {
    let query = given([
        ("since", arguments.since),
        ("until", arguments.until),
        ("step", arguments.step.map(|step| step.to_string())),
    ]);
    let statistics = match &arguments.instance {
        Some(instance) => rest.get(&["instances", instance, "statistics"], &query).await?,
        None => rest.get(&["statistics"], &query).await?,
    };
    Ok(output.one(&statistics, || shown(&statistics))?)
}

fn shown(statistics: &Value) -> String {
    let get = |pointer: &str| field(statistics, pointer);
    let mut parts = vec![format!("{} to {}", instant(&get("/since")), instant(&get("/until")))];
    for (title, member) in [("instances", "instances"), ("health", "health")] {
        let counts = statistics[member].as_object().into_iter().flatten();
        let counts: Vec<_> = counts.map(|(name, count)| format!("{count} {name}")).collect();
        if !counts.is_empty() {
            parts.push(format!("{title:<9}  {}", counts.join(", ")));
        }
    }
    let total = &statistics["total"];
    parts.push(format!(
        "calls      {}, {} failed, {} refused; {} in, {} out; {}",
        get("/total/calls"),
        get("/total/errors"),
        get("/total/refused"),
        bytes(&total["request_bytes"]),
        bytes(&total["response_bytes"]),
        latencies(total).join(" / "),
    ));
    parts.push(chart(&statistics["buckets"]));
    for (title, list, name) in [
        ("tool", "top_tools", "/tool"),
        ("token", "top_tokens", "/name"),
        ("instance", "top_instances", "/name"),
    ] {
        parts.extend(ranking(title, &statistics[list], name));
    }
    parts.extend(errors(&statistics["top_errors"]));
    parts.join("\n\n")
}

/// A line for each bucket in which something was called.
fn chart(buckets: &Value) -> String {
    let calls = |bucket: &Value| bucket["calls"].as_u64().unwrap_or_default();
    let buckets = || buckets.as_array().into_iter().flatten();
    let most = buckets().map(calls).max().unwrap_or_default().max(1);
    let rows = buckets().filter(|bucket| calls(bucket) > 0).map(|bucket| {
        let length = usize::try_from((calls(bucket) * BAR_WIDTH).div_ceil(most)).unwrap_or_default();
        let start = instant(&field(bucket, "/start"));
        let [p50, p95, _] = latencies(bucket);
        [
            start.chars().take(16).collect(),
            field(bucket, "/calls"),
            field(bucket, "/errors"),
            p50,
            p95,
            "#".repeat(length),
        ]
    });
    table(["from", "calls", "errors", "p50", "p95", ""], rows)
}

fn ranking(title: &str, list: &Value, name: &str) -> Option<String> {
    let list = list.as_array().filter(|list| !list.is_empty())?;
    let rows = list.iter().map(|item| {
        let named = Some(field(item, name)).filter(|name| !name.is_empty());
        let [p50, p95, p99] = latencies(item);
        let shown = named.unwrap_or_else(|| field(item, "/id"));
        [shown, field(item, "/calls"), field(item, "/errors"), p50, p95, p99]
    });
    Some(table([title, "calls", "errors", "p50", "p95", "p99"], rows))
}

fn errors(list: &Value) -> Option<String> {
    let list = list.as_array().filter(|list| !list.is_empty())?;
    let rows = list.iter().map(|item| {
        let last = instant(&field(item, "/last_at"));
        [field(item, "/error_class"), field(item, "/errors"), last, field(item, "/example")]
    });
    Some(table(["error", "count", "last", "example"], rows))
}

fn latencies(calls: &Value) -> [String; 3] {
    ["p50_ns", "p95_ns", "p99_ns"]
        .map(|name| calls["latency"][name].as_f64().map_or_else(|| "-".to_owned(), milliseconds))
}

fn bytes(count: &Value) -> String {
    let bytes = count.as_u64().unwrap_or_default();
    match bytes {
        0..10_000 => format!("{bytes} B"),
        10_000..10_000_000 => format!("{} kB", bytes / 1_000),
        _ => format!("{} MB", bytes / 1_000_000),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn statistics_are_shown_with_a_bar_for_each_busy_stretch() {
        let latency = json!({ "p50_ns": 1e6, "p95_ns": 2.5e6, "p99_ns": 3e6 });
        let statistics = json!({
            "since": "2026-11-21T10:00:00Z", "until": "2026-11-21T12:00:00Z", "instances": { "ready": 2, "stopped": 1 },
            "total": { "calls": 30, "errors": 1, "refused": 0, "request_bytes": 900, "response_bytes": 20_000,
                       "latency": latency },
            "buckets": [
                { "start": "2026-11-21T10:00:00Z", "calls": 10, "errors": 0, "latency": latency },
                { "start": "2026-11-21T11:00:00Z", "calls": 0, "errors": 0 },
                { "start": "2026-11-21T11:30:00Z", "calls": 20, "errors": 1, "latency": latency },
            ],
            "top_tools": [{ "tool": "echo", "calls": 30, "errors": 1, "latency": latency }],
            "top_tokens": [], "top_instances": [], "top_errors": [],
        });
        let shown = shown(&statistics);
        assert!(shown.contains("instances  2 ready, 1 stopped"), "{shown}");
        assert!(
            shown.contains("30, 1 failed, 0 refused; 900 B in, 20 kB out; 1.0 ms / 2.5 ms / 3.0 ms"),
            "{shown}"
        );
        assert!(
            shown.contains(&format!("11:30  20     1       1.0 ms  2.5 ms  {}", "#".repeat(40))),
            "{shown}"
        );
        assert!(!shown.contains("11:00  0") && shown.contains("echo  30"), "{shown}");
    }
}
