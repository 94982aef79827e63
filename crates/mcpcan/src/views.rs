//! `views`: the read models as operators see them.

mod rebuild;

use clap::Subcommand;
use serde_json::Value;

use crate::failure::Failure;
use crate::output::{Output, field, printable};
use crate::rest::Rest;

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// List the views with their position and how far they are behind.
    List,
    /// Show all that is known of a view, or of every view.
    Status {
        /// The view's name.
        name: Option<String>,
    },
    /// Fold a view anew from the whole log while the old one serves, and wait until the new one does.
    Rebuild(rebuild::Arguments),
}

pub(crate) async fn run(command: Command, rest: &Rest, output: Output) -> Result<(), Failure> {
    match command {
        Command::List => {
            let columns = ["name", "state", "generation", "position", "lag", "rows"];
            let row = |view: &Value| columns.map(|column| field(view, &format!("/{column}")));
            Ok(output.list(&all(rest).await?, columns, row)?)
        }
        Command::Status { name: Some(name) } => {
            let view = rest.get(&["views", &name], &[]).await?;
            Ok(output.one(&view, || status(&view))?)
        }
        Command::Status { name: None } => Ok(output.lines(&all(rest).await?, status)?),
        Command::Rebuild(arguments) => rebuild::run(arguments, rest, output).await,
    }
}

/// Every view. There are so few that the list has one page.
async fn all(rest: &Rest) -> Result<Vec<Value>, Failure> {
    let mut page = rest.get(&["views"], &[]).await?;
    match page.get_mut("items").map(Value::take) {
        Some(Value::Array(items)) => Ok(items),
        _ => Err(Failure::Failed(anyhow::anyhow!("the api's answer is no list"))),
    }
}

fn status(view: &Value) -> String {
    let get = |pointer: &str| printable(&field(view, pointer));
    let mut lines = vec![
        format!("{}: {}", get("/name"), get("/state")),
        format!("  generation  {}, row form {}", get("/generation"), get("/version")),
        format!("  position    {} of {}, {} behind", get("/position"), get("/last_sequence"), get("/lag")),
        format!("  rows        {}", get("/rows")),
        format!("  projector   {}, heard of at {}", get("/projector"), get("/reported_at")),
    ];
    if view["rebuild"].is_object() {
        lines.push(format!("  rebuild     {}", rebuild::progress(&view["rebuild"])));
    }
    if view["last_error"].is_object() {
        lines.push(format!("  last error  {} at {}", get("/last_error/detail"), get("/last_error/at")));
        let sequence = get("/last_error/sequence");
        if !sequence.is_empty() {
            lines.push(format!("              event {sequence} on {}", get("/last_error/subject")));
        }
    }
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_view_that_stopped_shows_where() {
        let view = json!({
            "name": "tokens", "state": "stopped", "generation": 2, "version": 1, "position": 6, "last_sequence": 9,
            "lag": 3, "rows": 4, "projector": "projector-1", "reported_at": "2026-11-21T11:00:01Z", "rebuild": null,
            "last_error": {"at": "2026-11-21T11:00:00Z", "sequence": 7, "subject": "events.token.x", "detail": "no"},
        });
        let expected = "tokens: stopped\n  generation  2, row form 1\n  position    6 of 9, 3 behind\n  \
            rows        4\n  projector   projector-1, heard of at 2026-11-21T11:00:01Z\n  \
            last error  no at 2026-11-21T11:00:00Z\n              event 7 on events.token.x";
        assert_eq!(status(&view), expected);
    }
}
