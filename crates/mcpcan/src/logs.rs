//! `logs`: what an instance's server wrote.

use clap::Args;
use serde_json::Value;

use crate::failure::Failure;
use crate::output::{Output, field, printable};
use crate::rest::{Rest, take_items};

#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// Name or id of the instance.
    instance: String,
    /// The last so many lines.
    #[arg(long, value_name = "LINES", default_value_t = 100)]
    tail: usize,
    /// Only lines written since then: a time (RFC 3339) or how long ago, such as 5m.
    #[arg(long, value_name = "TIME|AGO")]
    since: Option<String>,
}

pub(crate) async fn run(arguments: Arguments, rest: &Rest, output: Output) -> Result<(), Failure> {
    let lines = fetch(rest, &arguments.instance, arguments.tail, arguments.since).await?;
    Ok(output.lines(&lines, line)?)
}

/// The last lines as people read them.
pub(crate) async fn tail(rest: &Rest, instance: &str, lines: usize) -> Result<Vec<String>, Failure> {
    let lines = fetch(rest, instance, lines, None).await?;
    Ok(lines.iter().map(|line| printable(&field(line, "/text"))).collect())
}

async fn fetch(
    rest: &Rest,
    instance: &str,
    tail: usize,
    since: Option<String>,
) -> Result<Vec<Value>, Failure> {
    let mut query = vec![("tail", tail.to_string())];
    query.extend(since.map(|since| ("since", since)));
    take_items(&mut rest.get(&["instances", instance, "logs"], &query).await?)
}

fn line(line: &Value) -> String {
    let [time, stream, text] = ["/time", "/stream", "/text"].map(|pointer| printable(&field(line, pointer)));
    format!("{time:<30}  {stream:<6}  {text}")
}
