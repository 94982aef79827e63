//! `access-log tail`.

use clap::Args;

use super::filter::Filter;
use super::row::line;
use crate::failure::Failure;
use crate::follow::follow;
use crate::output::Output;
use crate::rest::Rest;

/// How many rows there are to begin with, unless somebody says.
const ROWS_BEFORE: u32 = 10;

#[derive(Debug, Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    filter: Filter,
    /// Begin with so many of the newest rows: 10, or with --since all of them, at most 1000 if you say.
    #[arg(long, value_name = "ROWS")]
    tail: Option<u32>,
    /// Begin with the rows since then: a time (RFC 3339) or how long ago, such as 5m.
    #[arg(long, value_name = "TIME|AGO")]
    since: Option<String>,
}

pub(super) async fn run(arguments: Arguments, rest: &Rest, output: Output) -> Result<(), Failure> {
    let mut query = arguments.filter.query();
    let tail = arguments.tail.or(arguments.since.is_none().then_some(ROWS_BEFORE));
    query.extend(tail.map(|tail| ("tail", tail.to_string())));
    query.extend(arguments.since.map(|since| ("since", since)));
    follow(rest, &["access-logs", "tail"], &query, output, line).await
}
