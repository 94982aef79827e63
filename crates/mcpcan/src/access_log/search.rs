//! `access-log search`.

use clap::Args;

use super::filter::Selection;
use super::row::{COLUMNS, cells};
use crate::failure::Failure;
use crate::output::Output;
use crate::rest::Rest;

#[derive(Debug, Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    selection: Selection,
    /// At most so many rows.
    #[arg(long, value_name = "ROWS", default_value_t = 100)]
    limit: usize,
}

pub(super) async fn run(arguments: Arguments, rest: &Rest, output: Output) -> Result<(), Failure> {
    let rows = rest.items(&["access-logs"], &arguments.selection.query(), arguments.limit).await?;
    Ok(output.list(&rows, COLUMNS, cells)?)
}
