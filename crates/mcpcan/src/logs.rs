//! `logs`: what an instance's server wrote.

use clap::{Args, ValueEnum};
use serde_json::Value;

use crate::export::Target;
use crate::failure::Failure;
use crate::output::{Output, Tone, field, instant, printable};
use crate::rest::{Rest, given, take_items};
use crate::settings::wire_name;

#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// Name or id of the instance.
    instance: String,
    /// Go on with every line that is written, until Ctrl-C.
    #[arg(short, long)]
    follow: bool,
    /// The last so many lines: 100, unless --follow and --since are given, which show all of them.
    #[arg(long, value_name = "LINES")]
    tail: Option<usize>,
    /// Only lines written since then: a time (RFC 3339) or how long ago, such as 5m.
    #[arg(long, value_name = "TIME|AGO")]
    since: Option<String>,
    #[command(flatten)]
    filter: Filter,
    /// Write the lines into a file, all of them unless --since is given.
    #[arg(long, value_enum, value_name = "FORMAT", num_args = 0..=1, default_missing_value = "text",
          require_equals = true, requires = "output")]
    export: Option<Format>,
    #[command(flatten)]
    target: Option<Target>,
}

/// How a file is written.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum Format {
    /// As the server wrote them, each behind its time and stream.
    Text,
    /// A line of JSON for each.
    Jsonl,
    Csv,
    /// At most a million lines.
    Parquet,
}

/// Which lines; all that are given must match.
#[derive(Debug, Args)]
struct Filter {
    /// Only of the replica with this id.
    #[arg(long, value_name = "ID")]
    replica: Option<String>,
    /// Only what was written there: stdout or stderr.
    #[arg(long)]
    stream: Option<String>,
    /// Only lines that name at least this level: trace, debug, info, warn, error.
    #[arg(long)]
    level: Option<String>,
}

/// How many lines are shown, unless somebody says.
const LINES: usize = 100;

pub(crate) async fn run(arguments: Arguments, rest: &Rest, output: Output) -> Result<(), Failure> {
    let Arguments { instance, follow, tail, since, filter, export, target } = arguments;
    let mut query = filter.query();
    if let Some(target) = target {
        if follow || tail.is_some() {
            return Err(Failure::Usage(
                "a file holds all lines: leave --follow and --tail out, or --output".to_owned(),
            ));
        }
        query.extend(since.map(|since| ("since", since)));
        let format = wire_name(export.unwrap_or(Format::Text));
        let path = ["instances", &instance, "logs", "export"];
        return crate::export::export(rest, &path, query, &format, target, output).await;
    }
    let tail = tail.or((!(follow && since.is_some())).then_some(LINES));
    query.extend(tail.map(|tail| ("tail", tail.to_string())));
    query.extend(since.map(|since| ("since", since)));
    if follow {
        return crate::follow::follow(rest, &["instances", &instance, "logs", "tail"], &query, output, line)
            .await;
    }
    let lines = take_items(&mut rest.get(&["instances", &instance, "logs"], &query).await?)?;
    Ok(output.lines(&lines, line)?)
}

impl Filter {
    fn query(self) -> Vec<(&'static str, String)> {
        given([("replica", self.replica), ("stream", self.stream), ("level", self.level)])
    }
}

/// The last lines as people read them.
pub(crate) async fn tail(rest: &Rest, instance: &str, lines: usize) -> Result<Vec<String>, Failure> {
    let query = [("tail", lines.to_string())];
    let lines = take_items(&mut rest.get(&["instances", instance, "logs"], &query).await?)?;
    Ok(lines.iter().map(|line| printable(&field(line, "/text"))).collect())
}

fn line(line: &Value) -> String {
    let [time, stream, text] = ["/time", "/stream", "/text"].map(|pointer| printable(&field(line, pointer)));
    let text = Tone::of_level(&field(line, "/level")).paint(&text);
    format!("{}  {}  {text}", Tone::Faint.paint(&instant(&time)), Tone::Faint.paint(&format!("{stream:<6}")))
}
