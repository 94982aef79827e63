//! `events undo`: a change taken back.

use clap::Args;
use serde_json::Value;

use crate::failure::Failure;
use crate::output::{Output, field, printable};
use crate::rest::Rest;

#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// The sequence of the event to undo.
    sequence: u64,
    /// Show the command that would undo it, and send nothing.
    #[arg(long)]
    dry_run: bool,
}

pub(crate) async fn run(arguments: Arguments, rest: &Rest, output: Output) -> Result<(), Failure> {
    let sequence = arguments.sequence.to_string();
    let query = [("dry_run", arguments.dry_run.to_string())];
    let undone = rest.post_query(&["events", &sequence, "undo"], &query).await?;
    Ok(output.one(&undone, || human(&undone))?)
}

fn human(undone: &Value) -> String {
    let [event, name, id, sequence] =
        ["/undone", "/name", "/id", "/sequence"].map(|pointer| printable(&field(undone, pointer)));
    let command = undone["command"].get("command").cloned().unwrap_or_default();
    let command = serde_json::to_string_pretty(&command).unwrap_or_default();
    let done = if undone["dry_run"] == true {
        format!("Event {event} would be undone by {name} of {id}:")
    } else {
        format!("Event {event} is undone: event {sequence} came of {name} of {id}:")
    };
    format!("{done}\n{command}")
}
