//! `access-log export`.

use clap::{Args, ValueEnum};

use super::filter::Selection;
use crate::export::{Target, export};
use crate::failure::Failure;
use crate::output::Output;
use crate::rest::Rest;
use crate::settings::wire_name;

#[derive(Debug, Args)]
#[command(mut_arg("output", |output| output.required(true)))]
pub(crate) struct Arguments {
    #[command(flatten)]
    selection: Selection,
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
    let (query, format) = (arguments.selection.query(), wire_name(arguments.format));
    export(rest, &["access-logs", "export"], query, &format, arguments.target, output).await
}
