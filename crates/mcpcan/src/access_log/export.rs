//! `access-log export`.

use clap::{Args, ValueEnum};

use super::filter::{Filter, Span};
use crate::export::{Target, export};
use crate::failure::Failure;
use crate::output::Output;
use crate::rest::Rest;
use crate::settings::wire_name;

#[derive(Debug, Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    filter: Filter,
    #[command(flatten)]
    span: Span,
    #[arg(long, value_enum, default_value_t = Format::Jsonl)]
    format: Format,
    #[command(flatten)]
    target: Target,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Format {
    /// A line of JSON for each row.
    Jsonl,
    /// With a heading; header fields and the like are JSON.
    Csv,
    /// At most a million rows.
    Parquet,
}

pub(super) async fn run(arguments: Arguments, rest: &Rest, output: Output) -> Result<(), Failure> {
    let mut query = arguments.filter.query();
    query.extend(arguments.span.query());
    let format = wire_name(arguments.format);
    export(rest, &["access-logs", "export"], query, &format, arguments.target, output).await
}
