//! `instance timeline`: what happened to an instance, the newest last.

use clap::Args;

use crate::failure::Failure;
use crate::output::{Output, field, instant, printable};
use crate::rest::Rest;

#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// Name or id.
    instance: String,
    /// Show so many of the newest entries.
    #[arg(long, value_name = "NUMBER", default_value_t = 50)]
    limit: usize,
}

pub(crate) async fn run(arguments: Arguments, rest: &Rest, output: Output) -> Result<(), Failure> {
    let path = ["instances", &arguments.instance, "timeline"];
    let mut entries = rest.items(&path, &[], arguments.limit.max(1)).await?;
    entries.reverse();
    Ok(output.list(&entries, ["time", "who", "what", "to check"], |entry| {
        let text = |pointer: &str| printable(&field(entry, pointer));
        [instant(&field(entry, "/at")), text("/actor"), text("/text"), text("/check")]
    })?)
}
