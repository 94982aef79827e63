//! `events state` and `events diff`: what was so, and what has changed.

use clap::Args;
use serde_json::Value;

use crate::failure::Failure;
use crate::output::{Output, field};
use crate::rest::{Rest, given};

#[derive(Debug, Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    subject: Subject,
    /// What was stored up to this moment counts: a time (RFC 3339) or how long ago, such as 10m.
    #[arg(long, value_name = "TIME|AGO", conflicts_with = "at_sequence")]
    at: Option<String>,
    /// What was stored up to this event counts.
    #[arg(long, value_name = "SEQUENCE")]
    at_sequence: Option<u64>,
}

#[derive(Debug, Args)]
pub(crate) struct DiffArguments {
    #[command(flatten)]
    subject: Subject,
    /// Before: a sequence, a time (RFC 3339) or how long ago.
    #[arg(value_name = "FROM")]
    from: String,
    /// After: a sequence, a time (RFC 3339), how long ago, or now.
    #[arg(value_name = "TO", default_value = "now")]
    to: String,
}

/// What is meant.
#[derive(Debug, Args)]
struct Subject {
    /// The kind of aggregate: instance, token, template or retention_plan.
    aggregate: String,
    /// Its id; of an instance or a template also the name that it had then. A plan has those of its instance.
    #[arg(value_name = "ID|NAME")]
    id: String,
}

pub(crate) async fn run(arguments: Arguments, rest: &Rest, output: Output) -> Result<(), Failure> {
    let Arguments { subject, at, at_sequence } = arguments;
    let at_sequence = at_sequence.map(|sequence| sequence.to_string());
    let query = given([("at", at), ("at_sequence", at_sequence)]);
    let state = rest.get(&["state", &subject.aggregate, &subject.id], &query).await?;
    Ok(output.one(&state, || serde_json::to_string_pretty(&state["state"]).unwrap_or_default())?)
}

pub(crate) async fn diff(arguments: DiffArguments, rest: &Rest, output: Output) -> Result<(), Failure> {
    let DiffArguments { subject, from, to } = arguments;
    let path = ["state", &subject.aggregate, &subject.id, "diff"];
    let diff = rest.get(&path, &[("from", from), ("to", to)]).await?;
    Ok(output.one(&diff, || human(&diff))?)
}

fn human(diff: &Value) -> String {
    let changes = diff["changes"].as_array().map(Vec::as_slice).unwrap_or_default();
    let between =
        format!("between event {} and {}", field(diff, "/from/at_sequence"), field(diff, "/to/at_sequence"));
    if changes.is_empty() {
        return format!("Nothing has changed {between}.");
    }
    if let [whole] = changes
        && whole["path"] == ""
    {
        let (verb, state) = match &whole["before"] {
            Value::Null => ("has come to be", &whole["after"]),
            before => ("has ended", before),
        };
        let state = serde_json::to_string_pretty(state).unwrap_or_default();
        return format!("It {verb} {between}:\n{state}");
    }
    let row = |change: &Value| ["/path", "/before", "/after"].map(|pointer| cell(change, pointer));
    crate::output::table(["path", "before", "after"], changes.iter().map(row))
}

/// Texts as they are, everything else as JSON; nothing where nothing is.
fn cell(change: &Value, pointer: &str) -> String {
    match change.pointer(pointer) {
        Some(Value::Null) => "null".to_owned(),
        Some(_) | None => field(change, pointer),
    }
}
