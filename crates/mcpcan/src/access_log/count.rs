//! `access-log count`.

use clap::Args;

use super::filter::Selection;
use crate::failure::Failure;
use crate::output::{Output, details};
use crate::rest::Rest;

#[derive(Debug, Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    selection: Selection,
}

pub(super) async fn run(arguments: Arguments, rest: &Rest, output: Output) -> Result<(), Failure> {
    let counts = rest.get(&["access-logs", "counts"], &arguments.selection.query()).await?;
    const LEVELS: [(&str, &str); 5] =
        [("error", "/error"), ("warn", "/warn"), ("info", "/info"), ("debug", "/debug"), ("trace", "/trace")];
    Ok(output.one(&counts, || details("LEVEL", &counts, &LEVELS))?)
}
