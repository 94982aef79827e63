//! `events show`: an event, and the tree of what led to it and what it led to.

use std::collections::BTreeMap;

use clap::Args;
use serde_json::Value;

use crate::failure::Failure;
use crate::output::{Output, field, printable};
use crate::rest::Rest;

#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// The event's sequence.
    sequence: u64,
    /// Look at so many later events for what it led to (at most 1000000).
    #[arg(long, value_name = "EVENTS", default_value_t = 10_000)]
    look_ahead: u32,
    /// Show the event as it is stored: sealed secrets (still sealed) and digests are not masked.
    #[arg(long)]
    raw: bool,
}

pub(crate) async fn run(arguments: Arguments, rest: &Rest, output: Output) -> Result<(), Failure> {
    let query = [("look_ahead", arguments.look_ahead.to_string()), ("raw", arguments.raw.to_string())];
    let trace = rest.get(&["events", &arguments.sequence.to_string()], &query).await?;
    Ok(output.one(&trace, || human(&trace))?)
}

fn human(trace: &Value) -> String {
    let get = |pointer: &str| printable(&field(trace, pointer));
    let mut lines = vec![
        format!("{}  {}", get("/event/sequence"), get("/event/name")),
        format!("  of         {} {}", get("/event/aggregate"), get("/event/id")),
        format!("  by         {}, command {}", get("/event/actor"), get("/event/command_id")),
        format!("  because    {}", get("/event/causation_id")),
        format!("  given      {}", get("/event/at")),
        format!("  stored     {}{}", get("/stored_at"), imported(trace)),
        format!("  size       {} bytes, form version {}", get("/bytes"), get("/version")),
    ];
    let trace_parent = get("/event/traceparent");
    if !trace_parent.is_empty() {
        lines.push(format!("  trace      {trace_parent}"));
    }
    let data = trace.pointer("/event/data").cloned().unwrap_or_default();
    let data = serde_json::to_string_pretty(&data).unwrap_or_default();
    lines.extend(data.lines().map(|line| format!("  {}", printable(line))));
    lines.push(String::new());
    lines.extend(tree(trace));
    lines.push(String::new());
    lines.push(looked(trace));
    lines.join("\n")
}

fn imported(trace: &Value) -> &'static str {
    if trace["imported"] == true { ", by the log that it was imported from" } else { "" }
}

/// The root at the left, each consequence one step to the right of its cause.
fn tree(trace: &Value) -> Vec<String> {
    let (mut lines, mut depth) = (vec![], 0);
    let causes = list(trace, "causes");
    let root = causes.first().unwrap_or(&trace["event"]);
    let before =
        if trace["causes_complete"] == true { field(root, "/causation_id") } else { "…".to_owned() };
    lines.push(printable(&before));
    for cause in causes {
        lines.push(format!("{}└─ {}", "   ".repeat(depth), event(cause)));
        depth += 1;
    }
    let indent = "   ".repeat(depth);
    lines.push(format!("{indent}└─ {}  ◀", event(&trace["event"])));
    lines.extend(list(trace, "same_command").iter().map(|other| format!("{indent}   with {}", event(other))));
    let mut by_cause: BTreeMap<u64, Vec<&Value>> = BTreeMap::new();
    for consequence in list(trace, "consequences") {
        by_cause.entry(sequence(consequence, "cause")).or_default().push(consequence);
    }
    add_consequences(sequence(&trace["event"], "sequence"), &format!("{indent}   "), &by_cause, &mut lines);
    lines
}

fn add_consequences(
    cause: u64,
    indent: &str,
    by_cause: &BTreeMap<u64, Vec<&Value>>,
    lines: &mut Vec<String>,
) {
    let found = by_cause.get(&cause).map(Vec::as_slice).unwrap_or_default();
    for (index, consequence) in found.iter().enumerate() {
        let (branch, below) = if index + 1 == found.len() { ("└─", "   ") } else { ("├─", "│  ") };
        lines.push(format!("{indent}{branch} {}", event(consequence)));
        let number = sequence(consequence, "sequence");
        add_consequences(number, &format!("{indent}{below}"), by_cause, lines);
    }
}

fn event(event: &Value) -> String {
    let [number, name, id, actor] =
        ["/sequence", "/name", "/id", "/actor"].map(|pointer| printable(&field(event, pointer)));
    format!("{number} {name} {id} by {actor}")
}

fn looked(trace: &Value) -> String {
    let through = field(trace, "/looked_through");
    if trace["consequences_complete"] == true {
        format!("Everything up to event {through}, the last of the log, was looked at.")
    } else {
        format!("Looked at events up to {through}; there are more: --look-ahead looks farther.")
    }
}

fn list<'a>(trace: &'a Value, name: &str) -> &'a [Value] {
    trace[name].as_array().map(Vec::as_slice).unwrap_or_default()
}

fn sequence(event: &Value, name: &str) -> u64 {
    event[name].as_u64().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_tree_leads_from_the_root_to_the_last_consequence() {
        let event = |sequence: u64| json!({"sequence": sequence, "name": "a.b", "id": "i", "actor": "admin", "causation_id": "request:r"});
        let caused = |cause: u64, sequence: u64| {
            let mut event = event(sequence);
            event["cause"] = cause.into();
            event
        };
        let trace = json!({
            "event": event(4), "causes": [event(1)], "causes_complete": true, "same_command": [event(5)],
            "consequences": [caused(4, 6), caused(6, 7), caused(4, 8)],
        });
        let expected = [
            "request:r",
            "└─ 1 a.b i by admin",
            "   └─ 4 a.b i by admin  ◀",
            "      with 5 a.b i by admin",
            "      ├─ 6 a.b i by admin",
            "      │  └─ 7 a.b i by admin",
            "      └─ 8 a.b i by admin",
        ];
        assert_eq!(tree(&trace), expected);
    }
}
